"""Who is at the command line, for the log: the proved person, and the user of the operating system, by the login that
the kernel remembers where it does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

_LOGIN: Final = Path("/proc/self/loginuid")
_NOBODY: Final = 0xFFFFFFFF
_id: Final[ContextVar[str | None]] = ContextVar("id", default=None)
_person: Final[ContextVar[Callable[[str], str] | None]] = ContextVar("person", default=None)


def actor() -> str:
    """Such as `H14.0/lan: lan as lgsp, command line`, or `lan, command line` where nobody was proved. A name in the
    environment is not asked: anyone can set it."""
    naming = _person.get()
    return user() if naming is None else naming(user())


def person() -> str | None:
    """The id of the officer or person who was proved; None where nobody was named."""
    return _id.get()


def user() -> str:
    """The user of the operating system: `lan, command line`, or `lan as lgsp, command line`."""
    now = _name(os.getuid())
    try:
        login = int(_LOGIN.read_text("ascii"))
    except (OSError, ValueError):
        login = _NOBODY
    name = now if login in (_NOBODY, os.getuid()) else f"{_name(login)} as {now}"
    return f"{name}, command line"


@contextmanager
def acting_as(naming: Callable[[str], str], id: str | None = None) -> Iterator[None]:
    """Within the block `naming` adds to the user who acts: a person with a proof, or that there was none. `id` is that
    of the proved one."""
    before, id_before = _person.set(naming), _id.set(id)
    try:
        yield
    finally:
        _person.reset(before)
        _id.reset(id_before)


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"

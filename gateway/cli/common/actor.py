"""Who is at the command line, for the log: the user of the operating system, by the login that the kernel remembers
where it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LOGIN: Final = Path("/proc/self/loginuid")
_NOBODY: Final = 0xFFFFFFFF


def actor() -> str:
    """Such as `lan, command line` or `lan as lgsp, command line`. A name in the environment is not asked: anyone can
    set it."""
    now = _name(os.getuid())
    try:
        login = int(_LOGIN.read_text("ascii"))
    except (OSError, ValueError):
        login = _NOBODY
    user = now if login in (_NOBODY, os.getuid()) else f"{_name(login)} as {now}"
    return f"{user}, command line"


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"

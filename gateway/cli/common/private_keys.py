"""A person's private key with its password, read and asked for once in a command: who acts is often who signs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.cli.common import arguments
from gateway.cli.common.output import Exit, fail


@dataclass(frozen=True, slots=True)
class PrivateKey:
    pem: bytes = field(repr=False)
    password: bytes | None = field(repr=False)


_read: Final[ContextVar[dict[Path, PrivateKey] | None]] = ContextVar("read", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """Within the block each file is read, and its password asked for, once."""
    before = _read.set({})
    try:
        yield
    finally:
        _read.reset(before)


def private_key(file: Path, what: str, as_json: bool) -> PrivateKey:
    """`what` as for `arguments.content`. Ends the command where the file is no private key, or where no terminal can
    ask for its password."""
    read = _read.get()
    if read is not None and file in read:
        return read[file]
    pem = arguments.private_key(file, what, as_json)
    key = PrivateKey(pem, _password(file, as_json) if b"ENCRYPTED" in pem else None)
    if read is not None:
        read[file] = key
    return key


def _password(file: Path, as_json: bool) -> bytes:
    import warnings
    from getpass import GetPassWarning, getpass

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # of no terminal; it would read standard input instead
            return getpass(f"Mật khẩu của / password of {file}: ").encode()
    except (GetPassWarning, EOFError):
        what = (
            f"{file} is encrypted, and its password is asked for only at a terminal"
            f" / {file} được mã hóa, mật khẩu chỉ hỏi được trong cửa sổ lệnh"
        )
        then = (
            "Run the command in a terminal (ssh -t, docker exec -it); or sign elsewhere where the command takes"
            " --signature. / Chạy lệnh trong cửa sổ lệnh (ssh -t, docker exec -it), hoặc ký ở máy khác nếu lệnh có"
            " --signature."
        )
        fail(Exit.USAGE, "no-terminal", what, then, as_json)

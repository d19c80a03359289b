"""Random bytes from the operating system, fetched 4096 at a time.

Each fetch releases the interpreter's lock, so that one fetch for each salt would cause needless thread switches.
Invariants: bytes are returned once; a forked child does not inherit its parent's bytes.
"""

from __future__ import annotations

import os
import threading
from typing import Final

_FETCH: Final = 4096
_lock: Final = threading.Lock()
_buffer = b""
_used = 0


def random_bytes(count: int) -> bytes:
    """As `os.urandom`, for salts, nonces and ids. Keys are made with `os.urandom` directly."""
    global _buffer, _used
    if count > _FETCH:
        return os.urandom(count)
    with _lock:
        if _used + count > len(_buffer):
            _buffer, _used = os.urandom(_FETCH), 0
        start, _used = _used, _used + count
        return _buffer[start:_used]


def _reset() -> None:
    global _buffer, _used
    _buffer, _used = b"", 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)

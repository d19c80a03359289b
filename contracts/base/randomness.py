"""Random bytes from the operating system, fetched a few thousand at a time.

Each fetch lets go of the interpreter's lock, so that one for every salt makes a busy process switch threads for nothing.
Invariants: bytes are handed out once; a forked child starts with none of its parent's.
"""

from __future__ import annotations

import os
import threading
from typing import Final

_FETCH: Final = 4096
_lock: Final = threading.Lock()
_kept = b""
_used = 0


def random_bytes(count: int) -> bytes:
    """As `os.urandom`, for keys' salts, nonces and ids; keys themselves are made straight from the system."""
    global _kept, _used
    if count > _FETCH:
        return os.urandom(count)
    with _lock:
        if _used + count > len(_kept):
            _kept, _used = os.urandom(_FETCH), 0
        start, _used = _used, _used + count
        return _kept[start:_used]


def _forget() -> None:
    global _kept, _used
    _kept, _used = b"", 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

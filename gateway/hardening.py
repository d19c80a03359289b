"""Protects each process of the gateway against leaks: no core dumps, files for its own user alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def leave_no_cores() -> None:
    """Write no core dump when the process crashes: its memory holds keys. Windows writes none by default."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Within the block the process creates files for its own user alone, whatever umask it was started with."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)

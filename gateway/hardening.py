"""Protects each process of the gateway against leaks: no core dumps, files for its own user alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def leave_no_cores() -> None:
    """Disable core dumps, since memory has keys. Windows writes none by default."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Within the block new files are accessible only to the process's user."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)

"""What each process of the gateway does against leaks: no core dumps, and files for its own user alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def leave_no_cores() -> None:
    """A process that crashes writes no memory to disk: its keys are in there. Windows has no such dumps unless told."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """What is made meanwhile is for the gateway's own user alone, whatever the umask of whoever started it. Of the whole process."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)

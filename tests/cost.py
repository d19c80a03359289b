"""Processor time of this thread, the least of several runs: what ratios in tests are made of.

The collector of unused objects is off meanwhile: it would go through whatever other tests left in this process, which
is no cost of what is measured.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """The least processor time of some runs; a refusal is an answer like any other."""
    least = float("inf")
    enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            began = time.thread_time()
            with contextlib.suppress(Exception):
                run()
            least = min(least, time.thread_time() - began)
    finally:
        if enabled:
            gc.enable()
    return least

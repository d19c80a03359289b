"""What all children of the supervisor share: reporting ready, stopping, the watchdog of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from gateway.settings import Settings
from gateway.settings.running import PID

_log: Final = logging.getLogger(__name__)
READY: Final = b"ready\n"
_REARMED_SECONDS: Final = 1.0


def stop_when_told(stop: Callable[[], None], lifeline: int | None) -> None:
    """Call `stop` on SIGTERM, SIGINT, or when the supervisor's end of the pipe closes.

    It may be called from any thread, and more than once.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop())
    if lifeline is None:
        return

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        stop()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def say_ready(ready: int | None) -> None:
    if ready is not None:
        os.write(ready, READY)
        os.close(ready)


async def watch_loop(seconds: float, trace: int | None) -> None:
    """End this process when its event loop has not run for `seconds`. Runs until it is cancelled.

    A thread of the interpreter measures real time. It needs no lock, so it also works while C code holds the lock.
    The loop restarts the timer each second. At the end the tracebacks of all threads go to the descriptor `trace`
    (None: standard error), and the exit code is 1. Crashes in C are reported there too. A process that was stopped
    (SIGSTOP) for longer ends when it continues. The sleep of the machine does not count. `seconds` 0: no watchdog.
    """
    output: Any = sys.stderr if trace is None else trace
    faulthandler.enable(output)
    if seconds <= 0:
        return
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True, file=output)
            await asyncio.sleep(min(_REARMED_SECONDS, seconds / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()


async def end_watch(watch: asyncio.Task[None]) -> None:
    """Call this before `trace` is closed: its number may belong to another file afterwards."""
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    faulthandler.disable()


def tell_supervisor(settings: Settings, number: int) -> None:
    """Sends a signal to the supervisor of this machine, if there is one."""
    try:
        os.kill(int((settings.run / PID).read_text("ascii")), number)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        _log.error("no supervisor of this machine is there")

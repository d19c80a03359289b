"""What all children of the supervisor share: logging, reporting ready, stopping, the watchdog of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

from contracts.base.visible import visible

READY: Final = b"ready\n"
_REARMED_SECONDS: Final = 1.0


class PlainTraces(logging.Formatter):
    """Logs tracebacks without the messages of exceptions: these may quote request data or personal data.

    A log record is one line, whatever control characters its message has.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = visible(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        lines: list[str] = []
        each: BaseException | None = ei[1]
        while each is not None and len(lines) < 200:
            lines += [*traceback.format_tb(each.__traceback__), f"{type(each).__module__}.{type(each).__qualname__}\n"]
            each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
            lines += ["because of\n"] if each is not None else []
        return "".join(lines).rstrip()


def set_up_logging() -> None:
    """Log one line per event to standard error. Callers never log bodies, tokens or keys."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainTraces("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("alembic", "connexion", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


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

"""What every child process of the supervisor does alike: say when it is ready, stop when told, stop when the supervisor is gone, end when it hangs."""

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
    """Traces without what the exceptions say: that may quote what a stranger sent, or what is nobody's business but a citizen's. A message is one line,
    whatever the name of a file in it, say, would make of it."""

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
    """One line an event on standard error; bodies, tokens and keys are never logged by anything that calls this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainTraces("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("alembic", "connexion", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def stop_when_told(stop: Callable[[], None], lifeline: int | None) -> None:
    """Call `stop` (from any thread, more than once perhaps) on SIGTERM, SIGINT, or when the supervisor's end of the pipe closes."""
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
    """End this process when its event loop is silent for so long, also where C code holds the interpreter's lock. Runs until it is cancelled.

    A thread of the interpreter, which needs no lock, counts real time; the loop winds it up each second. At the end it writes where each thread
    stood to the descriptor `trace` (None: standard error), and the process ends with exit code 1. What crashes in C is told there too. A process
    that was stopped (SIGSTOP) for longer than that ends when it goes on; the sleep of a whole machine does not count. `seconds` 0: no watchdog.
    """
    told: Any = sys.stderr if trace is None else trace
    faulthandler.enable(told)
    if seconds <= 0:
        return
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True, file=told)
            await asyncio.sleep(min(_REARMED_SECONDS, seconds / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()


async def end_watch(watch: asyncio.Task[None]) -> None:
    """Before `trace` is closed: nothing is written to a descriptor that may be another file's by then."""
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    faulthandler.disable()

"""What every child process of the supervisor does alike: say when it is ready, stop when told, stop when the supervisor is gone."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

READY: Final = b"ready\n"


def set_up_logging() -> None:
    """One line an event on standard error; bodies, tokens and keys are never logged by anything that calls this."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
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

"""Writes the lines of the process log: text, or one JSON object a line. Both name the transfer and its trace.

Invariant: a record is one line of bounded length, whatever control characters its message has.
Invariant: tracebacks have no messages of exceptions: these may quote request data or personal data.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
import traceback
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from contracts.base.visible import visible
from gateway.signals import traces

TEXT, JSON = "text", "json"
MOST: Final = 8_000  # characters of a message
_TRACE: Final = 24_000  # of a traceback
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_CUT: Final = " …"


class PlainTraces(logging.Formatter):
    """Text. A line that is about a transfer ends with `[transfer=… trace=…]`."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _message(record)
        text = super().formatMessage(record)
        here = traces.here()
        return text if here is None else f"{text} [transfer={visible(here.transfer)} trace={here.trace}]"

    def formatException(self, ei: Any) -> str:
        return _shown(ei[1])


class JsonLines(logging.Formatter):
    """One object: time, level, logger, process, machine, message; and what is known of code, transfer, trace, span,
    system and traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._about: Final = {"process": process, "pid": os.getpid(), "machine": socket.gethostname()}

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        told: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            **self._about,
            "message": _message(record),
        }
        failure = record.exc_info[1] if record.exc_info else None
        code = getattr(record, "code", None) or (failure.code if isinstance(failure, Failure) else None)
        if code is not None:
            told["code"] = str(code)
        here = traces.here()
        if here is not None:
            told |= {"transfer": visible(here.transfer), "trace": here.trace, "span": here.span}
            if here.system:
                told["system"] = visible(here.system)
        if failure is not None:
            told["traceback"] = _shown(failure)
        return json.dumps(told, ensure_ascii=False)


def set_up(process: str, form: str) -> None:
    """Log one line per event to standard error. Callers never log bodies, tokens or keys."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if form == JSON else PlainTraces(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("alembic", "connexion", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def said(process: str, text: str, form: str) -> str:
    """A line of a process without a logger: the supervisor."""
    if form != JSON:
        return text
    about = {"process": process, "pid": os.getpid(), "machine": socket.gethostname()}
    told = {"time": rfc3339(time.time()), "level": "INFO", "logger": process, **about, "message": visible(text[:MOST])}
    return json.dumps(told, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    text = record.message
    return visible(text if len(text) <= MOST else text[:MOST] + _CUT)


def _shown(trouble: BaseException | None) -> str:
    lines: list[str] = []
    each = trouble
    while each is not None and len(lines) < 200:
        lines += [*traceback.format_tb(each.__traceback__), f"{type(each).__module__}.{type(each).__qualname__}\n"]
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        lines += ["because of\n"] if each is not None else []
    return "".join(lines).rstrip()[:_TRACE]

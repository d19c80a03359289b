"""The whole command line in this process: each command of its own process would take a second to start."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from gateway.cli import main


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def lgsp(*words: str, given: bytes = b"") -> Ended:
    """What `lgsp words…` ends with and prints, given that on its standard input."""
    streams: list[TextIO] = [
        io.TextIOWrapper(io.BytesIO(raw), "utf-8", write_through=True) for raw in (given, b"", b"")
    ]
    with _as_process([*words], streams):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        else:
            code = 0
    out, err = (each.buffer.getvalue().decode() for each in streams[1:] if isinstance(each.buffer, io.BytesIO))
    assert "Traceback" not in err, err
    return Ended(code, out, err)


@contextlib.contextmanager
def _as_process(words: list[str], streams: list[TextIO]) -> Iterator[None]:
    before = sys.argv, sys.stdin, sys.stdout, sys.stderr
    heeded = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv, (sys.stdin, sys.stdout, sys.stderr) = ["lgsp", *words], streams
    try:
        yield
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before
        for number, handler in heeded.items():
            signal.signal(number, handler)

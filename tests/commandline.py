"""The whole command line in this process: each command of its own process would take a second to start."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple, NoReturn, TextIO

from examples.story.world import DidNotHold, World
from gateway.cli import main, parser
from gateway.cli.common.language import language

AS_A_PROGRAM: Final = World.lgsp  # before it is replaced by `told`
_OURS: Final = ("gateway.", "contracts.", "security.", "adapters.")


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


def forked(*words: str, seconds: float = 120.0) -> Ended:
    """The same in a fork of this process: a process of its own, which leaves nothing open and is there at once.

    What it had to load is loaded here, too, for the next."""
    parser(language())  # made here, every fork finds it
    with tempfile.TemporaryFile() as answer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child does not have
            child = os.fork()
        if child == 0:
            _as_child(answer, words)
        until = time.monotonic() + seconds
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise TimeoutError(f"lgsp {' '.join(words)}")
            time.sleep(0.005)
        answer.seek(0)
        ended, loaded = json.loads(answer.read())
    for name in loaded:
        importlib.import_module(name)
    return Ended(*ended)


def _as_child(answer: IO[bytes], words: tuple[str, ...]) -> NoReturn:
    """Does not come back into what the parent was about."""
    try:
        before = {*sys.modules}
        ended = lgsp(*words)
        loaded = [name for name in sys.modules if name not in before and name.startswith(_OURS)]
        answer.write(json.dumps((ended, loaded)).encode())
        answer.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def told(_world: World, *words: str) -> dict[str, Any]:
    """`World.lgsp` by a fork. That commands hold as programs of their own, the story proves."""
    ended = forked(*words, "--json")
    try:
        result: dict[str, Any] = json.loads(ended.out)
    except ValueError:
        raise DidNotHold(f"lgsp {' '.join(words)} gave no JSON: {ended.out[-300:]}{ended.err[-500:]}") from None
    return result

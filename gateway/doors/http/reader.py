"""Reads large JSON bodies in a process of its own: `python -m gateway.doors.http.reader`, over standard input and
output.

A thread would not do: reading half a million values holds the interpreter's lock for a tenth of a second at a time. A
frame is a length (8 bytes, big-endian) and a pickle. The door sends `Job`s, and the bundle of a missing contract.
Invariant: the process has no key and no database; it holds the current job and compiled contracts.
Invariant: a job over `JOB_SECONDS` of processor time ends the process, even inside a C function.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import pickle
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, Final, NamedTuple

from contracts.base.errors import BRANCHES, TYPES, Failure, Finding
from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from contracts.wire.jsontext import read_json

JOB_SECONDS: Final = 10.0
LENGTH: Final = 8
_KEPT: Final = 64  # contracts
_NICE: Final = 5  # the door has priority


class Job(NamedTuple):
    """A body to read as `message` in `format` of the contract `digest`. An empty `digest` means plain JSON. `at`: Unix
    time.
    """

    raw: bytes
    digest: str = ""
    format: str = ""
    message: str = ""
    at: float | None = None


class Done(NamedTuple):
    """Exactly one of `value`, `failure` (code, facts, findings) and `wanted` (a digest) is set. `seconds`: processor
    time.
    """

    seconds: float
    value: Any = None
    failure: tuple[str, Mapping[str, Any], Sequence[tuple[str, ...]]] | None = None
    wanted: str = ""


def packed(value: object) -> bytes:
    raw = pickle.dumps(value, protocol=5)
    return len(raw).to_bytes(LENGTH, "big") + raw


class _Plain(pickle.Unpickler):
    """Unpickles plain values only, so a compromised reader cannot run code in the door."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("decimal", "Decimal"):
            return Decimal
        raise pickle.UnpicklingError(f"{module}.{name}")


class _Frames:
    """A pickle that is read frame by frame (64 KiB, PEP 3154): between two of them another thread can run."""

    def __init__(self, raw: bytes) -> None:
        self._file = io.BytesIO(raw)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


def unpacked(raw: bytes) -> Done:
    """What the reader answered. A long answer is unpacked in a thread: the interpreter's lock is free after each
    frame.
    """
    return Done(*_Plain(_Frames(raw)).load())


def failure_of(done: Done) -> Failure:
    """The failure raised in the reader."""
    assert done.failure is not None
    code, facts, findings = done.failure
    error = TYPES[code]
    told: dict[str, Any] = {name: Words(*fact) if isinstance(fact, tuple) else fact for name, fact in facts.items()}
    return BRANCHES[error.branch](error, findings=[Finding(*each) for each in findings], **told)


def _carried(fact: object) -> str | int | float | tuple[str, str]:
    """A fact as plain values; a text in both languages is a pair."""
    if isinstance(fact, Words):
        return fact.vi, fact.en
    return fact if isinstance(fact, (str, int, float)) else str(fact)


def read(job: Job, contracts: Mapping[str, CompiledContract]) -> Done:
    began = time.process_time()
    try:
        if not job.digest:
            return Done(time.process_time() - began, read_json(job.raw))
        contract = contracts.get(job.digest)
        if contract is None:
            return Done(0.0, wanted=job.digest)
        value = contract.codec(job.format).read_json(job.message, job.raw, job.at)
    except Failure as failure:
        facts = {name: _carried(fact) for name, fact in failure.facts.items()}
        findings = [(each.here, each.canonical, each.got, each.rule, each.expected) for each in failure.findings]
        return Done(time.process_time() - began, failure=(failure.code, facts, findings))
    return Done(time.process_time() - began, value)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Serves jobs until the door closes the input."""
    contracts: dict[str, CompiledContract] = {}
    while head := source.read(LENGTH):
        received = pickle.loads(source.read(int.from_bytes(head, "big")))  # noqa: S301  from the door, whose child this is
        signal.setitimer(signal.ITIMER_PROF, JOB_SECONDS)  # its signal ends the process
        if isinstance(received, Bundle):
            if len(contracts) >= _KEPT:
                contracts.clear()
            contracts[received.digest] = compile_bundle(received)
            done = Done(0.0)
        else:
            done = read(received, contracts)
        answer = packed(tuple(done))
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        del received, done
        sink.write(answer)
        sink.flush()


def main() -> None:
    from gateway.hardening import leave_no_cores

    leave_no_cores()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    gc.freeze()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()

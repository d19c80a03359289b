"""One document goes the way of `contract import-…` and `contract check`, in a process of its own with bounds.

Outcomes: `passed` (a draft with nothing open but its marks), `nothing` (no operation to take, said in words), `refused`
(not read, said in words), `failed` (a draft that `check` refuses), `crashed`, `slow`.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Literal

from contracts.base.errors import Failure, Finding
from contracts.folder.bundle import Bundle
from contracts.importers.draft import write
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.shape import Note
from contracts.importers.source import MAX_BYTES, Files
from contracts.proof.check import check_bundle
from tests.contracts.importers.publiclist import Kind

SECONDS: Final = 10  # of the processor, for import and check of one document
MEMORY: Final = 2 << 30  # bytes, beside those that the process has when it begins
_WAITS: Final = 30  # times SECONDS by the clock, because other work shares the processor

State = Literal["passed", "nothing", "refused", "failed", "crashed", "slow"]
DRAFTED: Final[tuple[State, ...]] = ("passed", "failed", "crashed", "slow")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`why`: for each fault or reason, its rule or code and its words. `seconds` of the processor."""

    state: State
    why: tuple[tuple[str, str], ...] = ()
    losses: tuple[Note, ...] = ()
    seconds: float = 0.0
    operations: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One document to try: the folder of its package, its path within, and its kind."""

    folder: Path
    path: str
    kind: Kind


def tried(folder: Path, path: str, kind: Kind) -> Outcome:
    """Imports and checks one document in this process; files beside it are read inside `folder`."""
    root = folder.resolve()

    def read(name: str) -> bytes | None:
        try:
            target = (root / name).resolve()
            small = target.is_relative_to(root) and target.is_file() and target.stat().st_size <= MAX_BYTES
            return target.read_bytes() if small else None
        except (OSError, ValueError):
            return None

    try:
        interface = (import_wsdl if kind == "wsdl" else import_openapi)(Files(path, read))
    except Failure as failure:
        found = tuple((each.rule, f"{each.here}: {each.expected}") for each in failure.findings)
        state: State = "nothing" if failure.code == "import.nothing" else "refused"
        return Outcome(state, found or ((failure.code, failure.what("en")),))
    notes = tuple(interface.notes)
    try:
        draft = write(interface)
        notes, findings = draft.notes, check_bundle(Bundle.of(draft.files)).findings
    except Failure as failure:  # the contract was not loaded
        findings = list(failure.findings) or [Finding("", "", "", failure.code, failure.what("en"))]
    faults = [each for each in findings if each.rule != "left-open"]
    why = tuple((each.rule, f"{each.here} {each.canonical}: {each.got}, {each.expected}") for each in faults)
    return Outcome("failed" if faults else "passed", why[:20], notes, operations=len(interface.calls))


def _child(to: Connection, task: Task, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    most = MEMORY + int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    began = time.process_time()
    try:
        done = tried(task.folder, task.path, task.kind)
    except Exception as error:  # any: the outcome of the trial is that it crashed
        done = Outcome("crashed", ((type(error).__name__, " ".join(str(error).split())[:300]),))
    to.send((done, time.process_time() - began))


def all_tried(tasks: Sequence[Task], at_once: int = 2, seconds: int = SECONDS) -> Iterator[tuple[Task, Outcome]]:
    """Each document in a process of its own, `at_once` of them together; in the order in which they end."""
    context = multiprocessing.get_context("fork")
    left = list(reversed(tasks))
    running: dict[Connection, tuple[Task, BaseProcess, float]] = {}
    while left or running:
        while left and len(running) < at_once:
            task = left.pop()
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(theirs, task, seconds))
            process.start()
            theirs.close()
            running[mine] = (task, process, time.monotonic() + seconds * _WAITS)
        over = min(until for _, _, until in running.values())
        wait(list(running), max(0.0, over - time.monotonic()))
        for pipe, (one, child, until) in list(running.items()):
            late = until <= time.monotonic()
            if late or pipe.poll():
                del running[pipe]
                yield one, _ended(pipe, child, late, seconds)


def _ended(pipe: Connection, process: BaseProcess, late: bool, seconds: int) -> Outcome:
    try:
        if not late:
            done, took = pipe.recv()
            process.join()
            return Outcome(done.state, done.why, done.losses, took, done.operations)
    except EOFError:  # it was ended before it said anything
        process.join()
    finally:
        pipe.close()
    process.kill()
    process.join()
    if late or process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome("slow", (("slow", f"over {seconds} s"),), seconds=float(seconds))
    return Outcome("crashed", (("exit", str(process.exitcode)),))

"""What the keeper does with handlings, in a process that is killed with signal 9 at the statement or commit that was
named. `python -m tests.workflow.killed` imports everything once and makes a fork for each line of JSON on its input."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from contracts.compiled.contract import catalogue
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.journal.database import lock_of, open_engine
from gateway.registry.registry import Registry
from gateway.transfer.lease import Lease
from gateway.vault.vault import Vault
from gateway.workflow.acting import act
from gateway.workflow.opening import Opening
from gateway.workflow.records import Office, Wanted
from gateway.workflow.watching import Watching
from tests.workflow.desks import CENTRE, nothing

Job = Mapping[str, Any]


def sequencer_of(engine: Engine, folder: Path, now: float) -> Sequencer:
    key, file = LogKey.open(folder / "log.key", "localhost/lgsp-test"), CheckpointFile(folder / "point")
    return Sequencer(engine, lock_of(engine), key, file, clock=lambda: now + 1)


def _sequence(office: Office, job: Job) -> None:
    sequencer = sequencer_of(office.engine, Path(job["folder"]), job["now"])
    for _ in range(3):
        sequencer.run_once(Lease(*job["lease"]))


WORK: Mapping[str, Callable[[Office, Job], object]] = {
    "open": lambda office, _: Opening(office).step(nothing),
    "accept": lambda office, job: act(office, job["handling"], Wanted("accept", ""), CENTRE),
    "watch": lambda office, _: Watching(office, True).step(nothing),
    "sequence": _sequence,
}


def live(job: Job) -> None:
    engine, folder = open_engine(job["url"]), Path(job["folder"])
    office = Office(
        engine=engine,
        registry=Registry(engine),
        vault=Vault(folder / "keys"),
        hash_id=str,
        clock=lambda: float(job["now"]),
    )
    steps = count(1)

    def step(*_: object) -> None:
        if next(steps) == job["number"]:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    WORK[job["work"]](office, job)


def main() -> None:
    known = catalogue()  # held compiled, so that no fork compiles it anew
    assert known
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(json.loads(line))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()

"""A door and a keeper in one process that is killed with signal 9 at a step that was named beforehand; nothing in the
product knows of it.

`python -m tests.faults.killed` imports everything once and makes a fork for each line of JSON on its input, so that two
hundred deaths take seconds. What the process did is told on its output before and after each thing (`try`, `kept`,
`out`, `end`), as agencies and providers would see it; the steps are found by the driver of the database (each
statement, each commit) and around the calls that write the checkpoint.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from contracts.base.ids import new_id
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.journal import callers, processes, writer
from gateway.journal.database import lock_of, open_engine
from gateway.journal.writer import Journal
from gateway.keeper.leader import Keeper
from tests.attacks.audit.insider import ORIGIN, answered, handed_in, sent_on

ROUNDS = 3
INSIDE = ", under way"  # of a commit: some time after it began


class Steps:
    """Counts what the process does, and kills it at the n-th of one kind."""

    def __init__(self, kind: str | None, number: int, delay: float) -> None:
        self.seen: Counter[str] = Counter()
        self._kind, self._number, self._delay = kind, number, delay

    def at(self, what: str) -> None:
        thread = threading.current_thread().name
        kind = (
            what
            if what.startswith("checkpoint file")
            else f"{'door' if thread.startswith('journal') else 'keeper'}: {what}"
        )
        self.seen[kind] += 1
        if what == "COMMIT":
            self.seen[kind + INSIDE] += 1
        if self.seen[kind] != self._number or self._kind is None:
            return
        if kind == self._kind:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind + INSIDE == self._kind:
            threading.Thread(target=self._soon, daemon=True).start()

    def _soon(self) -> None:
        time.sleep(self._delay)
        os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, text: str) -> None:
        words = text.replace("(", " ").split(None, 3)[:3]
        if words[0] == "WITH":
            words = ["UPDATE", "transfer"]
        if words[0] in ("SELECT", "PRAGMA", "SET", "BEGIN", "SAVEPOINT", "RELEASE", "--"):
            words = words[:1]
        self.at(" ".join(words[: 3 if words[0] in ("INSERT", "DELETE") else 2]))


def watch(steps: Steps, engine: Any) -> None:
    """Each statement of each connection, and the calls by which the checkpoint's file is written."""
    if engine.dialect.name == "sqlite":

        def connected(connection: Any, _record: object) -> None:
            connection.set_trace_callback(steps.statement)

    else:
        import psycopg

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                steps.statement(str(query))
                return super().execute(query, *arguments, **options)

        def connected(connection: Any, _record: object) -> None:
            connection.cursor_factory = Cursor

        event.listen(engine, "commit", lambda _connection: steps.at("COMMIT"))
    event.listen(engine, "connect", connected)

    def around(name: str, of_interest: Callable[[tuple[Any, ...]], bool]) -> None:
        true: Callable[..., Any] = getattr(os, name)

        def instead(*arguments: Any, **options: Any) -> Any:
            if not of_interest(arguments):
                return true(*arguments, **options)
            steps.at(f"checkpoint file, before {name}")
            result = true(*arguments, **options)
            steps.at(f"checkpoint file, after {name}")
            return result

        setattr(os, name, instead)

    around("open", lambda given: "checkpoint" in str(given[0]) and "lock" not in str(given[0]))
    for name in ("write", "fsync", "replace"):
        around(name, lambda given: given[0] != 1)
    true_answer = callers.answer

    def answer(jobs: Any, results: Any) -> None:
        steps.at("committed, nobody told")
        true_answer(jobs, results)
        steps.at("told")

    writer.answer = answer  # type: ignore[attr-defined]  # this process is made to die here


def tell(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


async def _alert(journal: Journal) -> None:
    unit = handed_in(journal.process_id)
    assert unit.transfer is not None
    tell("try", unit.transfer.id)
    if (await journal.commit(unit)).verdict == "committed":
        tell("kept", unit.transfer.id)


async def _report(journal: Journal) -> None:
    unit = sent_on(journal.process_id)
    assert unit.transfer is not None
    id = unit.transfer.id
    tell("try", id)
    if (await journal.commit(unit)).verdict == "committed":
        tell("out", id)  # here it leaves for its provider
        if (await journal.commit(answered(journal.process_id, id))).verdict == "committed":
            tell("end", id)


async def _work(journal: Journal, keeper: Keeper, sequencer: Sequencer, rounds: int) -> None:
    loop = asyncio.get_running_loop()
    assert keeper.lease is not None

    def sequence() -> None:
        assert keeper.lease is not None
        while sequencer.run_once(keeper.lease).busy:
            pass

    for _ in range(rounds):
        calls = [*(_alert(journal) for _ in range(3)), *(_report(journal) for _ in range(2))]
        await asyncio.gather(*calls, loop.run_in_executor(None, sequence))
    await loop.run_in_executor(None, sequence)


def live(job: dict[str, Any]) -> Steps:
    """One life: recover what the one before left, take messages in, sequence."""
    steps = Steps(job.get("kind"), job.get("number", 1), job.get("delay", 0.0))
    folder = Path(job["folder"])
    engine = open_engine(job["url"])
    watch(steps, engine)
    lock, name = lock_of(engine), new_id()
    sequencer = Sequencer(
        engine,
        lock,
        LogKey.open(folder / "keys" / "log.key", ORIGIN),
        CheckpointFile(folder / "log" / "checkpoint"),
        limit=8,
    )
    processes.register(engine, f"keeper-{name}", "keeper")
    keeper = Keeper(engine, f"keeper-{name}", sequencer)
    keeper.tick()
    journal = Journal(engine, lock, f"door-{name}")
    journal.start()
    asyncio.run(_work(journal, keeper, sequencer, job.get("rounds", ROUNDS)))
    if job.get("end", True):
        journal.stop()
    return steps


def main() -> None:
    logging.disable(logging.WARNING)  # that processes died is no news here
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                tell("steps", json.dumps(live(job).seen))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        tell("gone", str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()

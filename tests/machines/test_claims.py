"""One files worker works in a drop folder that machines share; another takes it over when that one is dead."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from sqlalchemy import Engine, update

from adapters.files import Folder
from gateway.journal import processes
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.machines.claims import ASK_SECONDS, DropClaims
from tests.journal.databases import database as database


def claims(engine: Engine, name: str, now: list[float]) -> DropClaims:
    processes.register(engine, name, "files")
    return DropClaims(engine, name, lambda: now[0])


def state(engine: Engine, name: str, state: str) -> None:
    with writing(engine) as connection:
        connection.execute(update(tables.process).where(tables.process.c.id == name).values(state=state))


def test_one_holds_until_it_is_dead(database: Engine) -> None:
    now = [0.0]
    one, two = claims(database, "files-1", now), claims(database, "files-2", now)
    assert one.hold("shared") and one.hold("shared") and not two.hold("shared")
    assert two.hold("on the second machine alone")
    for ends in ("dead", "ended"):
        state(database, "files-1", "alive")
        now[0] += ASK_SECONDS
        assert not two.hold("shared")
        state(database, "files-1", ends)
        assert not two.hold("shared"), "it does not ask all the time"
    now[0] += ASK_SECONDS
    assert two.hold("shared")


def test_released_it_is_another_s(database: Engine) -> None:
    now = [0.0]
    one, two = claims(database, "files-1", now), claims(database, "files-2", now)
    assert one.hold("a") and one.hold("b") and not two.hold("a")
    one.release()
    now[0] += ASK_SECONDS
    assert two.hold("a") and two.hold("b") and not one.hold("a")


def test_of_many_at_once_one_holds(database: Engine) -> None:
    several = [claims(database, f"files-{number}", [0.0]) for number in range(6)]
    start, held = threading.Barrier(len(several)), []

    def ask(each: DropClaims) -> None:
        start.wait()
        held.append(each.hold("shared"))

    threads = [threading.Thread(target=ask, args=(each,)) for each in several]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(held) == [False] * 5 + [True]


def test_a_folder_has_one_id_wherever_it_is_opened(tmp_path: Path) -> None:
    one, two, other = (Folder(tmp_path / name, 0.0, time.monotonic) for name in ("a", "a", "b"))
    try:
        assert one.place() == two.place() == one.place() != other.place()
        assert one.claimed() == [] and one.settled() == []
    finally:
        for each in (one, two, other):
            each.close()

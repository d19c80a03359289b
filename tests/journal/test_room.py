"""A disk without room: the journal's trouble lasts as long as commits fail, although its beats succeed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from contracts.base.errors import Ours
from gateway.journal import processes
from gateway.journal.database import lock_of, migrate, open_engine
from gateway.journal.schema import tables
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from tests.faults.load import until
from tests.faults.test_faults_disk import fill, small_disk
from tests.journal.databases import committed, migrated, submission
from tests.journal.pairs import paired

__all__ = ["small_disk"]  # the fixture

pytestmark = pytest.mark.server


def test_of_sqlite(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filler = small_disk / "filler"
    stays_in_trouble(migrated("sqlite", small_disk), lambda: fill(filler), filler.unlink, monkeypatch)


def test_of_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    with paired(room=192) as pair:
        engine = open_engine(pair.fresh_url())
        migrate(engine)
        stays_in_trouble(engine, pair.primary.fill, pair.primary.empty, monkeypatch)


def stays_in_trouble(
    engine: Engine, fill: Callable[[], None], empty: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BEAT_SECONDS", 0.1)
    journal = Journal(engine, lock_of(engine), "door-1")
    journal.start()
    committed(journal, submission("door-1"))
    fill()
    with pytest.raises(Ours) as refused:
        for _ in range(100):
            committed(journal, large())
    assert refused.value.code == "journal.unavailable" and refused.value.type.passing
    assert "the disk is full" in refused.value.what("en") and "đĩa đã đầy" in refused.value.what("vi")
    seen, end = {beat(engine)}, time.monotonic() + 60
    while len(seen) < 5:
        seen.add(beat(engine))
        assert journal.trouble is not None, f"a beat that succeeded proves no room ({len(seen)})"
        assert time.monotonic() < end, "it beats while the disk is full"
    with pytest.raises(Ours):
        committed(journal, large())
    empty()
    until("it knows that there is room", lambda: journal.trouble is None)
    assert committed(journal, large()).verdict is Verdict.COMMITTED
    journal.stop()
    engine.dispose()


def beat(engine: Engine) -> float:
    with engine.connect() as connection:
        return float(connection.execute(select(tables.process.c.seen)).scalar_one())


def large() -> Write:
    """With a body of which no page has room."""
    unit = submission("door-1")
    return unit._replace(vault=tuple(row._replace(sealed=os.urandom(1_000_000)) for row in unit.vault))

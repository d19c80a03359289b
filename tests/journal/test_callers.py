"""What a unit waited in the queue counts: its caller has an answer in time, also behind one that took long."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from contracts.base.errors import Ours
from gateway.journal import callers
from gateway.journal.callers import Waiting
from gateway.journal.database import open_engine
from gateway.journal.limits import for_calls, for_work, presence_of
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from tests.journal.databases import committed, frozen, migrated, submission

SECONDS = 8.0


def aged(unit: Write, seconds: float) -> Waiting:
    return callers.waiting(unit)._replace(since=time.monotonic() - seconds)


def handed_in(journal: Journal, waited: float) -> tuple[str, float]:
    """What the caller of a unit is told that waits since `waited` seconds, and how long that takes."""

    async def hand_in() -> tuple[str, float]:
        job = aged(submission(journal.process_id), waited)
        began = time.monotonic()
        journal._put(job)
        try:
            told = (await job.future).verdict.name
        except Ours as failure:
            told = failure.code
        return told, time.monotonic() - began

    return asyncio.run(hand_in())


def test_nobody_waits_longer_than_limits_say() -> None:
    async def made() -> None:
        jobs = [aged(Write(), seconds) for seconds in (4.0, 2.4, 0.0)]
        limits = for_calls(SECONDS)
        assert callers.too_late(jobs, limits) == jobs[:1]
        now = time.monotonic()
        assert now + SECONDS / 2 < callers.until(jobs[1:], limits) < now + 0.8 * SECONDS
        assert now + 0.8 * SECONDS < callers.until([], limits) < now + SECONDS
        for unlimited in (None, for_work(SECONDS)):  # SQLite, and where nobody waits
            assert not callers.too_late(jobs, unlimited) and callers.until(jobs, unlimited) == float("inf")

    asyncio.run(made())


@pytest.mark.full
@pytest.mark.server
def test_a_unit_that_waited_has_its_answer_sooner(tmp_path: Path) -> None:
    """While the server answers nothing, and while it does."""
    made = migrated("postgresql", tmp_path)
    url = made.url.render_as_string(hide_password=False)
    made.dispose()
    took = []
    for waited in (0.0, SECONDS / 5):
        engine = open_engine(url, for_calls(SECONDS))
        journal = Journal(engine, None, f"door after {waited:.1f} s")
        journal.start()
        committed(journal, Write())
        assert handed_in(journal, waited)[0] == Verdict.COMMITTED.name
        assert handed_in(journal, 3 * SECONDS / 4)[0] == "journal.busy", "it might end too late for its caller"
        with frozen():
            told, seconds = handed_in(journal, waited)
        assert told == "journal.unavailable"
        took.append(seconds)
        journal.stop()
        engine.dispose()
    assert took[1] < 0.9 * took[0], took


@pytest.mark.full
@pytest.mark.server
def test_a_slow_statement_of_a_unit_that_waited_is_no_silent_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its callers are told to come again; the others go on, on a new connection."""
    engine = migrated("postgresql", tmp_path)
    limited = open_engine(engine.url.render_as_string(hide_password=False), for_calls(SECONDS))
    journal = Journal(limited, None, "door slow")
    journal.start()
    committed(journal, Write())
    with engine.begin() as blocking:
        blocking.execute(text("LOCK TABLE transfer IN EXCLUSIVE MODE"))
        while "took longer" not in caplog.text:  # else this machine stood still, and it waited too long before
            assert handed_in(journal, SECONDS / 3)[0] == "journal.busy"
        assert not presence_of(limited).away and journal.trouble is None
    assert committed(journal, submission(journal.process_id)).verdict is Verdict.COMMITTED
    journal.stop()
    limited.dispose()
    engine.dispose()

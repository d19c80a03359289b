"""Who waits for what another process committed is woken, and looks itself where nobody wakes him."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.feeds.arrivals import Arrivals
from gateway.journal import processes
from gateway.journal.database import lock_of, open_engine
from gateway.journal.wakes import PENDING, QUEUE, Waker, wakes_of
from gateway.journal.write import QueueRow, Write
from gateway.journal.writer import Journal
from gateway.keeper.leader import Keeper
from tests.journal.databases import committed, migrated, submission, transfer_row

FEED_NAME = "incident-alert/v1"


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[Engine]]:
    """Of three processes."""
    first = migrated("postgresql", tmp_path)
    made = [first, *(open_engine(first.url.render_as_string(hide_password=False)) for _ in range(2))]
    yield made
    for engine in made:
        wakes_of(engine).stop()
        engine.dispose()


async def listening(engine: Engine) -> None:
    async with asyncio.timeout(60):
        while not wakes_of(engine).connected:
            await asyncio.sleep(0.01)


async def test_a_commit_wakes_other_processes(engines: list[Engine]) -> None:
    """By topic; a message between two waits counts; and again after the listener's connection was lost."""
    there, here, _ = engines
    journal = Journal(there, None, "door-1")
    journal.start()
    wakes_of(here).start(here)
    await listening(here)
    pending, queue = wakes_of(here).waker(PENDING), wakes_of(here).waker(QUEUE)

    async def woken(waker: Waker) -> bool:
        return await waker.wait(0.0, slow=30.0) or await waker.wait(0.01, slow=30.0)

    for each in (pending, queue):
        await woken(each)  # what came before is looked for
    await asyncio.to_thread(committed, journal, submission("door-1"))
    assert await woken(pending) and not await queue.wait(0.01, slow=0.01)
    row = QueueRow("q-1", "do-thi", "q-1/canonical", 1.0)
    unit = Write(transfer=transfer_row("door-1", id="q-1", state="queued"), queue=row)
    await asyncio.to_thread(committed, journal, unit)
    assert await woken(queue)
    with there.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(text(f"{others} AND datname = current_database()"))
    async with asyncio.timeout(60):
        while wakes_of(here).connected:
            await asyncio.sleep(0.01)
    await pending.wait(0.05, slow=600.0)  # as long as it says, while nobody would wake it
    await listening(here)
    await woken(pending)
    await asyncio.to_thread(committed, journal, submission("door-1"))
    assert await woken(pending)
    journal.stop()


@pytest.mark.parametrize("woken", [True, False])
async def test_from_the_journal_to_a_reader(engines: list[Engine], tmp_path: Path, woken: bool) -> None:
    """Journal, sequencing keeper and waiting reader in three processes: woken it takes less than one slow look."""
    door, keeping, reading = engines
    journal = Journal(door, None, "door-1")
    journal.start()
    processes.register(keeping, "keeper-1", "keeper")
    (tmp_path / "keys").mkdir()
    key = LogKey.open(tmp_path / "keys" / "log.key", "tinh.example/thu")
    keeper = Keeper(
        keeping, "keeper-1", Sequencer(keeping, lock_of(keeping), key, CheckpointFile(tmp_path / "checkpoint"))
    )
    if woken:
        for each in (keeping, reading):
            wakes_of(each).start(each)
            await listening(each)
    thread = threading.Thread(target=lambda: asyncio.run(keeper.run()))
    thread.start()

    def newest() -> int:
        with reading.connect() as connection:
            return int(connection.execute(text('SELECT coalesce(max("offset"), 0) FROM feed_event')).scalar_one())

    async def look(_names: object) -> dict[str, int]:
        return {FEED_NAME: await asyncio.to_thread(newest)}

    arrivals, took = Arrivals(look, wakes_of(reading)), []
    for number in range(12):
        waiting = asyncio.create_task(arrivals.after({FEED_NAME: number}, 60.0, lambda: False))
        await asyncio.sleep(0.3 + 0.05 * number)
        began = time.monotonic()
        await asyncio.to_thread(committed, journal, submission("door-1"))
        assert await waiting
        took.append(time.monotonic() - began)
    took = sorted(took[2:])
    count = text("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")

    def transactions() -> int:
        with door.connect() as connection:
            connection.execute(text("SELECT pg_stat_clear_snapshot()"))
            return int(connection.execute(count).scalar_one())

    waiting = asyncio.create_task(arrivals.after({FEED_NAME: 99}, 6.0, lambda: False))
    before = transactions()
    await waiting
    idle = (transactions() - before) / 6.0
    print(f"woken {woken}: median {took[5] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms; idle {idle:.1f}/s")
    keeper.stop()
    thread.join(60)
    journal.stop()

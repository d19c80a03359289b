"""Who waits for what another process committed is woken; and looks itself, seldom while it would be woken, else often.

`only_woken`: looks are ten minutes apart, so that only a message ends a wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text, update

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.feeds.arrivals import Arrivals
from gateway.feeds.heads import offsets
from gateway.journal import jobs, processes, wakes
from gateway.journal.append import append
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.limits import Limits, for_calls, for_work
from gateway.journal.schema import tables
from gateway.journal.wakes import FEED, LISTENER, ORDERS, PENDING, QUEUE, TOPICS, Waker, waker
from gateway.journal.write import QueueRow, Write
from gateway.journal.writer import Journal
from gateway.keeper.leader import Keeper
from gateway.keeper.periodic import ScheduledTask
from gateway.transfer.lease import Lease
from tests.journal.databases import committed, frozen, log_row, migrated, submission, transfer_row

CONTRACT = "incident-alert/v1"
LONG = 60.0  # a bound for what never comes
SILENT = 0.7
LISTENERS = f"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{LISTENER}'"


BOTH = pytest.mark.parametrize("engines", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Each one is that of another process."""
    first = migrated(getattr(request, "param", "postgresql"), tmp_path)
    made = [first]

    def another(limits: Limits = for_work(5.0)) -> Engine:  # noqa: B008  (immutable)
        made.append(open_engine(first.url.render_as_string(hide_password=False), limits))
        return made[-1]

    yield another
    for engine in made:
        engine.dispose()


@pytest.fixture
def only_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "SLOW_SECONDS", (600.0, 600.0))


@pytest.fixture
def journal(engines: Callable[..., Engine]) -> Iterator[Journal]:
    """Of a door on another machine."""
    engine = engines()
    journal = Journal(engine, lock_of(engine), "door-1")
    journal.start()
    yield journal
    journal.stop()


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not done():
            await asyncio.sleep(0.01)


async def quiet(*wakers: Waker) -> None:
    """Connected, and the messages of that were taken."""

    async def one(each: Waker) -> None:
        await until(lambda: each.connected)
        await each.wait(1.0)
        assert not await each.wait(0.2)

    await asyncio.gather(*map(one, wakers))


async def write(journal: Journal, *units: Write) -> None:
    for unit in units or (submission("door-1"),):
        await asyncio.to_thread(committed, journal, unit)


def queued() -> Write:
    row = QueueRow("q-1", "do-thi", "q-1/canonical", 1.0)
    return Write(transfer=transfer_row("door-1", id="q-1", state="queued"), queue=row)


def noted(engine: Engine) -> None:
    with writing(engine) as connection:
        append(connection, [log_row("note-1", "note")])


def ordered(engine: Engine) -> None:
    with writing(engine) as connection:
        jobs.add(connection, "report", "all", ("an@tinh.example", ""), 1.0)


def untold(engine: Engine) -> None:
    """As a release wrote that knows no messages."""
    with engine.begin() as connection:
        row = log_row("untold-1", "note")
        connection.execute(
            insert(tables.log_pending).values(transfer=row.transfer, phase=row.phase, entry=row.entry, leaf=row.leaf)
        )


async def test_a_commit_wakes_other_processes_by_topic(engines: Callable[..., Engine], journal: Journal) -> None:
    """The journal's, and any other writing transaction. A message between two waits ends the next one."""
    here = engines()
    pending, queue, orders = waker(here, PENDING), waker(here, QUEUE), waker(here, ORDERS)
    await quiet(pending, queue, orders)
    await write(journal)
    assert await pending.wait(LONG) and not await queue.wait(0.2)
    await write(journal, queued())
    assert await queue.wait(LONG)
    await quiet(pending)
    await asyncio.to_thread(noted, engines())
    assert await pending.wait(LONG) and not await queue.wait(0.2)
    await asyncio.to_thread(ordered, engines())
    assert await orders.wait(LONG) and not await queue.wait(0.2)


async def test_many_commits_are_few_messages(engines: Callable[..., Engine], journal: Journal) -> None:
    heard, one = list[str](), waker(engines(), PENDING)
    await quiet(one)
    listener = one._listener
    old, listener._heard = listener._heard, lambda channel: (heard.append(channel), old(channel))  # type: ignore
    began = time.monotonic()
    await write(journal, *(submission("door-1") for _ in range(40)))
    spent = time.monotonic() - began
    await one.wait(1.0)
    await until(lambda: heard)
    await asyncio.sleep(3 * wakes.TELL_SECONDS)
    assert 1 <= len(heard) <= 2 + spent / wakes.TELL_SECONDS


async def test_a_listener_whose_connection_is_killed_is_back(
    engines: Callable[..., Engine], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile each waits as long as it says, and no longer; then messages come again."""
    monkeypatch.setattr(wakes, "_AGAIN_SECONDS", 0.5)
    one, other = waker(engines(), PENDING), engines()
    await quiet(one)
    assert one.pause(0.2) >= min(wakes.SLOW_SECONDS)
    with other.connect() as connection:
        for _ in connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) found")):
            pass
    await until(lambda: not one.connected)
    assert one.pause(0.2) == 0.2
    assert await one.wait(LONG), "it looks at once"
    await quiet(one)
    await write(journal)
    assert await one.wait(LONG)


@pytest.mark.parametrize("limits", [for_calls(SILENT), for_work(SILENT)])
async def test_a_primary_that_falls_silent_does_not_hang_it(
    engines: Callable[..., Engine], journal: Journal, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "ALIVE_SECONDS", 0.2)
    one = waker(engines(limits), PENDING)
    await quiet(one)
    with frozen():
        await until(lambda: not one.connected)
        assert one.pause(0.2) == 0.2
    await quiet(one)
    await write(journal)
    assert await one.wait(LONG)


async def test_it_listens_as_long_as_somebody_waits(
    engines: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "ALIVE_SECONDS", 0.2)
    here, other = engines(), engines()

    def listening() -> int:
        with other.connect() as connection:
            return len(connection.execute(text(LISTENERS)).all())

    for _ in range(2):
        one = waker(here, FEED)
        await quiet(one)
        assert listening() == 1
        del one
        await until(lambda: not listening())


@pytest.mark.full
@pytest.mark.parametrize("engines", ["sqlite"], indirect=True)
async def test_on_sqlite_a_commit_is_seen_by_topic(engines: Callable[..., Engine]) -> None:
    """Of this process or another. What concerns no topic wakes nobody."""
    here = engines()
    wakers = {topic: waker(here, topic) for topic in TOPICS}
    queue, event = tables.queue, tables.feed_event

    async def wakes_only(topic: str | None, engine: Engine, *statements: Any) -> None:
        with writing(engine) as connection:
            for each in statements:
                connection.execute(each)
        assert topic is None or await wakers[topic].wait(LONG)
        others = [one for other, one in wakers.items() if other != topic]
        assert not any(await asyncio.gather(*(one.wait(0.3) for one in others))), topic

    await quiet(*wakers.values())
    assert all(one.pause(0.2) >= min(wakes.SLOW_SECONDS) for one in wakers.values())
    for number, engine in enumerate((here, engines())):
        await asyncio.to_thread(processes.register, engine, f"door-{number}", "door")
        row = {"transfer": f"q-{number}", "provider": "do-thi", "body_ref": "-", "state": "waiting", "tries": 0}
        await wakes_only(None, engine, insert(queue).values(**row, next_at=time.time() + 3600.0))
        await wakes_only(QUEUE, engine, update(queue).values(next_at=1.0))
        await wakes_only(None, engine, update(queue).values(state="done"))
        row = {"contract": CONTRACT, "offset": number, "transfer": f"f-{number}", "event": "-", "body_ref": "-"}
        await wakes_only(FEED, engine, insert(event).values(**row, sequenced=1.0))
        await asyncio.to_thread(ordered, engine)
        await wakes_only(ORDERS, engine)
    await asyncio.to_thread(noted, here)
    await wakes_only(PENDING, here)


async def test_nobody_is_woken_for_a_database_in_memory() -> None:
    engine = open_engine("sqlite://")
    one = waker(engine, PENDING)
    assert not await one.wait(0.2)
    assert one.pause(0.2) == 0.2 and not one.connected
    engine.dispose()


# --- keeper and readers -----------------------------------------------------------------------------------------------
@asynccontextmanager
async def leading(engine: Engine, folder: Path, *tasks: ScheduledTask) -> AsyncIterator[Keeper]:
    """A keeper in an event loop of its own, that has nothing to do any more."""
    processes.register(engine, "keeper-1", "keeper")
    (folder / "keys").mkdir()
    key = LogKey.open(folder / "keys" / "log.key", "tinh.example/thu")
    sequencer = Sequencer(engine, lock_of(engine), key, CheckpointFile(folder / "checkpoint"))
    keeper = Keeper(engine, "keeper-1", sequencer, tasks)
    thread = threading.Thread(target=lambda: asyncio.run(keeper.run()))
    thread.start()
    try:
        await until(lambda: keeper.lease)
        yield keeper
    finally:
        keeper.stop()
        await asyncio.to_thread(thread.join, LONG)


def sequenced(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM log_entry")).scalar_one())


def arrivals(engine: Engine) -> Arrivals:
    def read() -> dict[str, int]:
        with engine.connect() as connection:
            return dict(offsets(connection, [CONTRACT]))

    return Arrivals(engine, lambda _contracts: asyncio.to_thread(read))


async def settled(engine: Engine) -> None:
    """All of this process listen, and looked once more after that."""
    await quiet(*(waker(engine, topic) for topic in TOPICS))
    await asyncio.sleep(0.5)


@pytest.mark.full
@BOTH
async def test_from_the_journal_to_a_reader(
    engines: Callable[..., Engine], journal: Journal, tmp_path: Path, only_woken: None
) -> None:
    """Journal, leading keeper and waiting reader in three processes."""
    keeping, reading = engines(), engines()
    waiting, took = arrivals(reading), list[float]()
    async with leading(keeping, tmp_path):
        first = asyncio.create_task(waiting.after({CONTRACT: 0}, LONG, lambda: False))
        await settled(keeping)
        await settled(reading)
        for number in range(6):
            began = time.monotonic()
            await write(journal)
            assert await first
            took.append(time.monotonic() - began)
            first = asyncio.create_task(waiting.after({CONTRACT: number + 1}, LONG, lambda: False))
            assert await waiting.after({CONTRACT: number}, LONG, lambda: False), "what came before it waited"
            await asyncio.sleep(0.4)
        first.cancel()
    print(f"from the journal to a reader: {median(took) * 1000:.0f} ms")


@BOTH
async def test_a_message_that_was_lost_costs_a_moment(engines: Callable[..., Engine], tmp_path: Path) -> None:
    keeping, other = engines(), engines()
    async with leading(keeping, tmp_path):
        await settled(keeping)
        await asyncio.to_thread(untold, other)
        await until(lambda: sequenced(other))


class Runs:
    """A job that counts when it is run, and is woken by what is queued."""

    topic = QUEUE

    def __init__(self) -> None:
        self.count, self.rest = 0, True

    async def run_once(self, lease: Lease) -> int:
        self.count += 1
        return 0

    def rests(self) -> bool:
        return self.rest


@BOTH
async def test_a_job_rests_until_it_is_woken(
    engines: Callable[..., Engine], journal: Journal, tmp_path: Path, only_woken: None
) -> None:
    """Unless something falls due meanwhile."""
    keeping, job = engines(), Runs()
    async with leading(keeping, tmp_path, ScheduledTask("runs", "it does not run", 0.05, job)):
        await settled(keeping)
        before = job.count
        await asyncio.sleep(0.5)
        assert job.count == before
        await write(journal, queued())
        await until(lambda: job.count > before)
        job.rest = False
        await write(journal, queued()._replace(transfer=transfer_row("door-1", id="q-2", state="queued")))
        before = job.count
        await until(lambda: job.count > before + 5)

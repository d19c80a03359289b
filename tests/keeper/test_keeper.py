"""The keeper: one leads; what the dead left open is closed once, by the table of states; the living are left alone."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from contracts.base.ids import new_id
from gateway.journal import processes
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import Verdict
from gateway.journal.writer import Journal
from gateway.keeper import recovery
from gateway.keeper.leader import LEAD_SECONDS, Clocks, Keeper
from gateway.keeper.periodic import ScheduledTask
from gateway.transfer.lease import COUNTED_SECONDS, LEASE_SECONDS, Lease, WatchedTime
from tests.journal.databases import committed, intent, outcome


@pytest.fixture
def idle_log(make_log: Any) -> Any:
    log = make_log()
    with writing(log.engine) as connection:
        connection.execute(update(tables.lease).values(until=0.0))
    return log


def keeper(log: Any, name: str = "keeper-a", tasks: Any = (), **options: Any) -> Keeper:
    processes.register(log.engine, name, "keeper")
    return Keeper(log.engine, name, log.sequencer(), tasks, **options)


def gone_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return child.pid


def add_process(
    engine: Engine,
    name: str,
    *,
    pid: int,
    host: str,
    state: str = "alive",
    seen: float = 0.0,
    started: float | None = None,
) -> None:
    with writing(engine) as connection:
        started = time.time() if started is None else started
        connection.execute(
            insert(tables.process).values(
                id=name, kind="door", pid=pid, host=host, started=started, seen=seen, state=state
            )
        )


def leave_open(engine: Engine, owner: str, *, idempotent: bool) -> str:
    journal = Journal(engine, lock_of(engine), owner)
    journal.start()
    unit = intent(owner, idempotent=idempotent)
    assert unit.transfer is not None
    assert committed(journal, unit).verdict is Verdict.COMMITTED
    journal._open = False
    journal._queue.put(None)
    assert journal._thread is not None
    journal._thread.join()  # ends without a word, as a killed process does
    return unit.transfer.id


def kill(engine: Engine, name: str) -> None:
    with writing(engine) as connection:
        connection.execute(update(tables.process).where(tables.process.c.id == name).values(pid=gone_pid()))


def state_of(engine: Engine, id: str) -> tuple[str, str | None]:
    with engine.connect() as connection:
        row = connection.execute(select(tables.transfer).where(tables.transfer.c.id == id)).one()
    return row.state, row.process


def phases(engine: Engine, id: str) -> list[str]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                select(tables.log_pending.c.phase)
                .where(tables.log_pending.c.transfer == id)
                .order_by(tables.log_pending.c.id)
            ).scalars()
        )


def test_a_killed_doors_transfers_are_in_doubt_or_queued_again(idle_log: Any) -> None:
    engine = idle_log.engine
    once, again = leave_open(engine, "door-1", idempotent=False), leave_open(engine, "door-1", idempotent=True)
    alive = leave_open(engine, "door-2", idempotent=True)
    kill(engine, "door-1")
    one = keeper(idle_log)
    one.tick()
    assert state_of(engine, once) == ("in-doubt", "door-1") and phases(engine, once) == ["intent", "in-doubt"]
    assert state_of(engine, again) == ("queued", None) and phases(engine, again) == ["intent", "in-doubt"]
    assert state_of(engine, alive) == ("forwarding", "door-2")
    with engine.connect() as connection:
        row = connection.execute(select(tables.queue)).one()
    assert (row.transfer, row.body_ref, row.state, row.provider) == (again, f"{again}/canonical", "waiting", "do-thi")
    one.tick()
    assert phases(engine, once) == ["intent", "in-doubt"]


def test_its_late_outcome_is_fenced(idle_log: Any) -> None:
    """A door that was taken for dead, and was not, cannot end what the keeper closed."""
    engine = idle_log.engine
    journal = Journal(engine, lock_of(engine), "door-1")
    journal.start()
    unit = intent("door-1", idempotent=False)
    assert unit.transfer is not None
    committed(journal, unit)
    kill(engine, "door-1")
    keeper(idle_log).tick()
    assert committed(journal, outcome("door-1", unit.transfer.id)).verdict is Verdict.FENCED
    assert state_of(engine, unit.transfer.id)[0] == "in-doubt" and journal.fenced
    journal.stop()


def test_in_doubt_a_second_time_is_logged_a_second_time(idle_log: Any) -> None:
    engine = idle_log.engine
    id = leave_open(engine, "door-1", idempotent=True)
    kill(engine, "door-1")
    one = keeper(idle_log)
    one.tick()
    add_process(engine, "keeper-old", pid=1, host="elsewhere", state="ended")
    with writing(engine) as connection:
        connection.execute(update(tables.transfer).values(state="forwarding", process="keeper-old"))
        connection.execute(update(tables.queue).values(state="leased", epoch=1))
    one.tick()
    assert phases(engine, id) == ["intent", "in-doubt", "in-doubt#2"]
    with engine.connect() as connection:
        row = connection.execute(select(tables.queue)).one()
    assert (row.state, row.epoch) == ("waiting", None)


def test_silence_is_measured_by_the_keepers_own_clock(idle_log: Any) -> None:
    engine, now = idle_log.engine, [100.0]
    add_process(engine, "far", pid=1, host="another machine", seen=time.time() + 5000)  # its clock runs ahead
    add_process(engine, "beating", pid=1, host="another machine", seen=1.0)
    watch = recovery.HeartbeatMonitor(lambda: now[0])

    def look() -> set[str]:
        with engine.connect() as connection:
            return {one.id for one in watch.look(connection, "me")}

    assert look() == set()
    for step in range(1, 12):
        now[0] += 1
        with writing(engine) as connection:
            connection.execute(update(tables.process).where(tables.process.c.id == "beating").values(seen=1.0 + step))
        found = look()
    assert found == {"far"}
    watch.forget()
    assert look() == set()


def test_a_keeper_that_stood_still_has_not_seen_others_silent(idle_log: Any) -> None:
    """A machine that is stopped for a while wakes before the doors on it beat again."""
    engine, now = idle_log.engine, [100.0]
    add_process(engine, "door", pid=1, host="another machine", seen=1.0)
    watch = recovery.HeartbeatMonitor(WatchedTime(lambda: now[0]))
    with engine.connect() as connection:
        assert watch.look(connection, "me") == []
        now[0] += 60
        assert watch.look(connection, "me") == []
        before = now[0]
        while not watch.look(connection, "me") and now[0] < before + 100:
            now[0] += 0.5
        assert now[0] - before == recovery.DEAD_SECONDS - COUNTED_SECONDS, "while it looks often"


def test_who_beats_in_the_meantime_is_not_declared_dead(database: Engine) -> None:
    add_process(database, "door", pid=1, host="elsewhere", seen=5.0)
    with writing(database) as connection:
        assert not recovery.declare_dead(connection, recovery.Dead("door", 4.0, "silent"))
        assert recovery.declare_dead(connection, recovery.Dead("door", 5.0, "silent"))
        assert not recovery.declare_dead(connection, recovery.Dead("door", 5.0, "silent"))


def test_a_pid_given_to_another_process_is_told_by_its_start() -> None:
    import os

    here, now = processes.host(), time.time()
    assert processes.gone(gone_pid(), here, now) is True
    assert processes.gone(os.getpid(), here, now) is False
    assert processes.gone(os.getpid(), here, now - 100_000) is True  # that one started long before us
    assert processes.gone(gone_pid(), "another machine", now) is None


def test_replay_keys_are_forgotten_after_their_grace(idle_log: Any) -> None:
    now = time.time()
    with writing(idle_log.engine) as connection:
        for key, expires in ((b"old", now - recovery.REPLAY_GRACE - 5), (b"grace", now - 5), (b"new", now + 300)):
            connection.execute(insert(tables.replay).values(key=key, expires=expires))
    keeper(idle_log).tick()
    with idle_log.engine.connect() as connection:
        assert set(connection.execute(select(tables.replay.c.key)).scalars()) == {b"grace", b"new"}


def test_one_leads_and_the_other_takes_over_from_the_dead_at_once(idle_log: Any) -> None:
    engine = idle_log.engine
    first, second = keeper(idle_log, "keeper-a"), keeper(idle_log, "keeper-b")
    first.tick()
    second.tick()
    lease, none = first.lease, second.lease
    assert lease is not None and none is None
    kill(engine, "keeper-a")
    second.tick()
    assert second.lease is not None and second.lease.epoch == lease.epoch + 1
    first.tick()  # it was not dead after all, but was declared so
    assert first.fenced and first.lease is None


@pytest.mark.parametrize("phase", [0.01, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("work", [0.0, 0.05, 0.2])
def test_another_machine_leads_within_five_seconds_of_a_death_that_it_cannot_see(
    idle_log: Any, phase: float, work: float
) -> None:
    """Both look each second and `work` for as long; `phase`: how long after the leader the other one looks."""
    at = [0.0]
    clocks = Clocks(monotonic=lambda: at[0])
    first, second = (keeper(idle_log, name, clocks=clocks) for name in ("keeper-a", "keeper-b"))
    with writing(idle_log.engine) as connection:
        connection.execute(update(tables.process).where(tables.process.c.id == "keeper-a").values(host="elsewhere"))
    for look in range(6):
        at[0] = renewed = look * (LEAD_SECONDS + work)
        first.tick()
        at[0] += phase
        second.tick()
        assert first.lease is not None and second.lease is None, "nobody leads while another renews"
        epoch = first.lease.epoch
    while second.lease is None:
        at[0] += LEAD_SECONDS + work
        second.tick()
        assert at[0] - renewed < 5.0
    assert at[0] - renewed >= LEASE_SECONDS and second.lease.epoch == epoch + 1


class Queue:
    def __init__(self) -> None:
        self.leases: list[Lease] = []

    async def run_once(self, lease: Lease) -> int:
        self.leases.append(lease)
        return 0


def test_running_sequences_delivers_and_gives_the_lease_back(idle_log: Any) -> None:
    engine, queue = idle_log.engine, Queue()

    async def work() -> Keeper:
        one = keeper(idle_log, tasks=[ScheduledTask("queue", "the queue is not delivered", 0.01, queue)])
        running = asyncio.create_task(one.run())
        for name in (new_id(), new_id()):
            idle_log.pend(name)
            async with asyncio.timeout(60):
                while True:
                    with engine.connect() as connection:
                        if connection.execute(
                            select(tables.log_entry.c.idx).where(tables.log_entry.c.transfer == name)
                        ).first():
                            break
                    await asyncio.sleep(0.02)
        idle_log.pend("last")
        one.stop()
        await running
        return one

    one = asyncio.run(work())
    assert queue.leases and one.trouble is None
    with engine.connect() as connection:
        assert connection.execute(select(tables.lease.c.until)).scalar() == 0.0
    report = idle_log.verify()
    assert report.ok and report.size == 3


def test_an_inconsistent_log_is_said_and_not_signed(idle_log: Any) -> None:
    idle_log.file.path.parent.mkdir(parents=True, exist_ok=True)
    idle_log.file.path.write_text(idle_log.key.sign(5, b"\x01" * 32))

    async def work() -> Keeper:
        one = keeper(idle_log)
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(60):
            while one.trouble is None:
                await asyncio.sleep(0.02)
        one.stop()
        await running
        return one

    assert "5 entries were signed" in str(asyncio.run(work()).trouble)

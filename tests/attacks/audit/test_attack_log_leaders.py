"""Two sequencers on one log, and one that wakes up after another has led: one log, no gap, nothing twice, and what is
stale writes nothing."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, event, select, update

from contracts.base.errors import Failure
from gateway.audit.verify.complete import check_complete
from gateway.audit.verify.verify import verify_log
from gateway.journal.database import lock_path, open_engine, snapshot, writing
from gateway.journal.schema import tables
from gateway.transfer import lease as leases
from tests.attacks.audit.insider import ORIGIN, Gateway, commit, handed_in
from tests.faults.load import until
from tests.journal import databases

pytestmark = pytest.mark.server
ROOT = Path(__file__).resolve().parents[3]


class Process:
    def __init__(self, gateway: Gateway, name: str) -> None:
        self.name = name
        self.out = gateway.folder / f"{name}.log"
        url = gateway.engine.url.render_as_string(hide_password=False)
        with self.out.open("wb") as out:
            command = [sys.executable, "-m", "tests.attacks.audit.keepers", url, str(gateway.folder), ORIGIN, name]
            self.child = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)

    def says(self, words: str) -> bool:
        return words in self.out.read_text("utf-8")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.child.pid, number)

    def pause(self, engine: Engine) -> None:
        """Between two batches: on SQLite a process that is stopped while it holds the lock of all writers stops all of
        them with it."""
        lock = lock_path(engine)
        while True:
            self.send(signal.SIGSTOP)
            if lock is None or all(_is_free(path) for path in (lock, lock.with_name(lock.name + ".turn"))):
                return
            self.send(signal.SIGCONT)
            time.sleep(0.05)

    def end(self) -> None:
        if self.child.poll() is None:
            self.send(signal.SIGCONT)
            self.child.terminate()
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def _is_free(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


Start = Callable[[str], Process]


@pytest.fixture(params=databases.KINDS)
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    engine = databases.migrated(request.param, tmp_path)
    made = Gateway.found(engine, tmp_path)
    with writing(engine) as connection:
        leases.give_back(connection, made.lease)
    yield made
    engine.dispose()


@pytest.fixture
def start(gateway: Gateway) -> Iterator[Start]:
    started: list[Process] = []

    def one(name: str) -> Process:
        started.append(Process(gateway, name))
        return started[-1]

    yield one
    for each in started:
        each.end()


def leader(engine: Engine) -> tuple[str, int]:
    with engine.connect() as connection:
        row = connection.execute(select(tables.lease.c.holder, tables.lease.c.epoch)).one()
    return str(row[0]), int(row[1])


def settled(gateway: Gateway, transfers: int) -> None:
    """Everything that was acknowledged stands in the log, once, without a gap; rows, tiles and both checkpoints
    agree."""

    def waiting() -> bool:
        with gateway.engine.connect() as connection:
            return connection.execute(select(tables.log_pending.c.id).limit(1)).first() is None

    until("everything is sequenced", waiting)
    report = gateway.verify()
    assert report.ok and report.size == 2 * transfers, report.wrong
    assert gateway.complete().ok


@pytest.mark.attack("audit log: a sequencer started twice")
def test_two_keepers_at_once_one_killed_a_third(gateway: Gateway, start: Start) -> None:
    keepers = {name: start(name) for name in ("keeper-a", "keeper-b")}
    until("both are up", lambda: all(each.says("up") for each in keepers.values()))
    until("one leads", lambda: leader(gateway.engine)[0] in keepers)
    done = 0
    for _ in range(3):
        commit(gateway.engine, [handed_in("door-1") for _ in range(40)])
        done += 40
    assert sum(each.says("leads, epoch") for each in keepers.values()) == 1, "one leads, the other waits"
    first, epoch = leader(gateway.engine)
    keepers[first].send(signal.SIGKILL)
    keepers[first].child.wait(60)
    keepers["keeper-c"] = start("keeper-c")
    commit(gateway.engine, [handed_in("door-1") for _ in range(40)])
    settled(gateway, done + 40)
    second, later = leader(gateway.engine)
    assert second != first and later == epoch + 1


@pytest.mark.attack("audit log: a stale lease")
def test_a_keeper_that_was_paused_while_another_led(gateway: Gateway, start: Start) -> None:
    """Paused wherever it was, as a machine that is suspended. When it wakes it believes that it leads; its transaction
    fails on its epoch."""
    stale = start("keeper-a")
    until("it leads", lambda: stale.says("leads, epoch"))
    commit(gateway.engine, [handed_in("door-1") for _ in range(20)])
    stale.pause(gateway.engine)
    other = start("keeper-b")
    commit(gateway.engine, [handed_in("door-1") for _ in range(20)])
    until("the other leads", lambda: other.says("leads, epoch"))
    commit(gateway.engine, [handed_in("door-1")])
    settled(gateway, 41)
    size = gateway.verify().size
    stale.send(signal.SIGCONT)
    commit(gateway.engine, [handed_in("door-1") for _ in range(20)])
    until("it finds out", lambda: stale.says("another keeper leads now") or stale.says("was declared dead"))
    settled(gateway, 61)
    assert gateway.verify().size == size + 40 and leader(gateway.engine)[0] == "keeper-b"


@pytest.mark.attack("audit log: a stale lease")
def test_the_stale_epoch_is_refused_before_anything_is_written(gateway: Gateway) -> None:
    """The same without processes: the lease as it was, with a sequencer that has everything in its memory."""
    stale = gateway.sequencer()
    commit(gateway.engine, [handed_in("door-1") for _ in range(3)])
    with writing(gateway.engine) as connection:
        old = leases.take(connection, "keeper-1", gateway.now)
    assert old is not None and stale.run_once(old).size == 6
    with writing(gateway.engine) as connection:
        new = leases.take(connection, "keeper-2", gateway.now, over="keeper-1")
    assert new is not None
    commit(gateway.engine, [handed_in("door-1")])
    note = gateway.note
    for _ in range(2):
        with pytest.raises(Failure) as refused:
            stale.run_once(old)
        assert refused.value.code == "audit.lease-lost" and gateway.note == note and gateway.verify().size == 6
    assert gateway.sequencer().run_once(new).size == 8 and gateway.verify().ok


@pytest.mark.attack("audit log: a sequencer started twice")
def test_one_lease_held_by_two_as_after_a_machine_was_cloned(gateway: Gateway) -> None:
    """Same holder, same epoch: no lease tells them apart. Each takes its turn; the one whose memory is behind says so,
    signs nothing, and reads anew."""
    with writing(gateway.engine) as connection:
        lease = leases.take(connection, "keeper-1", gateway.now)
    assert lease is not None
    both, refused = [gateway.sequencer(), gateway.sequencer()], 0
    for turn in range(12):
        commit(gateway.engine, [handed_in("door-1")])
        try:
            both[turn % 2].run_once(lease)
        except Failure as failure:
            assert failure.code == "audit.inconsistent" and "its tiles" in str(failure.facts["reason"])
            refused += 1
    assert refused > 0
    while both[0].run_once(lease).busy:
        pass
    settled(gateway, 12)


@pytest.mark.attack("audit log: a stale lease")
def test_an_insider_who_sets_the_lease_by_hand_gains_no_second_log(gateway: Gateway) -> None:
    """Rows of the lease changed or deleted: an epoch can be made to come back, and two keepers may lead; each still has
    to go on from what stands in the database and beside it."""
    with writing(gateway.engine) as connection:
        lease = leases.take(connection, "keeper-1", gateway.now)
    assert lease is not None
    one, other = gateway.sequencer(), gateway.sequencer()
    commit(gateway.engine, [handed_in("door-1")])
    one.run_once(lease)
    with writing(gateway.engine) as connection:
        connection.execute(delete(tables.lease))
        again = leases.take(connection, "keeper-2", gateway.now)
        connection.execute(update(tables.lease).values(epoch=lease.epoch))
    assert again is not None
    twin = leases.Lease(again.name, again.holder, lease.epoch)
    commit(gateway.engine, [handed_in("door-1")])
    assert other.run_once(twin).size == 4
    commit(gateway.engine, [handed_in("door-1")])
    with pytest.raises(Failure) as refused:
        one.run_once(lease)
    assert refused.value.code == "audit.lease-lost"
    other.run_once(twin)
    settled(gateway, 3)


@pytest.mark.attack("audit log: a sequencer started twice")
def test_a_log_that_grows_while_it_is_verified_gives_no_false_alarm(gateway: Gateway) -> None:
    """The database moves on between any two statements of the check; it is looked at as it was at one moment."""
    with writing(gateway.engine) as connection:
        gateway.lease = leases.take(connection, "keeper-1", gateway.now) or gateway.lease
    commit(gateway.engine, [handed_in("door-1") for _ in range(20)])
    gateway.sequence()
    grown: list[int] = []

    @event.listens_for(gateway.engine, "before_cursor_execute")
    def grow(*_: object) -> None:
        if looking and not grown:
            grown.append(1)
            other = replace(gateway, engine=open_engine(gateway.engine.url.render_as_string(hide_password=False)))
            commit(other.engine, [handed_in("door-1")])
            other.sequence()
            other.engine.dispose()

    note, looking = gateway.note, False
    with snapshot(gateway.engine) as connection:
        connection.execute(select(tables.lease)).all()  # from here on it is one moment
        looking = True
        report, rows = verify_log(connection, gateway.key.vkey, newest=note), check_complete(connection)
    looking = False
    assert grown and report.ok and rows.ok and report.size == 40
    assert gateway.verify().size == 42

"""Clocks that go back, forward, or differ from machine to machine: who leads, and the times of sequencing, do not
depend on them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from contracts.base.ids import new_id
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow
from gateway.keeper import recovery
from gateway.keeper.leader import Clocks, Keeper
from gateway.transfer import lease as leases
from tests.journal.databases import transfer_row

DAY = 86_400.0


class Machine:
    """A keeper elsewhere: its clock says what it says, its own time runs evenly, and nobody can look whether its
    process lives."""

    def __init__(self, log: Any, name: str, ahead: float = 0.0) -> None:
        self.clock, self.time = log.clock[0] + ahead, 0.0
        self.log = log
        with writing(log.engine) as connection:
            row = {
                "id": name,
                "kind": "keeper",
                "pid": 1,
                "host": f"host of {name}",
                "started": self.clock,
                "seen": self.clock,
                "state": "alive",
            }
            connection.execute(insert(tables.process).values(row))
        sequencer = log.sequencer()
        sequencer._clock = lambda: self.clock
        self.keeper = Keeper(log.engine, name, sequencer, clocks=Clocks(lambda: self.clock, lambda: self.time))

    def pass_time(self, seconds: float) -> None:
        """A tick a second, as it does by itself."""
        for _ in range(int(seconds)):
            self.clock += 1
            self.time += 1
            self.keeper.tick()

    @property
    def leads(self) -> bool:
        return self.keeper.lease is not None


@pytest.fixture
def free(log: Any) -> Any:
    with writing(log.engine) as connection:
        connection.execute(update(tables.lease).values(until=0.0))
    return log


def sequenced(engine: Engine) -> list[float]:
    with engine.connect() as connection:
        return list(connection.execute(select(tables.log_entry.c.sequenced).order_by(tables.log_entry.c.idx)).scalars())


def test_a_leader_whose_clock_was_a_day_ahead_dies_and_is_followed_within_seconds(free: Any) -> None:
    """Its machine is gone: its lease, by its own words, would last until tomorrow."""
    ahead, right = Machine(free, "keeper-a", DAY), Machine(free, "keeper-b")
    ahead.pass_time(2)
    right.pass_time(2)
    assert ahead.leads and not right.leads
    right.pass_time(leases.LEASE_SECONDS + 1)
    assert right.leads


def test_nobody_takes_the_lease_from_a_living_leader_whatever_his_clock_says(free: Any) -> None:
    leader, ahead, behind = Machine(free, "keeper-a"), Machine(free, "keeper-b", DAY), Machine(free, "keeper-c", -DAY)
    leader.pass_time(1)
    for _ in range(30):
        for each in (leader, ahead, behind):
            each.pass_time(1)
        assert leader.leads and not ahead.leads and not behind.leads
    assert leader.keeper.lease is not None and leader.keeper.lease.epoch == free.lease.epoch + 1


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_leader_whose_clock_jumps_goes_on_leading(free: Any, jump: float) -> None:
    leader, other = Machine(free, "keeper-a"), Machine(free, "keeper-b")
    leader.pass_time(1)
    other.pass_time(1)
    epoch = leader.keeper.lease.epoch if leader.keeper.lease else 0
    for _ in range(10):
        leader.clock += jump
        leader.pass_time(1)
        other.pass_time(1)
    assert leader.keeper.lease is not None and leader.keeper.lease.epoch == epoch and not other.leads
    assert not leader.keeper.fenced and not other.keeper.fenced


def test_times_of_sequencing_do_not_go_back_from_leader_to_leader(free: Any) -> None:
    """The one ahead leads first; the next one, whose clock is right, gives no earlier time, and its log verifies."""
    first, second = Machine(free, "keeper-a", 3600.0), Machine(free, "keeper-b")
    first.pass_time(1)
    first.keeper._sequencer.run_once(first.keeper.lease)  # type: ignore[arg-type]  # it leads
    for machine, names in ((first, "ab"), (second, "cd")):
        machine.pass_time(leases.LEASE_SECONDS + 2)
        assert machine.keeper.lease is not None
        for name in names:
            free.pend(name)
            machine.clock -= 100
            machine.keeper._sequencer.run_once(machine.keeper.lease)
    times = sequenced(free.engine)
    assert len(times) == 4 and times == sorted(times) and free.verify().ok


def test_a_clock_ahead_does_not_make_messages_acceptable_again(free: Any) -> None:
    """Of the keeper alone, or for a while of the whole machine: the keys of messages that doors would still take are
    not forgotten."""
    now = free.clock[0]
    with writing(free.engine) as connection:
        for key, expires in (
            (b"long expired", now - 700),
            (b"just expired", now - 5),
            (b"good", now + 280),
            (b"newest", now + 300),
        ):
            connection.execute(insert(tables.replay).values(key=key, expires=expires))
    ahead = Machine(free, "keeper-a", 7 * DAY)
    ahead.pass_time(30)
    with free.engine.connect() as connection:
        assert set(connection.execute(select(tables.replay.c.key)).scalars()) == {b"just expired", b"good", b"newest"}


def test_a_clock_behind_forgets_nothing_too_early_either(free: Any) -> None:
    now = free.clock[0]
    with writing(free.engine) as connection:
        for key, expires in ((b"old", now - 700), (b"new", now + 300)):
            connection.execute(insert(tables.replay).values(key=key, expires=expires))
    behind = Machine(free, "keeper-a", -DAY)
    behind.pass_time(30)
    with free.engine.connect() as connection:
        assert set(connection.execute(select(tables.replay.c.key)).scalars()) == {b"old", b"new"}


@pytest.mark.parametrize(("open_for", "state"), [(2.0, "forwarding"), (recovery.FORGOTTEN_SECONDS + 2, "in-doubt")])
def test_what_a_living_door_has_in_hand_is_not_taken_from_it_by_another_clock(
    free: Any, open_for: float, state: str
) -> None:
    """How long a transfer is open is told by the door's own clock, whatever the keeper's says."""
    door, keeper = Machine(free, "door-a"), Machine(free, "keeper-a", DAY)
    row = transfer_row("door-a", id=new_id(), idempotent=False)._replace(committed=door.clock - open_for)
    with writing(free.engine) as connection:
        connection.execute(insert(tables.transfer).values(row._asdict()))
    keeper.pass_time(3)
    with free.engine.connect() as connection:
        assert connection.execute(select(tables.transfer.c.state)).scalar_one() == state


def test_what_a_living_keeper_took_up_before_another_led_is_taken_from_it_after_a_while(free: Any) -> None:
    """It may not know of it. Its own deliveries have ended by then."""
    former, keeper = Machine(free, "keeper-b"), Machine(free, "keeper-a")
    old = former.clock - 2 * recovery.FORGOTTEN_SECONDS
    row = transfer_row("keeper-b", id=new_id(), idempotent=False)._replace(committed=old)
    place = QueueRow(row.id, str(row.provider), f"{row.id}/canonical", old, state="leased")
    with writing(free.engine) as connection:
        connection.execute(insert(tables.transfer).values(row._asdict()))
        connection.execute(insert(tables.queue).values(place._asdict() | {"epoch": 0}))
    for seconds, state in ((3, "forwarding"), (int(recovery.FORGOTTEN_SECONDS), "in-doubt")):
        for _ in range(seconds):
            former.clock += 1
            with writing(free.engine) as connection:
                beats = update(tables.process).where(tables.process.c.id == "keeper-b")
                connection.execute(beats.values(seen=former.clock))
            keeper.pass_time(1)
        with free.engine.connect() as connection:
            assert connection.execute(select(tables.transfer.c.state)).scalar_one() == state

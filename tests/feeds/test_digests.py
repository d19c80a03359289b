"""Each full hour of each feed is sealed once, whatever happens to the keeper; a reader finds what is missing, put in or
changed, however it got the events; and `audit verify` finds rows that were changed later."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.event import listen

from contracts.base.times import rfc3339
from contracts.canonical.model import Kind
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.digests import check_digests
from gateway.client.feed_digests import Digesting, SealedDigest
from gateway.feeds import digests
from gateway.feeds.sealing import Sealing
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.feed_digests import Digest
from security.transparency.event_leaves import leaf_of, root_of_leaves

FEED, OTHER = "incident-alert/v1", "field-report/v1"
TEN = 1_795_500_000 // 3600 * 3600
EVENT = tables.feed_event


class Keeper:
    """A sequencer and a sealing under one clock that a test turns."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.now, self.count, self.period = engine, TEN + 1.0, 0, 3600
        key = LogKey.open(folder / "log.key", "localhost/lgsp-test")
        file = CheckpointFile(folder / "checkpoint")
        self.sequencer = Sequencer(engine, lock_of(engine), key, file, clock=lambda: self.now)
        self.start()

    def start(self) -> None:
        """As a process does that takes the lead."""
        with writing(self.engine) as connection:
            connection.execute(update(tables.lease).values(until=0.0))
            lease = leases.take(connection, "keeper-test", self.now, seconds=1e9)
        assert lease is not None
        self.lease = lease
        self.sealing = Sealing(self.engine, lock_of(self.engine), lambda: self.now)
        self.sequence()

    def sequence(self) -> None:
        for _ in range(3):
            self.sequencer.run_once(self.lease)

    def events(self, number: int, contract: str = FEED, kind: str = "") -> None:
        """Acknowledged messages, each with an entry; sequenced now."""
        with writing(self.engine) as connection:
            for _ in range(number):
                self.count += 1
                id = f"t{self.count:06d}"
                append(connection, [entries.note("test", {}, self.now, about=id)])
                event = {"specversion": "1.0", "id": id, "source": "urn:lgsp:system:x", "type": f"urn:c:op{kind}"}
                event |= {"time": rfc3339(self.now), "lgspagency": "H14.2", "subject": f"s{self.count}"}
                connection.execute(
                    insert(tables.feed_pending).values(
                        contract=contract, transfer=id, event=json.dumps(event), body_ref=f"{id}/canonical"
                    )
                )
        self.sequence()

    def seal(self) -> None:
        while self.sealing.step(self.lease):
            self.sequence()
        self.sequence()
        while self.sealing.step(self.lease):
            self.sequence()

    def sealed(self, contract: str = FEED) -> list[SealedDigest]:
        """As the kit gives them."""
        with self.engine.connect() as connection:
            until = digests.logged_until(connection) or TEN
            found = digests.sealed(connection, contract, TEN - 100 * 3600, until, 1000, self.period)
        return [_kit(each.digest) for each in found]

    def wrong(self) -> list[str]:
        findings = Findings()
        with self.engine.connect() as connection:
            check_digests(connection, findings)
        return findings.wrong

    def read(self, contract: str = FEED) -> list[dict[str, Any]]:
        """The events as a reader gets them."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(EVENT).where(EVENT.c.contract == contract).order_by(EVENT.c.offset))
            return [
                json.loads(row.event)
                | {"sequence": f"{row.offset:020d}", "sequencedtime": rfc3339(row.sequenced), "data": {}}
                for row in rows
            ]

    def facts(self) -> list[dict[str, Any]]:
        """Of the entries of digests and periods."""
        table = tables.log_entry.c
        with self.engine.connect() as connection:
            kinds = table.phase.in_(("feed-hour", "feed-digest"))
            return [json.loads(bytes(entry))["facts"] for entry in connection.scalars(select(table.entry).where(kinds))]

    def hours(self) -> list[dict[str, Any]]:
        table = tables.log_entry.c
        with self.engine.connect() as connection:
            found = connection.scalars(select(table.entry).where(table.phase == "feed-hour").order_by(table.idx))
            return [json.loads(bytes(entry))["facts"] for entry in found]


def _kit(each: Any) -> SealedDigest:
    times = rfc3339(each.since), rfc3339(each.until)
    return SealedDigest(*times, each.after, each.first, each.last, each.events, bytes.fromhex(each.root), True)


def held(events: Sequence[dict[str, Any]]) -> Digesting:
    digesting = Digesting()
    for event in events:
        digesting.add(event)
    return digesting


@pytest.fixture
def keeper(database: Engine, tmp_path: Path) -> Keeper:
    return Keeper(database, tmp_path)


def test_each_hour_is_sealed_once(keeper: Keeper) -> None:
    keeper.events(3)
    keeper.events(2, OTHER)
    keeper.seal()
    assert keeper.sealed() == []  # the hour is not over
    keeper.now = TEN + 3600 + 1.0
    keeper.events(1)
    keeper.seal()
    keeper.start()  # another process takes the lead
    keeper.seal()
    assert [(each.after, each.first, each.last, each.events) for each in keeper.sealed()] == [(0, 1, 3, 3)]
    assert [(each.first, each.last) for each in keeper.sealed(OTHER)] == [(1, 2)]
    assert [(hour["state"], hour["feeds"]) for hour in keeper.hours()] == [("sealed", 2)]
    assert keeper.wrong() == []


def test_hours_that_nobody_sealed_are_caught_up(keeper: Keeper) -> None:
    keeper.events(2)
    keeper.now += 3 * 3600
    keeper.events(2)
    keeper.now += 30 * 3600
    keeper.start()
    keeper.seal()
    assert [(each.after, each.first, each.last) for each in keeper.sealed()] == [(0, 1, 2), (2, 3, 4)]
    sealed = [hour for hour in keeper.hours() if hour["state"] == "sealed"]
    assert [hour["feeds"] for hour in sealed] == [1, 0, 1, 0]  # runs of hours without events are one entry
    assert [hour["since"] for hour in sealed][1:] == [hour["until"] for hour in sealed][:-1]
    assert sealed[-1]["until"] == rfc3339(TEN + 33 * 3600) and keeper.wrong() == []


def test_an_hour_in_which_nothing_comes_is_sealed_too(keeper: Keeper) -> None:
    keeper.events(1)
    keeper.now = TEN + 3600 + 1.0
    keeper.seal()
    assert keeper.sealed() == []  # its clock may still go back a little
    keeper.now = TEN + 3600 + 10.0
    keeper.seal()
    assert len(keeper.sealed()) == 1
    keeper.now = TEN + 7200 + 10.0
    keeper.seal()
    assert [(hour["state"], hour.get("feeds")) for hour in keeper.hours()] == [
        ("ended", None),
        ("sealed", 1),
        ("ended", None),
        ("sealed", 0),
    ]


def in_minutes(keeper: Keeper) -> Keeper:
    """As in a sandbox."""
    with writing(keeper.engine) as connection:
        digests.begin_by_minutes(connection)
    keeper.period = 60
    keeper.start()
    return keeper


def test_a_sandbox_seals_minutes_and_each_entry_says_so(keeper: Keeper) -> None:
    in_minutes(keeper).events(2)
    keeper.now = TEN + 59.0
    keeper.events(1)
    keeper.now = TEN + 62.0
    keeper.events(1)
    keeper.seal()
    assert [(each.since, each.until) for each in keeper.sealed()] == [(rfc3339(TEN), rfc3339(TEN + 60))]
    keeper.now = TEN + 130.0
    keeper.start()  # another process takes the lead
    keeper.seal()
    assert [(each.first, each.last, each.events) for each in keeper.sealed()] == [(1, 3, 3), (4, 4, 1)]
    assert {hour["period"] for hour in keeper.hours()} == {60}
    assert held(keeper.read()).compare(keeper.sealed()).whole == 2 and keeper.wrong() == []
    with keeper.engine.connect() as connection:
        for offset, sequenced in connection.execute(select(EVENT.c.offset, EVENT.c.sequenced)).all():
            assert digests.holds(connection, FEED, offset, sequenced)
            assert digests.holds(connection, FEED, offset, TEN + 119.0) is (offset == 4)


def test_hours_state_no_period_so_that_older_checkers_take_them(keeper: Keeper) -> None:
    keeper.events(1)
    keeper.now = TEN + 3600 + 10.0
    keeper.seal()
    assert all("period" not in facts for facts in keeper.facts()) and len(keeper.facts()) == 3


def test_minutes_may_follow_hours(keeper: Keeper) -> None:
    keeper.events(2)
    keeper.now = TEN + 3600 + 1.0
    keeper.events(1)
    keeper.seal()
    in_minutes(keeper)
    keeper.now = TEN + 3600 + 70.0
    keeper.seal()
    assert [(each.first, each.last) for each in keeper.sealed()] == [(1, 2), (3, 3)]
    assert held(keeper.read()).compare(keeper.sealed()).whole == 2 and keeper.wrong() == []


@pytest.mark.parametrize("traffic", [0, 1], ids=["no entries", "entries that are no events"])
def test_a_sandbox_without_events_costs_no_more_than_one_with_hours(keeper: Keeper, traffic: int) -> None:
    in_minutes(keeper).events(1)
    keeper.now = TEN + 70.0
    keeper.seal()
    asked = [0]
    listen(keeper.engine, "before_cursor_execute", lambda *_: asked.__setitem__(0, asked[0] + 1))
    before = keeper.hours()
    for minute in range(2, 61):
        keeper.now = TEN + 60 * minute + 30.0
        if traffic:
            with writing(keeper.engine) as connection:
                append(connection, [entries.note("test", {}, keeper.now, about=f"n{minute}")])
            keeper.sequence()
        asked[0] = 0
        for _ in range(5):
            assert not keeper.sealing.step(keeper.lease)
        looked = traffic or minute == 2  # at a newest entry that is new: which feeds, and has one an event
        assert asked[0] <= 5 + (8 if looked else 0), minute
    assert keeper.hours() == before
    keeper.now = TEN + 3660 + 10.0
    keeper.seal()
    assert [(hour["state"], hour.get("feeds")) for hour in keeper.hours()[len(before) :]][-1] == ("sealed", 0)
    assert len(keeper.hours()) - len(before) <= 2 and keeper.wrong() == []


@pytest.mark.parametrize("period", [None, 3600, 45, 0, -60, 7200, "60", 60.0, True])
def test_a_digest_of_another_time_than_its_period_is_none(keeper: Keeper, period: Any) -> None:
    in_minutes(keeper).events(1)
    keeper.now = TEN + 70.0
    keeper.seal()
    (digest,) = [facts for facts in keeper.facts() if "root" in facts]
    assert Digest.of(digest).until == TEN + 60
    changed = digest | {"period": period}
    if period is None:
        del changed["period"]
    with pytest.raises(ValueError):
        Digest.of(changed)


def test_what_a_clock_that_went_back_lets_in_stays_whole(keeper: Keeper) -> None:
    keeper.events(1)
    keeper.now = TEN + 3600 + 10.0
    keeper.seal()
    keeper.now = TEN + 100.0
    keeper.events(2)
    keeper.now = TEN + 7200 + 10.0
    keeper.seal()
    assert [(each.first, each.last) for each in keeper.sealed()] == [(1, 1), (2, 3)]
    assert keeper.wrong() == [] and held(keeper.read()).compare(keeper.sealed()).whole == 2


def test_a_keeper_that_was_overtaken_seals_nothing(keeper: Keeper) -> None:
    keeper.events(1)
    keeper.now = TEN + 3600 + 1.0
    keeper.events(1)
    old, sealing = keeper.lease, keeper.sealing
    assert sealing.step(old)  # it read the events
    keeper.start()
    with pytest.raises(Exception, match="lease"):
        sealing.step(old)
    keeper.seal()
    assert len(keeper.sealed()) == 1 and keeper.wrong() == []


EDITS: dict[str, Callable[[str], Any]] = {
    "deleted": lambda e: delete(EVENT).where(EVENT.c.contract == FEED, EVENT.c.offset == 2),
    "the last deleted": lambda e: delete(EVENT).where(EVENT.c.contract == FEED, EVENT.c.offset == 4),
    "changed": lambda e: update(EVENT).where(EVENT.c.offset == 2).values(event=e.replace("H14.2", "H14.9")),
    "of another time": lambda e: update(EVENT).where(EVENT.c.offset == 2).values(sequenced=TEN + 2.0),
    "no JSON": lambda e: update(EVENT).where(EVENT.c.offset == 2).values(event="["),
    "put in": lambda e: insert(EVENT).values(
        contract=FEED, offset=5, transfer="x", event=e, body_ref="x/canonical", sequenced=TEN + 3601.0
    ),
    "moved to another feed": lambda e: update(EVENT).where(EVENT.c.offset == 1).values(contract="indicator/v1"),
}


@pytest.mark.parametrize("how", EDITS)
def test_rows_that_were_changed_later_are_found(sqlite: Engine, tmp_path: Path, how: str) -> None:
    keeper = Keeper(sqlite, tmp_path)
    keeper.events(3)
    keeper.now = TEN + 3600 + 1.0
    keeper.events(1)
    keeper.now = TEN + 7200 + 10.0
    keeper.seal()
    assert keeper.wrong() == [] and len(keeper.sealed()) == 2
    with keeper.engine.begin() as connection:
        event = connection.scalars(select(EVENT.c.event).where(EVENT.c.offset == 2)).one()
        connection.execute(EDITS[how](event))
    assert any("feed incident-alert/v1" in text for text in keeper.wrong())
    comparison = held(keeper.read()).compare(keeper.sealed()) if how != "no JSON" else None
    assert how == "put in" or comparison is None or not comparison.ok  # the reader knows too


def _event(number: int) -> dict[str, Any]:
    base = {"sequence": f"{number:020d}", "id": f"i{number}", "type": "urn:c:op", "source": "s", "time": "t"}
    return base | {"lgspagency": "H14", "sequencedtime": f"z{number // 5}", "data": {"n": number}}


def _digest(events: Sequence[dict[str, Any]], after: int) -> SealedDigest:
    root, last = root_of_leaves(map(leaf_of, events)), int(events[-1]["sequence"])
    return SealedDigest("a", "b", after, int(events[0]["sequence"]), last, len(events), root, True)


@given(st.integers(0, 10**6))
def test_any_partition_and_order_gives_the_same(seed: int) -> None:
    """Pages, lines, several readers of one system, push that repeats: the digest does not depend on them."""
    draw = random.Random(seed)
    numbers = sorted(draw.sample([*range(1, 60), *range(10**12 + 1, 10**12 + 9)], draw.randint(1, 50)))
    events = [_event(number) for number in numbers]
    cuts = sorted({draw.randint(1, len(events)) for _ in range(4)} | {len(events)})
    sealed = [
        _digest(events[start:cut], numbers[start - 1] if start else 0)
        for start, cut in zip([0, *cuts], cuts, strict=False)
    ]
    mixed = events + draw.choices(events, k=9)
    draw.shuffle(mixed)
    comparison = held(mixed).compare(sealed)
    assert comparison.ok and comparison.events == len(events) and comparison.whole == len(sealed)
    lost = draw.choice(events)
    assert not held([each for each in events if each is not lost]).compare(sealed).ok
    if len(sealed) > 2:
        assert not held(events).compare([sealed[0], *sealed[2:]]).ok  # a digest is withheld
    extra = draw.randint(1, max(numbers))
    if extra not in numbers:
        assert not held([*events, _event(extra)]).compare(sealed).ok


def test_masks_do_not_change_a_digest() -> None:
    event = _event(7)
    for kind in Kind:
        corrected = event | {"type": f"urn:c:op:{kind.value}"} if kind is not Kind.SUBMITTED else event
        shown = event | {"subject": "x", "lgspreplaces": "y", "data": {"n": {"absent": "not-permitted"}}}
        assert leaf_of(corrected) == leaf_of(shown)
    assert leaf_of(event | {"type": "urn:c:op:handled"}) != leaf_of(event)
    with pytest.raises(ValueError, match="no line"):
        leaf_of(event | {"id": "a\nb"})

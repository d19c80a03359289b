"""A wrong clock, an odd file and a hold that comes at the last moment cost no body."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import insert, select

from contracts.base.errors import Theirs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention import clock, holds
from gateway.keeper.retention.holds import Hold
from gateway.vault.classes import KeyName

DAY = 86_400.0
YEARS_6 = 6 * 366 * DAY
REASON = "công văn 12/CV-CA"


def log(house: Any, times: Iterable[float]) -> None:
    with writing(house.engine) as connection:
        newest = connection.scalar(select(tables.log_entry.c.idx).order_by(tables.log_entry.c.idx.desc()).limit(1))
        first = 0 if newest is None else newest + 1
        rows = [
            {
                "idx": first + at,
                "transfer": f"t-{first + at}",
                "phase": "start",
                "entry": b"{}",
                "leaf": b"",
                "sequenced": time,
            }
            for at, time in enumerate(times)
        ]
        connection.execute(insert(tables.log_entry), rows)


def run(house: Any, work: Any) -> None:
    work.look(house.lease, house.now)
    work.run(house.lease, house.now)


def test_a_clock_that_leapt_destroys_nothing_although_its_start_wrote_entries(house: Any) -> None:
    log(house, [house.now - day * DAY for day in range(9, -1, -1)])
    old, right = house.transfer("request", retention="m60"), house.now
    house.now += YEARS_6
    log(house, [house.now - 2.0, house.now - 1.0])  # what the start itself wrote, by the same wrong clock
    work = house.retention(clock_is_right=False)
    for _ in range(3):
        run(house, work)
        house.now += 3600.0
    assert house.opened(old) == f"request of {old}".encode()
    (held,) = house.notes("retention-held")
    assert held["facts"] == {"now": clock.words(right + YEARS_6), "log": clock.words(right + YEARS_6 - 1.0), "keys": 1}
    assert house.notes("retention") == []


def test_days_of_entries_are_believed_and_a_second_leap_is_not(house: Any) -> None:
    old = house.transfer("request")
    house.now += YEARS_6
    log(house, [house.now, house.now + 3 * DAY])  # a wrong start, and another one
    house.now += 3 * DAY + 60.0
    run(house, house.retention(clock_is_right=False))
    assert house.opened(old) == f"request of {old}".encode()
    log(house, [house.now + day * DAY / 2 for day in range(6)])
    house.now += 2.6 * DAY
    run(house, house.retention(clock_is_right=False))
    assert house.opened(old) == "vault.expired"


@pytest.mark.parametrize("leap", [0.0, YEARS_6])
def test_a_process_believes_what_it_watched_for_two_days(small_house: Any, leap: float) -> None:
    house, ran = small_house, [0.0]
    house.now += YEARS_6
    old = house.transfer("request", retention="short")
    house.now += 30 * DAY
    work = house.retention(clock_is_right=False, monotonic=lambda: ran[0])
    for hour in range(49):
        run(house, work)
        house.now, ran[0] = house.now + 3600.0 + (leap if hour == 47 else 0.0), ran[0] + 3600.0
    assert (house.opened(old) == "vault.expired") == (leap == 0.0)


@pytest.mark.parametrize("by", ["stamp", "person"])
def test_an_authority_or_a_person_speaks_for_the_clock(house: Any, by: str) -> None:
    old = house.transfer("request", retention="short")
    house.now += 30 * DAY
    work = house.retention(clock_is_right=False)
    run(house, work)
    assert house.opened(old) == f"request of {old}".encode()
    if by == "person":
        house.vault.keys.say_clock(house.now - 3 * DAY)  # a word of another time
        run(house, work)
        assert house.opened(old) == f"request of {old}".encode()
        house.vault.keys.say_clock(house.now - 60.0)
    else:
        stamped = {
            "size": 1,
            "digest": b"",
            "note": "",
            "question": b"",
            "answer": b"",
            "authority": "a",
            "received": house.now,
        }
        with writing(house.engine) as connection:
            connection.execute(insert(tables.stamp).values(time=house.now - DAY, **stamped))
    run(house, work)
    assert house.opened(old) == "vault.expired"


@pytest.mark.parametrize("file", ["9999-12-31.short", "9999-12-24.short", "9990-01-01.m9999", "9999-12-31.standard"])
def test_a_file_of_the_end_of_time_stops_nothing(small_house: Any, file: str) -> None:
    house = small_house
    old = house.transfer("request", retention="short")
    (house.folder / "keys" / f"{file}.key").write_bytes(bytes(32))
    house.now += 30 * DAY
    run(house, house.retention())
    name = KeyName.of(file)
    assert (
        name is not None and name.due is None and house.vault.keys.stands(file) and house.opened(old) == "vault.expired"
    )
    assert house.vault.keys.odd(house.now) == [f"{file}.key"]


def test_trouble_with_one_key_leaves_the_others_alone(small_house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house = small_house
    one = house.transfer("request", retention="short")
    house.now += DAY
    other, real = house.transfer("request", retention="short"), house.vault.destroy
    bad = house.key_of(one)

    def destroy(key: str, now: float) -> int:
        if key == bad:
            raise ValueError(key)
        return int(real(key, now))

    monkeypatch.setattr(house.vault, "destroy", destroy)
    house.now += 30 * DAY
    run(house, house.retention())
    assert house.vault.keys.stands(bad) and house.opened(other) == "vault.expired"


def test_a_hold_over_what_is_being_destroyed_is_refused_and_names_it(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, staying = house.transfer("request"), house.transfer("request", retention="m120")
    house.now += 800 * DAY
    begun(house, monkeypatch)
    with pytest.raises(Theirs) as caught, writing(house.engine) as connection:
        holds.add(connection, Hold("vu-an-7", REASON, "lan", house.now, (going, staying)))
    assert caught.value.code == "vault.hold-too-late" and caught.value.facts["bodies"] == f"{going}/request"
    with writing(house.engine) as connection:
        holds.add(connection, Hold("vu-an-8", REASON, "lan", house.now, (staying,)))


def test_what_a_hold_covers_after_all_is_held_back_before_the_mark(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the hold's transaction and that of the key's end passed each other."""
    held, other = house.transfer("request"), house.transfer("request")
    key = house.key_of(held)
    house.now += 800 * DAY
    begun(house, monkeypatch)
    with monkeypatch.context() as patched, writing(house.engine) as connection:
        patched.setattr(holds, "_going", lambda connection, hold: [])
        holds.add(connection, Hold("vu-an-7", REASON, "lan", house.now, (held,)))
    work = house.retention()
    assert work.run(house.lease, house.now) and house.vault.keys.stands(key)  # moved: it waits for the next look
    assert not work.run(house.lease, house.now)
    assert house.opened(held) == f"request of {held}".encode() and house.opened(other) == "vault.expired"
    assert [(each["facts"]["step"], each["facts"]["bodies"]) for each in house.notes("retention")] == [
        ("begun", 2),
        ("done", 1),
    ]


def begun(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key whose destruction was begun by a process that died."""

    def stop(*given: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(house.vault, "destroy", stop)
        with pytest.raises(KeyboardInterrupt):
            house.retention().run(house.lease, house.now)

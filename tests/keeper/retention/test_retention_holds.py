"""What is under a hold outlives retention; what is not goes on time; both when processes die in the middle."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from contracts.base.errors import Theirs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention import holds, rows
from gateway.keeper.retention.destruction import due
from gateway.keeper.retention.holds import Hold

DAY = 86_400.0
MONTHS_24 = 24 * 31 * DAY
REASON = "công văn 12/CV-CA"


def put(house: Any, name: str = "vu-an-7", **what: Any) -> Hold:
    hold = Hold(name, REASON, "lan, command line", house.now, **what)
    with writing(house.engine) as connection:
        holds.add(connection, hold)
    return hold


def release(house: Any, name: str = "vu-an-7") -> int:
    with writing(house.engine) as connection:
        return holds.release(connection, name, REASON, "lan, command line", house.now)


def over(house: Any) -> None:
    """All that retention has to do, until it has nothing more to do."""
    work = house.retention()
    work.look(house.lease, house.now)
    while work.run(house.lease, house.now):
        pass


@pytest.mark.parametrize("at_once", [True, False])
def test_the_day_key_goes_on_time_and_what_is_held_stays(house: Any, at_once: bool) -> None:
    held, other = house.transfer("request", "answer"), house.transfer("request")
    key = house.key_of(other)
    if at_once:
        put(house, transfers=(held,))
        house.retention().look(house.lease, house.now)
        assert house.key_of(held) == f"{key}.vu-an-7" and house.key_of(other) == key
    house.now += MONTHS_24
    if not at_once:  # it came just before the end
        put(house, transfers=(held,))
    over(house)
    assert (
        house.opened(held) == f"request of {held}".encode()
        and house.opened(held, "answer") == f"answer of {held}".encode()
    )
    assert house.opened(other) == "vault.expired" and not house.vault.keys.stands(key)
    added = house.notes("hold")
    assert [each["facts"] for each in added] == [
        {"hold": "vu-an-7", "step": "added", "reason": REASON, "count": 1, "transfers": [held]}
    ]
    assert added[0]["actor"] == "lan, command line"
    assert release(house) == 2
    over(house)
    assert house.opened(held) == "vault.expired" and [each["facts"]["step"] for each in house.notes("hold")] == [
        "added",
        "released",
    ]


def test_a_hold_covers_an_agency_a_contract_and_a_span(house: Any) -> None:
    before = house.transfer("request")
    house.now += DAY
    begins = house.now
    caller = house.transfer("request")
    other_agency = house.transfer("request", agency="H14.9")
    other_contract = house.transfer("request", contract="indicator/v1")
    house.now += DAY
    after = house.transfer("request")
    put(house, agency="H14.5", contract="field-report/v1", begins=begins, ends=house.now)
    house.now += MONTHS_24
    over(house)
    assert house.opened(caller) == f"request of {caller}".encode()
    assert [house.opened(each) for each in (before, other_agency, other_contract, after)] == ["vault.expired"] * 4


def test_an_agency_is_that_of_the_provider_too(house: Any) -> None:
    with writing(house.engine) as connection:
        connection.execute(
            tables.system.insert().values(
                id="khi-tuong", agency="H14.7", title_vi="a", title_en="b", formats="{}", state="active"
            )
        )
    asked, other = house.transfer("request", provider="khi-tuong"), house.transfer("request")
    put(house, agency="H14.7")
    house.now += MONTHS_24
    over(house)
    assert house.opened(asked) == f"request of {asked}".encode() and house.opened(other) == "vault.expired"


def test_what_comes_after_an_open_hold_was_put_in_place_is_held(house: Any) -> None:
    put(house, agency="H14.5")
    over(house)
    later = house.transfer("request", retention="short")
    house.now += 10 * DAY
    over(house)
    assert house.opened(later) == f"request of {later}".encode() and house.key_of(later).endswith(".short.vu-an-7")


def test_what_two_hold_stays_until_both_are_released(house: Any) -> None:
    both, one = house.transfer("request"), house.transfer("request")
    put(house, "dau-tien", transfers=(both, one))
    put(house, "thu-hai", transfers=(both,))
    house.now += MONTHS_24
    over(house)
    release(house, "dau-tien")
    over(house)
    assert house.opened(both) == f"request of {both}".encode() and house.opened(one) == "vault.expired"
    release(house, "thu-hai")
    over(house)
    assert house.opened(both) == "vault.expired"


def test_a_hold_released_in_time_lets_the_day_decide(house: Any) -> None:
    held = house.transfer("request")
    put(house, transfers=(held,))
    over(house)
    release(house)
    over(house)
    assert house.opened(held) == f"request of {held}".encode() and due(house.engine, house.vault, house.now) == []
    house.now += MONTHS_24
    over(house)
    assert house.opened(held) == "vault.expired"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"name": "Vụ án", "agency": "H14.5"}, "vault.hold-wrong"),
        ({"name": "a.b", "agency": "H14.5"}, "vault.hold-wrong"),
        ({}, "vault.hold-wrong"),
        ({"transfers": ("019a0000-0000-7000-8000-000000000000",)}, "vault.nothing-of"),
        ({"transfers": ("../../etc",)}, "vault.nothing-of"),
        ({"agency": "H14.5", "begins": 5.0, "ends": 5.0}, "vault.hold-wrong"),
        ({"agency": "H14.5", "reason": "vì thế"}, "vault.no-reason"),
        ({"name": "da-co", "agency": "H14.5"}, "vault.hold-stands"),
    ],
)
def test_a_hold_that_is_wrong_is_not_put_in_place(small_house: Any, what: dict[str, Any], code: str) -> None:
    house = small_house
    put(house, "da-co", agency="H14.5")
    release(house, "da-co")  # its name is not used again
    with pytest.raises(Theirs) as caught, writing(house.engine) as connection:
        holds.add(connection, Hold(**{"name": "moi", "reason": REASON, "actor": "lan", "since": house.now, **what}))
    assert caught.value.code == code
    with house.engine.connect() as connection:
        assert list(connection.scalars(select(tables.vault_hold.c.name))) == ["da-co"]
    with pytest.raises(Theirs) as caught:
        release(house, "da-co")
    assert caught.value.code == "vault.hold-unknown"


def test_a_name_that_will_not_do_is_told_as_it_was_written(small_house: Any) -> None:
    with pytest.raises(Theirs, match="'Vụ án 9'"):
        put(small_house, "Vụ án 9", agency="H14.5")


def test_a_name_that_is_taken_tells_by_which_hold_and_what_to_do(small_house: Any) -> None:
    house = small_house

    def refused(name: str) -> str:
        with pytest.raises(Theirs) as caught:
            put(house, name, agency="H14.2")
        assert caught.value.what("vi") != caught.value.what("en") and "…" not in caught.value.what(
            "vi"
        ) + caught.value.next("vi")
        return f"{caught.value.what('en')} {caught.value.next('en')}"

    put(house, "vu-an-7", agency="H14.5")
    said = refused("vu-an-7")
    with pytest.raises(Theirs) as again:
        put(house, "vu-an-7", agency="H14.5")
    assert "cho cơ quan H14.5; đang có hiệu lực" in again.value.what("vi")
    assert (
        "for agency H14.5; it is in force" in said
        and "`lgsp vault hold release vu-an-7`" in said
        and "such as vu-an-7-2:" in said
    )
    release(house, "vu-an-7")
    put(house, "vu-an-7-2", agency="H14.5", begins=0.0)
    assert "for agency H14.5, from 1970-01-01T07:00+07:00;" in refused("vu-an-7-2")
    said = refused("vu-an-7")
    assert "it was released at 2026-" in said and "such as vu-an-7-3:" in said and "hold release" not in said
    with pytest.raises(Theirs) as caught:
        release(house, "vu-an-7")
    assert "(it was released at 2026-" in caught.value.what("en") and "in force are: vu-an-7-2" in caught.value.what(
        "en"
    )
    put(house, "a" * 40, agency="H14.5")
    with pytest.raises(Theirs) as caught:
        put(house, "a" * 40, agency="H14.5")
    put(house, str(caught.value.facts["free"]), agency="H14.5")


def test_sealing_anew_that_was_cut_short_is_gone_on_with(small_house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house = small_house
    held = [house.transfer("request") for _ in range(5)]
    hold = put(house, agency="H14.5")
    monkeypatch.setattr(rows, "AT_ONCE", 2)
    seen: list[int] = []

    def check(connection: Any) -> None:
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        holds.seal_again(rows.Bodies(house.engine, None, house.vault, check), hold, house.now)
    assert sum(house.key_of(each).endswith("vu-an-7") for each in held) == 2
    assert all(house.opened(each) == f"request of {each}".encode() for each in held)
    house.retention().look(house.lease, house.now)
    assert all(house.key_of(each).endswith("vu-an-7") for each in held)
    with house.engine.connect() as connection:
        assert holds.every(connection)[0].sealed == house.now


def test_a_held_body_that_is_damaged_holds_its_key_and_nothing_else(small_house: Any) -> None:
    """It may be mended from a backup of the database as long as its key stands."""
    house = small_house
    held, damaged = house.transfer("request"), house.transfer("request")
    house.now += DAY
    other = house.transfer("request")
    put(house, transfers=(held, damaged))
    key = house.key_of(damaged)
    with writing(house.engine) as connection:
        connection.execute(
            tables.vault.update().where(tables.vault.c.id == f"{damaged}/request").values(sealed=b"nonsense" * 20)
        )
    house.now += MONTHS_24
    over(house)
    assert house.opened(held) == f"request of {held}".encode() and house.vault.keys.stands(key)
    assert house.opened(damaged) == "vault.broken" and house.opened(other) == "vault.expired"

"""The value of each expected period comes from the feed, with its corrections; who owes a missing one is named."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event as listening
from sqlalchemy import update

from contracts.base.errors import Theirs
from gateway.feeds.masks import Masks, masks_of
from gateway.indicators.definitions import Definition
from gateway.indicators.figures import Figures, State, Wanted, figures
from gateway.indicators.periods import Period
from gateway.indicators.values import CONTRACT, Key, Source, read
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.grants.grants import Decision, Reason
from tests.feeds.test_feed_standing import VALUES, Place
from tests.indicators.defining import definition
from tests.registry.making import NOW, contracts

QUARTER = "2026-Q3"


def send(place: Place, value: Any, system: str = "kinh-te", later: float = 0.0, **changes: Any) -> None:
    item = {
        "indicator": "KT-05",
        "area": "04",
        "period": QUARTER,
        "frequency": "Q",
        "unit": "tỷ đồng",
        "value": value,
        "status": "provisional",
        "responsible": {"name": "Lương Thị Bích Ngọc"},
        "updated": "2026-10-05T08:30:00+07:00",
    }
    place.gateway.now = NOW + later
    place.submit(VALUES, "submitValues", {"values": [{**item, **changes}]}, system)


def seen(place: Place, *versions: Definition, masks: Masks | None = None, **wanted: Any) -> Figures:
    place.sequence()
    known = {each.code: [one for one in versions if one.code == each.code] for each in versions}
    with place.gateway.engine.connect() as connection:
        source = Source(connection, place.gateway.vault, contracts()[CONTRACT], str, masks)
        return figures(source, known, Wanted.of(NOW, **wanted), NOW)


def test_values_missing_ones_and_corrections(place: Place) -> None:
    send(place, Decimal("612.450"))
    send(place, Decimal("615.5"), later=3600, status="final")
    send(place, {"absent": "none"}, later=7200, period="2026-Q1", status="missing")
    found = seen(place, definition(owner="H14.2"))
    assert [(str(each.period), each.state) for each in found.figures] == [
        ("2026-Q1", State.ABSENT),
        ("2026-Q2", State.MISSING),
        ("2026-Q3", State.GIVEN),
        ("2026-Q4", State.AWAITED),
    ]
    assert [(str(each.period), each.definition.owner) for each in found.owed] == [
        ("2026-Q1", "H14.2"),
        ("2026-Q2", "H14.2"),
    ]
    absent, _, given, _ = found.figures
    assert absent.current is not None and absent.current.absent == "none" and absent.late
    ((old, new),) = given.corrections
    assert (old.value, new.value, given.value) == (Decimal("612.450"), Decimal("615.5"), Decimal("615.5"))
    assert str(old.value) == "612.450"  # the digits as they came
    assert (new.agency, new.system, new.status) == ("H14.4", "kinh-te", "final") and new.received > old.received
    assert found.corrected == (given,) and found.span is not None and found.span.owners == {"H14.4"}
    told = given.json()
    assert told["corrections"][0]["old"]["value"] == Decimal("612.450") and told["value"] == Decimal("615.5")


def test_another_unit_is_named(place: Place) -> None:
    send(place, 612_450, unit="triệu đồng")
    (figure,) = seen(place, definition(), first=QUARTER, last=QUARTER).figures
    assert figure.differs == ("unit",) and figure.json()["differs"] == ["unit"]


@pytest.mark.parametrize("seed", range(3))
def test_the_last_value_of_the_feed_stands_and_all_are_told(place: Place, seed: int) -> None:
    """Also of messages that came in the same millisecond."""
    chance, sent = random.Random(seed), dict[str, list[int]]()
    for _ in range(chance.randint(4, 14)):
        area, value = chance.choice(["04", "01273"]), chance.randint(1, 9)
        if sent.get(area, [0])[-1] != value:
            sent.setdefault(area, []).append(value)
        send(place, value, area=area)
    found = seen(place, definition(areas=("04", "01273")), first=QUARTER, last=QUARTER)
    told = {each.area: [one.value for one in each.observations] for each in found.figures if each.observations}
    assert told == sent


def test_a_mask_hides_values_and_nothing_else(place: Place) -> None:
    send(place, 612)
    snapshot, contract = place.gateway.snapshot, contracts()[CONTRACT]
    decision = Decision(True, Reason.GRANTED, views=(("*", "!values[].value"),))
    (figure,) = seen(
        place, definition(), masks=masks_of(snapshot, None, contract, decision), first=QUARTER, last=QUARTER
    ).figures
    assert figure.value is None and figure.current is not None and figure.current.absent == "not-permitted"
    assert figure.state is State.ABSENT and figure.current.unit == "tỷ đồng"


def test_a_changed_row_is_named_and_not_shown(place: Place) -> None:
    send(place, 612)
    place.sequence()
    with writing(place.gateway.engine) as connection:
        connection.execute(update(tables.feed_key).values(agency="H14.7"))
    (figure,) = seen(place, definition(), first=QUARTER, last=QUARTER).figures
    assert figure.value is None and figure.current is not None and figure.current.absent == "tampered"


def test_the_number_of_statements_does_not_grow_with_the_feed(place: Place) -> None:
    def statements() -> int:
        count = 0

        def counting(*_: object) -> None:
            nonlocal count
            count += 1

        listening.listen(place.gateway.engine, "before_cursor_execute", counting)
        try:
            with place.gateway.engine.connect() as connection:
                source = Source(connection, place.gateway.vault, contracts()[CONTRACT], str)
                assert len(read(source, [Key("KT-05", "04", QUARTER)]).values) == 1
        finally:
            listening.remove(place.gateway.engine, "before_cursor_execute", counting)
        return count

    send(place, 1)
    place.sequence()
    before = statements()
    for number in range(12):
        send(place, number, period="2025-Q1")
    place.sequence()
    assert statements() == before


@pytest.mark.parametrize(("first", "last"), [("2026-13", ""), ("", "x"), ("2026-Q3", "2026-Q1")])
def test_no_periods(first: str, last: str) -> None:
    with pytest.raises(Theirs, match=r"indicator\.period"):
        Wanted.of(NOW, first, last)


def test_bounds(place: Place) -> None:
    many = definition("M", areas=tuple(map(str, range(400))), first=Period("M", 2000 * 12))
    with pytest.raises(Theirs, match=r"indicator\.too-many"):
        seen(place, many, first="2000")
    with pytest.raises(Theirs, match=r"indicator\.unknown"):
        seen(place, definition(), codes=["KT-99"])

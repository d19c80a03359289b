"""What is owed, and when it came, by the keys of the feed alone."""

from __future__ import annotations

from datetime import datetime

import pytest

from contracts.base.errors import Failure
from gateway.indicators import owed as module
from gateway.indicators.figures import Wanted
from gateway.indicators.owed import Asking, Owed, State, newest, owed
from gateway.indicators.values import CONTRACT
from security.grants.windows import VIETNAM
from tests.feeds.test_feed_standing import Place
from tests.indicators.defining import OTHER, OWNER, definition
from tests.indicators.test_figures import send
from tests.registry.making import NOW, contracts

STATED = definition(areas=("04", "01273"))
FOREST = definition("A", code="MT-04", owner=OTHER, due=250)
KNOWN = {"KT-05": [STATED], "MT-04": [FOREST]}


def at(month: int, day: int) -> float:
    return datetime(2026, month, day, 12, tzinfo=VIETNAM).timestamp() - NOW


def found(place: Place, owner: str | None = None) -> list[Owed]:
    place.sequence()
    with place.gateway.engine.connect() as connection:
        return owed(Asking(connection, contracts()[CONTRACT], str, owner), KNOWN, Wanted.of(NOW, "2026"), NOW)


def test_states_and_times(place: Place) -> None:
    send(place, 10, period="2026-Q1", later=at(4, 3))
    send(place, 11, period="2026-Q1", later=at(8, 3))  # a correction, which changes nothing here
    send(place, 12, period="2026-Q2", later=at(9, 3))
    rows = {(each.period.__str__(), each.area): each for each in found(place) if each.definition.code == "KT-05"}
    states = {key: each.state(NOW) for key, each in rows.items()}
    assert states["2026-Q1", "04"] == State.IN_TIME and rows["2026-Q1", "04"].delivered == pytest.approx(NOW + at(4, 3))
    assert states["2026-Q2", "04"] == State.LATE and rows["2026-Q2", "04"].delivered == pytest.approx(NOW + at(9, 3))
    assert {states[f"2026-Q{number}", "01273"] for number in (1, 2, 3)} == {State.MISSING}
    assert states["2026-Q4", "04"] == State.AWAITED and len(states) == 8


def test_an_owner_sees_its_own(place: Place) -> None:
    assert {each.definition.owner for each in found(place)} == {OWNER, OTHER}
    assert {each.definition.owner for each in found(place, OTHER)} == {OTHER}


def test_the_newest_that_is_due(place: Place) -> None:
    send(place, 12, period="2026-Q3", later=at(10, 3))
    place.sequence()
    with place.gateway.engine.connect() as connection:
        asking = Asking(connection, contracts()[CONTRACT], str)
        rows = newest(asking, KNOWN, NOW, 100)
        assert [(str(each.period), each.area, each.delivered is not None) for each in rows] == [
            ("2026-Q3", "04", True), ("2026-Q3", "01273", False),
        ]  # fmt: skip
        assert len(newest(asking, KNOWN, NOW, 1)) == 1


def test_too_many(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    with pytest.raises(Failure, match="indicator.too-many"):
        found(place)

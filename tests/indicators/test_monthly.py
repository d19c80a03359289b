"""The report of a month tells of indicators what stood when the month ended, whenever it is made."""

from __future__ import annotations

from datetime import date, datetime

from gateway.indicators.figures import State
from gateway.indicators.monthly import Reported, of_period
from gateway.indicators.values import CONTRACT, Source
from security.grants.windows import VIETNAM
from tests.feeds.test_feed_standing import Place
from tests.indicators.defining import definition
from tests.indicators.test_figures import send
from tests.registry.making import NOW, contracts

FIRST, AFTER = date(2026, 10, 1), date(2026, 11, 1)  # Q3 is due on 19 October


def at(day: int, month: int = 10) -> float:
    """Noon of a day, as seconds after NOW."""
    return datetime(2026, month, day, 12, tzinfo=VIETNAM).timestamp() - NOW


def reported(place: Place, now: float = NOW) -> Reported:
    place.sequence()
    stated = definition(areas=("04", "01273"))
    with place.gateway.engine.connect() as connection:
        source = Source(connection, place.gateway.vault, contracts()[CONTRACT], str)
        return of_period(source, {"KT-05": [stated]}, FIRST, AFTER, now)


def test_a_month(place: Place) -> None:
    send(place, 10, period="2026-Q2", later=at(2, 7))
    send(place, 11, period="2026-Q2", later=at(5))
    send(place, 612, later=at(9))
    send(place, 613, later=at(20))
    send(place, 614, later=at(3, 11))
    send(place, 7, area="01273", later=at(4, 11))
    found = reported(place)
    assert {(str(each.period), each.area): (each.value, each.state) for each in found.due} == {
        ("2026-Q3", "04"): (613, State.GIVEN),
        ("2026-Q3", "01273"): (None, State.MISSING),
    }
    assert [(each.area, each.definition.owner) for each in found.owed] == [("01273", "H14.4")]
    assert sorted((str(each.period), one.old.value, one.new.value) for each, one in found.corrected) == [
        ("2026-Q2", 10, 11),
        ("2026-Q3", 612, 613),
    ]
    again = reported(place, NOW + 40 * 86_400)
    assert (again.due, again.owed, again.corrected) == (found.due, found.owed, found.corrected)


def test_a_month_that_is_not_over(place: Place) -> None:
    found = reported(place, NOW + at(10))
    assert found.due == () and found.owed == () and found.span is None

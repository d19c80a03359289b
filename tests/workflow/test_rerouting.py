"""After a merger of agencies what they had in hand goes to the successor; several agencies handle one alert."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.handling_events import seal_of
from gateway.workflow.records import Actor
from gateway.workflow.rerouting import Rerouting, successor
from tests.registry.making import NOW
from tests.workflow.desks import BUILDERS, CENTRE, Town, nothing


@pytest.mark.parametrize(
    ("agency", "leads_to"),
    [("H14.12", "H14.3"), ("H14.10", "H14.2"), ("H14.40", "H14.21"), ("H14.3", None), ("H14.15", None), ("X", None)],
)
def test_successors_are_those_of_the_code_table_that_are_active_here(
    town: Town, agency: str, leads_to: str | None
) -> None:
    """H14.15 went to H14.8, which is not registered."""
    assert successor(town.office.registry.snapshot, agency, NOW) == leads_to


def test_what_an_agency_had_that_was_merged_goes_to_its_successor(town: Town) -> None:
    report = town.report()
    town.follow()
    row = town.of(report)
    town.act(row.id, "forward", CENTRE, "x", to="H14.2")
    old = town.seen(row.id).row._replace(agency="H14.12")  # as before the merger
    with writing(town.gateway.engine) as connection:
        values: dict[str, Any] = {"agency": "H14.12", "seal": seal_of(old, str)}
        connection.execute(update(tables.handling).values(values))
    assert Rerouting(town.office).step(nothing) == 1 and Rerouting(town.office).step(nothing) == 0
    seen = town.seen(row.id)
    last = seen.steps[-1]
    assert (seen.row.agency, last.step.step, last.step.party) == ("H14.3", "forward", "gateway")
    assert "H14.12" in (last.reason or "")


def test_another_agency_gets_a_handling_of_its_own(town: Town) -> None:
    alert = town.alert("a-1")
    town.follow()
    first = town.of(alert)
    second = town.act(first.id, "@open", CENTRE, "Cần cứu hộ", to="H14.6")
    assert (second.transfer, second.agency, second.state, second.version) == (alert, "H14.6", "sent", 1)
    assert town.seen(second.id).steps[0].reason == "Cần cứu hộ"
    town.act(second.id, "accept", Actor("H14.6/bao-chay", "H14.6"))
    assert town.seen(first.id).row.state == "sent"
    town.follow()
    assert town.wrong() == ()
    for agency, reason, actor, code in (
        ("H14.6", "x", CENTRE, "handling.no-target"),
        ("H14.99", "x", CENTRE, "handling.no-target"),
        ("H14.3", "", CENTRE, "handling.no-reason"),
        ("H14.3", "x", BUILDERS, "handling.unknown"),
        ("H14.3", "x", Actor("H14.2/canh-bao", "H14.2"), "workflow.other-party"),
    ):
        with pytest.raises(Failure) as refused:
            town.act(first.id, "@open", actor, reason, to=agency)
        assert refused.value.code == code

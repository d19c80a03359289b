"""Article 11: specialised systems hand in indicators and alerts."""

from __future__ import annotations

import pytest

from examples.story.world import World
from gateway.sandbox.standins import messages
from tests.obligations.calls import ALERT, accepted, entries, handling_of

pytestmark = pytest.mark.server


@pytest.mark.obligation("11.2")
def test_each_alert_and_report_is_handled_by_an_agency_that_the_centre_sees(world: World) -> None:
    """Article 11.2: an alert and a report each get a handling with agency, state and deadline, in feed and log."""
    alert = accepted(world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm()))
    report = messages.field_report(area="01273")
    told = accepted(world.rest("phan-anh").call("POST", "/field-report/v1/requests", report))
    handlings = {transfer: handling_of(world, transfer) for transfer in (alert, told)}
    for transfer, sender in ((alert, "bao-chay"), (told, "phan-anh")):
        handling = handlings[transfer]
        assert (handling["sender_system"], handling["state"], handling["shown"]) == (sender, "sent", "open")
        assert handling["agency"] and handling["due"] and handling["whole_due"]
        note = entries(world, handling["handling"])["note"]
        assert (note["what"], note["facts"]["agency"]) == ("handling", handling["agency"])

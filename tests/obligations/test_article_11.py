"""Article 11: specialised systems hand in indicators and alerts."""

from __future__ import annotations

import pytest

from examples.story.exchange import read_feed
from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.obligations.calls import ALERT, accepted, entries, granted

pytestmark = pytest.mark.server

HANDLINGS = "handling/v1"


@pytest.mark.obligation("11.2")
def test_each_alert_and_report_is_handled_by_an_agency_that_the_centre_sees(world: World, instance: Settings) -> None:
    """Article 11.2: an alert and a report each get a handling with agency, state and deadline, in feed and log."""
    with granted(world, instance, agency="H14.0", contract=HANDLINGS, operations=["feed"]):
        alert = accepted(world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm()))
        report = messages.field_report(area="01273")
        told = accepted(world.rest("phan-anh").call("POST", "/field-report/v1/requests", report))

        def both() -> dict[str, dict[str, object]] | None:
            found = {each["data"]["transfer"]: each["data"] for each in read_feed(world, HANDLINGS)}
            return found if {alert, told} <= found.keys() else None

        handlings = world.wait("the handlings of both", both)
    for transfer, sender in ((alert, "bao-chay"), (told, "phan-anh")):
        handling = handlings[transfer]
        assert (handling["sender_system"], handling["state"], handling["shown"]) == (sender, "sent", "open")
        assert handling["agency"] and handling["due"] and handling["whole_due"]
        note = entries(world, str(handling["handling"]))["note"]
        assert (note["what"], note["facts"]["agency"]) == ("handling", handling["agency"])
    assert handlings[told]["agency"] == "H14.3", "the agency of the route of its area"

"""Article 11: specialised systems hand in indicators and alerts."""

from __future__ import annotations

import pytest

from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.obligations.calls import ALERT, accepted, entries, handling_of
from tests.obligations.persons import visitor

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


@pytest.mark.obligation("11.2")
def test_an_agency_without_a_system_takes_its_steps_on_a_page(world: World, instance: Settings) -> None:
    """Article 11.2: an officer of the agency finds the alert on the page of handlings, and takes and finishes it there.
    The centre's feed has each step; an officer of another agency does not find it."""
    handling = handling_of(world, alert := accepted(world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm())))
    here, agency = f"/console/handlings/{handling['handling']}", handling["agency"]
    officer = visitor(world, instance, "agency", agency)
    assert f'href="{here}"' in officer.page("/console/handlings")
    officer.send(here, f"{here}/steps", step="accept")
    assert handling_of(world, alert, 2)["state"] == "accepted"
    shown = officer.send(here, f"{here}/steps", step="finish", reason="Đã dập tắt đám cháy")
    assert "Đã dập tắt đám cháy" in shown
    last = handling_of(world, alert, 3)
    assert (last["state"], last["by"], last["shown"]) == ("done", agency, "closed")
    other = visitor(world, instance, "agency", "H14.21")
    assert handling["handling"] not in other.page("/console/handlings?list=ended")
    assert other.session.get(f"{instance.desk}{here}", timeout=60).status_code == 404

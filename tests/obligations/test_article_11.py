"""Article 11: specialised systems hand in indicators and alerts."""

from __future__ import annotations

from typing import Any

import pytest

from examples.story.world import World
from gateway.client import Client, Identity
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.obligations.calls import ALERT, accepted, entries, handling_of
from tests.obligations.persons import visitor
from tests.registry.making import contracts

REPORTS = "field-report/v1"

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
    assert officer.finds("/console/handlings", f'href="{here}"')
    officer.send(here, f"{here}/steps", step="accept")
    assert handling_of(world, alert, 2)["state"] == "accepted"
    shown = officer.send(here, f"{here}/steps", step="finish", reason="Đã dập tắt đám cháy")
    assert "Đã dập tắt đám cháy" in shown
    last = handling_of(world, alert, 3)
    assert (last["state"], last["by"], last["shown"]) == ("done", agency, "closed")
    other = visitor(world, instance, "agency", "H14.21")
    assert not other.finds("/console/handlings?list=ended", handling["handling"])
    assert other.session.get(f"{instance.desk}{here}", timeout=60).status_code == 404


@pytest.mark.obligation("11.2")
@pytest.mark.parametrize("door", ["rest", "soap"])
def test_a_report_to_an_agency_without_a_system_waits_on_its_page(world: World, instance: Settings, door: str) -> None:
    """Article 11.2: no system gets the report. Its sender is told so, an officer of the agency reads and finishes it on
    the page, and the sender sees each state."""
    sender = world.rest("phan-anh")
    report = {**messages.field_report(area="01273"), "service_code": "an-ninh"}
    with Client(Identity.load(world.identities / "phan-anh"), seconds=60.0) as client:
        if door == "rest":
            answer = client.rest("POST", "/field-report/v1/requests", report)
        else:
            body = contracts()[REPORTS].codec("canonical").write_xml("ServiceRequest", report, wrapper="createRequest")
            answer = client.soap(REPORTS, body)
    assert answer.accepted and not answer.queued and answer.receipt is not None
    assert answer.receipt.leaves.keys() == {"intent", "outcome"}
    transfer = answer.receipt.transfer

    def asked(path: str) -> dict[str, Any]:
        answer = sender.call("GET", path)
        assert answer.ok and answer.verified, answer.body
        return dict(answer.json())

    assert asked(f"/transfers/{transfer}")["state"] == asked(f"/transfers/{transfer}/answer")["state"] == "accepted"
    handling = handling_of(world, transfer)
    assert handling["agency"] == "H14.21" and "system" not in handling
    here = f"/console/handlings/{handling['handling']}"
    officer = visitor(world, instance, "agency", "H14.21")
    assert report["description"] in officer.send(here, f"{here}/message")
    officer.send(here, f"{here}/steps", step="accept")
    officer.send(here, f"{here}/steps", step="finish", reason="Đã nhắc nhở hai bên")
    handling_of(world, transfer, 3)
    (own,) = asked(f"/handlings?transfer={transfer}")["handlings"]  # it has ended: the sender finds it all the same
    assert asked(f"/handlings?list=open&transfer={transfer}")["handlings"] == []
    seen = asked(f"/handlings/{own['handling']}")
    assert own["steps"] == seen["steps"]
    assert (seen["state"], seen["shown"], seen["agency"]) == ("done", "closed", "H14.21")
    assert [each.get("reason") for each in seen["steps"]] == [None, None, "Đã nhắc nhở hai bên"]
    assert entries(world, transfer)["outcome"]["status"] == 202
    journey = visitor(world, instance, "operator", "H14.0").page(f"/console/transfers/{transfer}")
    assert "It was kept for an agency without a system" in journey and "the gateway made the answer" not in journey

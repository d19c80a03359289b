"""Article 6: what the agency that runs the gateway does."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from examples.story import exchange, refusals
from examples.story.exchange import INDICATOR, QUESTION
from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.following import everywhere
from tests.obligations.calls import accepted, entries, event_of, sample, today
from tests.obligations.persons import person

pytestmark = pytest.mark.server

QUERY = messages.indicator_question(**QUESTION)


@pytest.mark.obligation("6.1d")
def test_a_foreign_soap_client_works_from_the_served_description(world: World) -> None:
    """Article 6.1d: zeep asks by the served WSDL in SOAP 1.1 and 1.2; the answer is valid by the served XSD."""
    exchange.soap_query(world)


@pytest.mark.obligation("6.1e")
def test_a_suspended_consumer_is_refused_and_let_in_again(world: World, instance: Settings) -> None:
    """Article 6.1e: a suspended consumer is refused with the reason, the refusal is logged; resumed, it is answered."""
    client, data = world.rest("y-te"), ("--data", str(world.data))
    assert client.call("GET", QUERY).ok
    reason = ("--reason-vi", "Vượt mục đích đã nêu", "--reason-en", "Used beyond its purpose")
    assert world.lgsp("access", "suspend", "G-0006", *reason, *data)["ok"]
    try:
        everywhere(instance)
        answer = client.call("GET", QUERY)
        assert "Vượt mục đích đã nêu" in world.refusal("suspended", "access.suspended", answer, status=403)
    finally:
        assert world.lgsp("access", "resume", "G-0006", *data)["ok"]
    everywhere(instance)
    assert entries(world, world.refused["suspended"])["refusal"]["failure"] == "access.suspended"
    assert client.call("GET", QUERY).ok


@pytest.mark.obligation("6.1e")
def test_processing_in_a_component_system_is_watched(world: World) -> None:
    """Article 6.1e: a report is routed by its area; its state tells that one agency answered, and one is waited for."""
    call = world.rest("phan-anh").call
    done = accepted(call("POST", refusals.REQUESTS, messages.field_report(area="01273")))
    waits = accepted(call("POST", refusals.REQUESTS, messages.field_report(area="01392")))
    found = world.lgsp("audit", "journey", done, "--data", str(world.data))["journeys"]
    found += world.lgsp("audit", "journey", waits, "--data", str(world.data))["journeys"]
    states = {each["transfer"]: (each["state"]["provider"], each["state"]["state"]) for each in found}
    assert states[done] == ("do-thi", "answered")
    assert states[waits] in (("truong-ha", "queued"), ("truong-ha", "forwarding"))


@pytest.mark.obligation("6.1đ")
def test_the_report_says_how_the_gateway_itself_ran(world: World, tmp_path: Path) -> None:
    """Article 6.1đ: a report has a section on running and security: entries by kind, backups, drills, stops."""
    day, file = today(), tmp_path / "figures.json"
    words = ("--from", day, "--until", day, "--format", "json", "--out", str(file), "--data", str(world.data))
    world.lgsp("report", "make", *words)
    (section,) = (each for each in json.loads(file.read_bytes())["sections"] if each["id"] == "running")
    facts = {each["id"]: each["value"] for each in section["facts"]}
    assert facts["entries"] > 0 and {"backups", "drills", "ended", "altered"} <= facts.keys()


@pytest.mark.obligation("6.1c")
def test_a_value_is_the_same_by_feed_page_and_door_and_a_missing_one_names_its_owner(
    world: World, instance: Settings
) -> None:
    """Article 6.1c: a value is the same in the feed, for persons and for systems; who owes a missing one is named."""
    values = sample(world, INDICATOR, "IndicatorValues")
    values["values"] = [{**values["values"][0], "note": f"{uuid.uuid4()}"}]
    sent = accepted(world.rest("so-lieu").call("POST", f"/{INDICATOR}/values", values))
    value = event_of(world, sent, INDICATOR)["data"]["values"][0]
    asked = f"?indicator={value['indicator']}&area=04&from={value['period']}&until={value['period']}"
    (system,) = world.rest("dieu-hanh").call("GET", f"/feeds/{INDICATOR}/figures{asked}").json()["figures"]
    (page,) = person(world, instance, "centre").read(f"/api/indicators{asked}")["figures"]
    assert float(value["value"]) == float(system["value"]) == float(page["value"])
    missing = world.lgsp("indicator", "missing", "--data", str(world.data))["missing"]
    assert {each["state"] for each in missing} == {"missing"} and "H14.4" in {each["owner"] for each in missing}

"""Accepted messages: alerts, a report and its answer, a question across protocols, the mask, the repeat."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import zeep
from lxml import etree

from examples.story.world import Telling, World, check, same
from gateway.sample_client.soap import ZeepSigner, zeep_transport
from gateway.sandbox.standins import messages

ALERTS = "incident-alert/v1"
REPORTS = "field-report/v1"
INDICATOR = "indicator/v1"
QUESTION = {"indicator": "KT-05", "area": "04", "period": "2026-Q3"}
NS = messages.INDICATOR


def soap_alert(world: World) -> str:
    identifier = f"NCHMF-{uuid.uuid4()}"
    body = messages.cap_alert(identifier=identifier)
    answer = world.soap("canh-bao").call(ALERTS, "submitAlert", body)
    check(answer.ok and answer.verified, f"expected an accepted alert, got {answer.status} {answer.fault}")
    check(answer.receipt is not None and answer.receipt.intent and answer.receipt.outcome, "a receipt with both leaves")
    world.remembered["soap-alert"] = identifier
    world.remembered["soap-receipt"] = answer.receipt
    return f"CAP 1.2 by SOAP accepted as {answer.receipt.transfer if answer.receipt else ''}, answer and receipt signed"


def rest_alert(world: World) -> str:
    identifier = f"BC-{uuid.uuid4()}"
    message = messages.fire_alarm(identifier=identifier)
    message_id = str(uuid.uuid4())
    answer = world.rest("bao-chay").call("POST", "/incident-alert/v1/alerts", message, message_id=message_id)
    check(answer.ok and answer.verified, f"expected an accepted alert, got {answer.status} {answer.body[:300]!r}")
    world.remembered |= {
        "rest-alert": identifier,
        "rest-message": message,
        "rest-message-id": message_id,
        "rest-answer": answer.body,
    }
    return f"alert in its own JSON ({', '.join(list(message)[:3])}, …) accepted: {answer.json()['transfer']}"


def feed(world: World) -> str:
    wanted = {world.remembered["soap-alert"], world.remembered["rest-alert"]}
    received = world.wait("both alerts in the feed", lambda: _both(world, wanted))
    one, other = (received[key] for key in sorted(wanted))
    for event in (one, other):
        same(event["specversion"], "1.0", "a CloudEvents envelope")
        check(
            {"identifier", "sender", "sent", "status", "msgType", "scope", "info"} <= set(event["data"]),
            "the canonical alert's fields",
        )
        check(event["data"]["info"][0]["area"][0]["geocode"], "areas with their codes")
    check({one["lgspformat"], other["lgspformat"]} == {"cap12", "bao-chay-json"}, "where each came from")
    return "both alerts stand in the centre's feed in one shape, once each"


def _both(world: World, wanted: set[str]) -> dict[str, Any] | None:
    events = read_feed(world, ALERTS)
    received = {event["data"]["identifier"]: event for event in events if event["data"]["identifier"] in wanted}
    check(sum(event["data"]["identifier"] in wanted for event in events) <= len(wanted), "each alert once")
    return received if len(received) == len(wanted) else None


def read_feed(world: World, contract: str) -> list[dict[str, Any]]:
    """The whole feed, page by page, as the centre reads it."""
    centre, after, events = world.rest("dieu-hanh"), "", []
    while True:
        answer = centre.call(
            "GET", f"/feeds/{contract}?limit=100" + (f"&after={quote(after, safe='')}" if after else "")
        )
        same(answer.status, 200, f"the feed's page ({answer.body[:300]!r})")
        page = answer.json()
        events += page["events"]
        after = page["next"]
        if not page["more"]:
            return events


def dispatch(world: World) -> str:
    before = world.seen("do-thi")["records"]
    report = messages.field_report(area="01273")
    answer = world.rest("phan-anh").call("POST", "/field-report/v1/requests", report)
    same(answer.status, 200, f"the answer ({answer.body[:400]!r})")
    received = answer.json()
    check(
        answer.verified and answer.receipt is not None and answer.checkpoint,
        "a signed answer with receipt and checkpoint",
    )
    check(
        received["service_request_id"].startswith("SXD-") and received["status"] == "open",
        "the agency's answer in Open311 words",
    )
    same(world.seen("do-thi")["records"], before + 1, "records at the agency")
    world.remembered["dispatch-receipt"] = answer.receipt
    return (
        f"report became {received['service_request_id']} ({received['status']}) in the agency's SOAP system; its "
        "signed answer came back translated"
    )


def soap_query(world: World) -> str:
    identity = world.identity("dieu-hanh")
    transport, signer = zeep_transport(identity), ZeepSigner(identity)
    client = zeep.Client(f"{identity.gateway}/soap/{INDICATOR}?wsdl", wsse=signer, transport=transport)
    newer = client.bind("IndicatorService", "IndicatorPort12")
    for service in (client.service, newer):
        with client.settings(raw_response=False):
            value = service.getValue(**QUESTION)
        check(signer.verified, "the answer's signature")
    number = value.value["_value_1"]  # an element that may be absent with a reason has content and an attribute
    same(number, Decimal("612.450"), "the value, exact")
    raw = world.soap("dieu-hanh").call(INDICATOR, "getValue", question())
    check(raw.ok and raw.body is not None, f"the same question again: {raw.fault}")
    assert raw.body is not None
    schema = etree.XMLSchema(
        etree.fromstring(transport.session.get(f"{identity.gateway}/soap/{INDICATOR}?xsd", timeout=10).content)
    )
    schema.assertValid(raw.body)
    return (
        f"zeep, from the served WSDL, asked a REST provider by SOAP 1.1 and 1.2: {number} {value.unit}; the answer is "
        "valid against the served XSD"
    )


def question() -> bytes:
    return messages.indicator_body(**QUESTION)


def mask(world: World) -> str:
    masked = world.rest("y-te").call("GET", messages.indicator_question(**QUESTION))
    same(masked.status, 200, f"the answer ({masked.body[:300]!r})")
    same(masked.json()["responsible"], {"absent": "not-permitted"}, "the field that the grant lacks")
    full = world.soap("dieu-hanh").call(INDICATOR, "getValue", question())
    check(
        full.body is not None and full.body.find(f"{{{NS}}}responsible/{{{NS}}}name") is not None,
        "the same field for the centre, whose grant has it",
    )
    soap = world.soap("y-te").call(INDICATOR, "getValue", question())
    hidden = soap.body.find(f"{{{NS}}}responsible") if soap.body is not None else None
    check(
        hidden is not None and hidden.get("absent") == "not-permitted" and not len(hidden),
        f"masked by SOAP too: {soap.fault}",
    )
    return "the agency without the field gets it as not permitted, by REST and by SOAP; the centre gets it whole"


def repeat(world: World) -> str:
    memory = world.remembered
    again = world.rest("bao-chay").call(
        "POST", "/incident-alert/v1/alerts", memory["rest-message"], message_id=memory["rest-message-id"]
    )
    same(again.body, memory["rest-answer"], "the repeat's answer")
    events = [event for event in read_feed(world, ALERTS) if event["data"]["identifier"] == memory["rest-alert"]]
    same(len(events), 1, "times that the message stands in the feed")
    other = {**memory["rest-message"], "ghiChu": "nội dung khác"}
    answer = world.rest("bao-chay").call(
        "POST", "/incident-alert/v1/alerts", other, message_id=memory["rest-message-id"]
    )
    return "same answer, appears once; with another body: " + world.refusal(
        "other-body", "message.other-body", answer, status=409
    )


STEPS: tuple[Telling, ...] = (
    ("an alert in CAP 1.2 by SOAP", soap_alert),
    ("an alert in a system's own JSON by REST", rest_alert),
    ("the centre's feed shows both in one shape", feed),
    ("a field report by REST to the agency's SOAP system and back", dispatch),
    ("a SOAP caller asks a REST provider", soap_query),
    ("a field that the grant lacks is masked", mask),
    ("a repeat gets the same answer", repeat),
)

"""Refused messages: each with its own error in the caller's protocol, not forwarded, and logged."""

from __future__ import annotations

from collections.abc import Callable

from examples import misuse
from examples.story.exchange import ALERTS, INDICATOR, QUESTION, question
from examples.story.world import Telling, World, check, same
from gateway.sample_client.wssec import Element
from gateway.sandbox.standins import messages

REQUESTS = "/field-report/v1/requests"
VALUES = messages.indicator_question(**QUESTION)
_TOO_LARGE = 5_000_001


def no_certificate(world: World) -> str:
    client = world.rest("phan-anh")
    answer = client.send(client.prepare("POST", REQUESTS, messages.field_report(area="01273")), tls=None)
    words = world.refusal("no certificate, REST", "channel.no-certificate", answer, status=401)
    soap = world.soap("canh-bao").call(ALERTS, "submitAlert", messages.cap_alert(), tls=None)
    world.refusal("no certificate, SOAP", "channel.no-certificate", soap)
    return words


def unknown_system(world: World) -> str:
    unregistered = world.identity("chua-dang-ky")
    client = world.rest("phan-anh")
    answer = client.send(client.prepare("GET", VALUES), tls=unregistered)
    words = world.refusal("unknown system, REST", "channel.unknown-system", answer, status=403)
    soap = world.soap("canh-bao").call(ALERTS, "submitAlert", messages.cap_alert(), tls=unregistered)
    world.refusal("unknown system, SOAP", "channel.unknown-system", soap)
    return words


def tampered(world: World) -> str:
    report = messages.field_report(area="01273")
    answer = world.rest("phan-anh").call("POST", REQUESTS, report, mutate=misuse.replace_text("Kim Đồng", "Kim Đông"))
    words = world.refusal("tampered, REST", "signature.digest-mismatch", answer)
    soap = world.soap("canh-bao").call(
        ALERTS, "submitAlert", messages.cap_alert(), mutate=misuse.replace_text(">Severe<", ">Minor<")
    )
    world.refusal("tampered, SOAP", "signature.digest-mismatch", soap)
    return words


def expired(world: World) -> str:
    words = world.refusal("expired, REST", "signature.expired", world.rest("y-te").call("GET", VALUES, created=-120.0))
    soap = world.soap("y-te").call(INDICATOR, "getValue", question(), created=-600.0)
    world.refusal("expired, SOAP", "signature.expired", soap)
    return words


def replayed(world: World) -> str:
    client = world.rest("y-te")
    prepared = client.prepare("GET", VALUES)
    check(client.send(prepared).ok, "the first one")
    words = world.refusal("replayed, REST", "message.replayed", client.send(prepared), status=409)
    soap = world.soap("y-te")
    envelope = soap.prepare(INDICATOR, "getValue", question())
    check(soap.send(envelope).ok, "the first one by SOAP")
    world.refusal("replayed, SOAP", "message.replayed", soap.send(envelope))
    return words


def not_covering(world: World) -> str:
    answer = world.rest("phan-anh").call(
        "POST", REQUESTS, messages.field_report(area="01273"), leave_out=("content-digest",)
    )
    words = world.refusal("signature without the body, REST", "signature.not-covering", answer)
    soap = world.soap("canh-bao").call(ALERTS, "submitAlert", messages.cap_alert(), leave_out=("body",))
    world.refusal("signature without the Body, SOAP", "signature.not-covering", soap)
    return words


def wrapped(world: World) -> str:
    """The signed Body moves aside, and another takes its place (McIntosh and Austel, 2005)."""

    def forge(element: Element) -> None:
        for severity in element.iter(f"{{{messages.CAP}}}severity"):
            severity.text = "Minor"

    soap = world.soap("canh-bao").call(ALERTS, "submitAlert", messages.cap_alert(), mutate=misuse.wrap_body(forge))
    check(
        soap.fault is not None and soap.fault.problem.startswith("signature."),
        f"a Fault about the signature, got {soap.status} {soap.fault}",
    )
    assert soap.fault is not None
    return world.refusal("wrapped", soap.fault.problem, soap)


def no_grant(world: World) -> str:
    answer = world.rest("thuc-phan").call("GET", VALUES)
    words = world.refusal("no grant, REST", "access.no-grant", answer, status=403)
    check(INDICATOR in words and "getValue" in words, f"the answer names contract and operation: {words}")
    check("H14." in words.rpartition("→")[2], f"the answer names whom to ask: {words}")
    world.refusal("no grant, SOAP", "access.no-grant", world.soap("thuc-phan").call(INDICATOR, "getValue", question()))
    return words


def wrong_type(world: World) -> str:
    alert = messages.fire_alarm()
    alert["chiTiet"][0]["khuVuc"][0]["diaDiem"] = 17
    answer = world.rest("bao-chay").call("POST", "/incident-alert/v1/alerts", alert)
    words = world.refusal("wrong type, REST", "message.invalid", answer, status=422)
    finding = (answer.problem or {})["findings"][0]
    same(finding["here"], "chiTiet[0].khuVuc[0].diaDiem", "the path in the caller's own format")
    same(finding["canonical"], "info[0].area[0].areaDesc", "the path in the canonical format")
    bad = messages.cap_alert().replace(b"<cap:urgency>Expected</cap:urgency>", b"<cap:urgency>Perhaps</cap:urgency>", 1)
    soap = world.soap("canh-bao").call(ALERTS, "submitAlert", bad)
    world.refusal("wrong word, SOAP", "message.invalid", soap)
    return f"{words}; {finding['here']}: {finding['rule']}"


def unknown_code(world: World) -> str:
    alert = messages.fire_alarm()
    alert["chiTiet"][0]["mucDo"] = 77
    answer = world.rest("bao-chay").call("POST", "/incident-alert/v1/alerts", alert)
    world.refusal("unknown code", "message.invalid", answer, status=422)
    finding = (answer.problem or {})["findings"][0]
    same((finding["here"], finding["rule"]), ("chiTiet[0].mucDo", "code"), "the finding")
    return f"{finding['here']}: {finding['expected']}"


def doctype(world: World) -> str:
    soap = world.soap("canh-bao").call(ALERTS, "submitAlert", messages.cap_alert(), mutate=misuse.add_doctype)
    return world.refusal("doctype", "xml.doctype", soap)


def too_large(world: World) -> str:
    report = messages.field_report(area="01273") | {"description": "x" * _TOO_LARGE}
    return world.refusal(
        "too large", "body.too-large", world.rest("phan-anh").call("POST", REQUESTS, report), status=413
    )


def provider_down(world: World) -> str:
    """An agency does not listen: a dispatch is queued. A question gets 502 at once, or 504 after the time-out."""
    report = messages.field_report(area="01392")
    answer = world.rest("phan-anh").call("POST", REQUESTS, report)
    same(answer.status, 202, f"a report to an agency that is down ({answer.body[:200]!r})")
    check(
        answer.verified and answer.receipt is not None and answer.receipt.intent,
        "a signed answer with a receipt for the intent",
    )
    transfer = answer.json()["transfer"]
    world.remembered["queued"] = transfer
    waiting = [row["transfer"] for row in world.lgsp("queue", "list", "--data", str(world.data))["queue"]]
    check(transfer in waiting, "the report in the queue")
    world.fault("kinh-te", "wrong-status")
    down = world.rest("y-te").call("GET", VALUES)
    words = world.refusal("provider down", "provider.fault", down, status=502)
    return f"report queued as {transfer}; question: {words}"


def provider_slow(world: World) -> str:
    world.fault("kinh-te", "slow", seconds=30.0)
    answer = world.rest("y-te").call("GET", VALUES)
    return world.refusal("provider slow", "provider.timeout", answer, status=504)


def _quiet(refuse: Callable[[World], str]) -> Callable[[World], str]:
    """Also check that nothing of the refused message reached a provider."""

    def told(world: World) -> str:
        before = {name: world.seen(name)["records"] for name in ("do-thi", "kinh-te")}
        words = refuse(world)
        after = {name: world.seen(name)["records"] for name in ("do-thi", "kinh-te")}
        same(after, before, "what the providers received")
        return words

    return told


STEPS: tuple[Telling, ...] = (
    ("refused: no client certificate", _quiet(no_certificate)),
    ("refused: unknown system", _quiet(unknown_system)),
    ("refused: tampered body", _quiet(tampered)),
    ("refused: expired", _quiet(expired)),
    ("refused: replayed", replayed),
    ("refused: a signature that does not cover the body", _quiet(not_covering)),
    ("refused: a wrapped SOAP body", _quiet(wrapped)),
    ("refused: agency without a grant", _quiet(no_grant)),
    ("refused: a field of the wrong type", _quiet(wrong_type)),
    ("refused: a code that is not in the table", _quiet(unknown_code)),
    ("refused: XML with a DOCTYPE", _quiet(doctype)),
    ("refused: a body over the limit", _quiet(too_large)),
    ("provider down: queued, or 502", provider_down),
    ("provider silent: 504", provider_slow),
)

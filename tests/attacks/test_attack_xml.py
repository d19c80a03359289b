"""XML and SOAP made to break a parser or to be read in two ways: refused by name, forwarded nowhere, at little cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from examples.story.world import World
from gateway.sample_client.rest import Prepared
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.wssec import SOAP12
from gateway.sandbox.standins import messages
from tests.attacks.conftest import MUCH, Judge
from tests.attacks.raw import SOAP, Told, ask, of

pytestmark = pytest.mark.server

CONTRACT = "incident-alert/v1"
OPEN = f'<soap:Envelope xmlns:soap="{SOAP}">'
CLOSE = "</soap:Envelope>"
LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9))
    + "]>"
)
NOTE = b"<cap:note>"


def in_utf16(body: bytes, before: str = "") -> bytes:
    return ('<?xml version="1.0" encoding="UTF-16"?>' + before + body.split(b"?>", 1)[1].decode()).encode("utf-16")


def into_note(text: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(NOTE, NOTE + text, 1)


def envelope(inner: str) -> Callable[[bytes], bytes]:
    return lambda body: (OPEN + inner + CLOSE).encode()


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda body: b"", "xml.malformed"),
    "JSON": (lambda body: b"{}", "xml.malformed"),
    "cut in half": (lambda body: body[: len(body) // 2], "xml.malformed"),
    "trailing element": (lambda body: body + b"<x/>", "xml.malformed"),
    "DOCTYPE in UTF-16": (
        lambda body: in_utf16(body, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "xml.doctype",
    ),
    "external DTD": (
        lambda body: body.replace(b"?>", b'?><!DOCTYPE a SYSTEM "http://127.0.0.1:1/evil.dtd">', 1),
        "xml.doctype",
    ),
    "XXE": (
        lambda body: body.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>', 1).replace(
            NOTE, NOTE + b"&x;", 1
        ),
        "xml.doctype",
    ),
    "parameter entity": (
        lambda body: body.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]>', 1),
        "xml.doctype",
    ),
    "billion laughs": (lambda body: f"{LAUGHS}<a>&j;</a>".encode(), "xml.doctype"),
    "UTF-7": (lambda body: b'<?xml version="1.0" encoding="UTF-7"?>' + body.split(b"?>", 1)[1], "xml.malformed"),
    "another encoding than declared": (
        lambda body: b'<?xml version="1.0" encoding="ISO-8859-1"?>' + body.split(b"?>", 1)[1],
        "signature.digest-mismatch",
    ),
    "very deep": (lambda body: b"<a>" * 100_000 + b"</a>" * 100_000, "xml.too-deep"),
    "deep": (into_note(b"<x>" * 100 + b"</x>" * 100), "xml.too-deep"),
    "100,000 attributes": (
        envelope("<soap:Header/><soap:Body " + " ".join(f'a{n}="x"' for n in range(100_000)) + "/>"),
        "signature.missing",
    ),
    "100,000 namespaces": (
        envelope("<soap:Header/><soap:Body " + " ".join(f'xmlns:a{n}="x"' for n in range(100_000)) + "/>"),
        "xml.too-many-namespaces",
    ),
    "a million elements": (
        lambda body: body.replace(b"</cap:note>", b"</cap:note>" + b"<x/>" * 1_000_000, 1),
        "xml.too-many-tags",
    ),
    "half a million elements": (
        lambda body: body.replace(b"</cap:note>", b"</cap:note>" + b"<x/>" * 500_000, 1),
        "signature.digest-mismatch",
    ),
    "many Ids": (
        envelope("<soap:Header>" + '<a Id="i"/>' * 200_000 + "</soap:Header><soap:Body/>"),
        "signature.missing",
    ),
    "instruction": (into_note(b"<?php system('id') ?>"), "xml.instruction"),
    "stylesheet": (
        lambda body: body.replace(b"?>", b'?><?xml-stylesheet href="file:///etc/passwd"?>', 1),
        "xml.instruction",
    ),
    "XInclude": (
        into_note(b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'),
        "signature.digest-mismatch",
    ),
    "null character": (into_note(b"\0"), "xml.malformed"),
    "null as a reference": (into_note(b"&#0;"), "xml.malformed"),
    "not a character": (into_note(b"&#xFFFE;"), "xml.malformed"),
    "entity without a declaration": (into_note(b"&tep;"), "xml.malformed"),
    "SOAP 1.2": (lambda body: body.replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope"), "soap.version"),
    "two Bodies": (lambda body: body.replace(b"</soap:Envelope>", b"<soap:Body/></soap:Envelope>"), "soap.malformed"),
    "Envelope not first": (lambda body: b"<x>" + body.split(b"?>", 1)[1] + b"</x>", "soap.malformed"),
    "no Header": (envelope("<soap:Body><x/></soap:Body>"), "signature.missing"),
    "empty Header": (envelope("<soap:Header/><soap:Body><x/></soap:Body>"), "signature.missing"),
    "no Body": (envelope("<soap:Header/>"), "soap.malformed"),
    "text beside the Body's": (into_note(b"a" * 4_000_000), "signature.digest-mismatch"),
}


def send(
    world: World, spoil: Callable[[bytes], bytes] = bytes, headers: dict[str, str] | None = None, **how: Any
) -> Told | None:
    prepared = (
        world.soap("canh-bao")
        .prepare(CONTRACT, "submitAlert", how.pop("body", None) or messages.cap_alert(), **how)
        .request
    )
    changed = Prepared(
        "POST", prepared.path, prepared.target, {**prepared.headers, **(headers or {})}, spoil(prepared.body)
    )
    return ask(world.identity("canh-bao"), of(changed))


@pytest.mark.attack("XML: DOCTYPE, entities, XInclude, depth")
@pytest.mark.parametrize("name", list(SPOILED))
def test_spoiled_envelopes(world: World, judge: Judge, plain: float, name: str) -> None:
    spoil, code = SPOILED[name]
    began = time.monotonic()
    judge.refused(send(world, spoil), code, 500)
    assert time.monotonic() - began < MUCH * plain


@pytest.mark.attack("SOAP misused")
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"body": b"<x/>"}, "soap.unknown-body"),
        ({"body": b'<cap:alert xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2"/>'}, "message.invalid"),
        ({"body": b"<a>" * 58 + b"</a>" * 58}, "soap.unknown-body"),
        ({"to": "https://evil.example/soap/incident-alert/v1"}, "soap.not-for-us"),
        ({"message_id": " "}, "signature.header-missing"),
        ({"message_id": "urn:uuid:" + "a" * 300}, "request.no-message-id"),
        ({"lifetime": 400.0}, "signature.lifetime"),
        ({"created": -61.0}, "signature.expired"),
        ({"created": 6.0}, "signature.from-future"),
        ({"headers": {"soapaction": '"urn:other"'}}, "soap.action"),
        ({"headers": {"soapaction": '"\x85\xff"'}}, "soap.action"),
        ({"action": "urn:other"}, "soap.action"),  # both alike, and both wrong
        ({"action": "urn:other", "headers": {"soapaction": '""'}}, "soap.action"),
        ({"action": "urn:lgsp:contract:incident-alert:v1:other"}, "soap.action"),
        ({"headers": {"soapaction": '"urn:lgsp:contract:incident-alert:v1:submitAlert "'}}, "soap.action"),
        ({"headers": {"content-type": "application/soap+xml"}}, "soap.version"),
        ({"headers": {"content-type": "application/json"}}, "body.media-type"),
        ({"path": "/soap/field-report/v1", "to": None}, "soap.unknown-body"),
    ],
)
def test_signed_but_not_acceptable(world: World, judge: Judge, how: dict[str, Any], code: str) -> None:
    judge.refused(send(world, **how), code, 500)


@pytest.mark.parametrize("stated", ['""', "", None, "urn:lgsp:contract:incident-alert:v1:submitAlert"])
def test_an_action_that_is_not_stated_or_not_quoted_is_taken(world: World, stated: str | None) -> None:
    """SOAP 1.1 §6.1.1: "" states nothing. Axis and some .NET clients send it so, zeep the WSDL's, curl none."""
    prepared = world.soap("canh-bao").prepare(CONTRACT, "submitAlert", messages.cap_alert()).request
    headers = {name: value for name, value in prepared.headers.items() if name != "soapaction"}
    headers |= {} if stated is None else {"soapaction": stated}
    told = ask(world.identity("canh-bao"), of(Prepared("POST", prepared.path, prepared.target, headers, prepared.body)))
    assert told is not None and told.status == 200, told


def test_a_body_of_another_format_is_pointed_to_the_wsdl_of_its_own(world: World) -> None:
    told = send(world, body=b'<submitAlert xmlns="urn:lgsp:contract:incident-alert:v1"/>')
    assert told is not None and told.code == "message.other-format", told
    assert b"/contracts/incident-alert/v1/formats/cap12/service.wsdl" in told.body and b"canonical" in told.body
    unknown = send(world, body=b"<x/>")
    assert unknown is not None and b"/formats/cap12/service.wsdl" in unknown.body


def test_a_wrong_action_names_the_expected_one(world: World) -> None:
    told = send(world, action="urn:other")
    assert told is not None and b"urn:lgsp:contract:incident-alert:v1:submitAlert" in told.body


def test_what_changes_nothing_of_the_meaning_is_taken(world: World) -> None:
    """A comment cannot split a text, CDATA is text, UTF-16 says the same: the signature covers what is read."""
    for spoil in (
        bytes,
        lambda body: body.replace(b"<cap:status>Actual", b"<cap:status>Act<!-- x -->ual"),
        lambda body: body.replace(b"<cap:status>Actual", b"<cap:status><![CDATA[Actual]]>"),
        lambda body: b"\xef\xbb\xbf" + body,
        in_utf16,
    ):
        told = send(world, spoil)
        assert told is not None and told.status == 200, told


@pytest.mark.attack("SOAP misused")
def test_a_header_that_must_be_understood_is_not_passed_over(world: World, judge: Judge) -> None:
    """SOAP 1.1 §4.2.3. One that need not be understood is."""
    block = b'<x:pay xmlns:x="urn:x" soap:mustUnderstand="%s"/></soap:Header>'
    judge.refused(send(world, lambda body: body.replace(b"</soap:Header>", block % b"1")), "soap.not-understood", 500)
    told = send(world, lambda body: body.replace(b"</soap:Header>", block % b"0"))
    assert told is not None and told.status == 200


@pytest.mark.attack("SOAP misused")
@pytest.mark.parametrize(
    ("role", "code"),
    [
        ("", "soap.not-understood"),
        ('soap:role="http://www.w3.org/2003/05/soap-envelope/role/next"', "soap.not-understood"),
        ('soap:role="http://www.w3.org/2003/05/soap-envelope/role/none"', None),
        ('soap:role="urn:another-node"', None),
    ],
)
def test_soap_12_is_held_to_the_same_and_answered_in_its_own(
    world: World, judge: Judge, role: str, code: str | None
) -> None:
    """SOAP 1.2 Part 1 §2.4: what must be understood is what is targeted at us."""
    client = SoapClient(world.identity("canh-bao"), soap=SOAP12)
    block = f'<x:pay xmlns:x="urn:x" {role} soap:mustUnderstand="true"/></soap:Header>'.encode()

    def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        return headers, body.replace(b"</soap:Header>", block)

    answer = client.send(client.prepare(CONTRACT, "submitAlert", messages.cap_alert(), mutate=spoil))
    if code is None:
        assert answer.ok and answer.verified, answer.raw
    else:
        assert answer.fault is not None and (answer.status, answer.fault.code, answer.fault.problem) == (
            500,
            "MustUnderstand",
            code,
        )
        assert answer.verified
    claimed = client.prepare(
        CONTRACT,
        "submitAlert",
        messages.cap_alert(),
        mutate=lambda h, b: ({**h, "content-type": h["content-type"].replace("submitAlert", "x")}, b),
    )
    told = client.send(claimed)
    assert told.fault is not None and (told.status, told.fault.code, told.fault.problem) == (
        400,
        "Sender",
        "soap.action",
    )

"""The SOAP adapter against a real TLS server."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.errors import Acted, ProviderFailure
from adapters.model import Endpoint, Incoming, Outgoing
from adapters.soap import SoapAdapter
from contracts.wire import soap
from contracts.wire.jsontext import read_json
from security.wssec.decrypt import BodyKeys
from security.wssec.verify import verify_envelope
from tests.adapters.providers import Provider, Script, drop, never
from tests.registry.making import Identity, contracts

TRANSFER = "01935b6e-0000-7000-8000-000000000002"
CONTRACT = "field-report/v1"


def sample(message: str) -> Any:
    return next(
        each for each in contracts()[CONTRACT].samples if each.format == "do-thi-xml" and each.message == message
    )


def answer() -> bytes:
    contract = contracts()[CONTRACT]
    return contract.codec("do-thi-xml").write_xml(
        "ServiceRequestReceived", read_json(sample("ServiceRequestReceived").canonical)
    )


def plain(content: bytes) -> bytes:
    """An envelope that nobody signed."""
    return b'<soap:Envelope xmlns:soap="%b"><soap:Body>%b</soap:Body></soap:Envelope>' % (soap.SOAP.encode(), content)


def outgoing(timeout: float = 5.0) -> Outgoing:
    contract = contracts()[CONTRACT]
    message = read_json(sample("ServiceRequest").canonical)
    operation = contract.contract.operations["createRequest"]
    return Outgoing(TRANSFER, "H14.5/phan-anh", operation, contract.codec("do-thi-xml"), message, timeout)


async def call(provider: Provider, session: aiohttp.ClientSession, script: Script, timeout: float = 5.0) -> Incoming:
    provider.script = script
    key = provider.identity.sign.verify_key()
    endpoint = Endpoint("do-thi", "soap", provider.url, {key.key_id: key}, {key.thumbprint: key})
    return await SoapAdapter(session, provider.gateway, BodyKeys([]), time.time).call(endpoint, outgoing(timeout))


async def failing(
    provider: Provider, session: aiohttp.ClientSession, script: Script, timeout: float = 5.0
) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await call(provider, session, script, timeout)
    return caught.value


async def test_a_call_in_the_systems_own_format(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, answer())

    incoming = await call(provider, session, script)
    assert incoming.answer == read_json(sample("ServiceRequestReceived").canonical)
    seen = provider.seen[0]
    envelope = verify_envelope(
        soap.parse_xml(seen.body), {provider.gateway.thumbprint: provider.gateway.verify_key()}.get, time.time()
    )
    assert (
        envelope.message_id == f"urn:uuid:{TRANSFER}"
        and envelope.caller == "H14.5/phan-anh"
        and envelope.to == provider.url
    )
    assert seen.header("soapaction") == f'"{envelope.action}"'
    codec = contracts()[CONTRACT].codec("do-thi-xml")
    assert codec.read_xml("ServiceRequest", envelope.body[0]) == read_json(sample("ServiceRequest").canonical)


async def test_the_evidence_is_what_travelled(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, answer())

    incoming = await call(provider, session, script)
    seen = provider.seen[0]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in seen.raw_headers)
    assert incoming.evidence_out == b"POST /base HTTP/1.1\r\n" + head + b"\r\n" + seen.body
    assert b"<soap:Envelope" in incoming.evidence_in


async def test_an_rsa_signed_answer(provider: Provider, session: aiohttp.ClientSession, keys: Any) -> None:
    identity = keys.identity("rsa", time.time(), "RSA-2048")
    provider.identity, provider.signer = identity, identity.sign

    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, answer())

    assert (await call(provider, session, script)).key_id == "rsa.sign-1"


async def test_another_systems_signature_is_not_believed(
    provider: Provider, session: aiohttp.ClientSession, stranger: Identity
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        provider.signer = stranger.sign
        return provider.envelope(body, answer())

    failure = await failing(provider, session, script)
    assert failure.code == "provider.bad-signature" and failure.acted is Acted.MAYBE and failure.evidence_in


async def test_a_changed_body_is_not_believed(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        honest = provider.envelope(body, answer())
        assert isinstance(honest.body, bytes)
        start = honest.body.index(b"<soap:Body")
        changed = honest.body[:start] + honest.body[start:].replace(b"2026", b"2027", 1)
        assert changed != honest.body
        return web.Response(body=changed, content_type="text/xml")

    assert (await failing(provider, session, script)).code == "provider.bad-signature"


async def test_an_answer_to_another_message_is_not_believed(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, answer(), relates_to="urn:uuid:another")

    failure = await failing(provider, session, script)
    assert failure.code == "provider.bad-signature" and failure.facts["reason"] == "wsa:RelatesTo"


async def test_an_unsigned_envelope_is_not_believed(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(body=plain(answer()), content_type="text/xml")

    assert (await failing(provider, session, script)).code == "provider.bad-signature"


def fault(code: str) -> bytes:
    return (
        "<soap:Fault "
        f'xmlns:soap="{soap.SOAP}"><faultcode>soap:{code}</faultcode><faultstring>x</faultstring></soap:Fault>'
    ).encode()


@pytest.mark.parametrize(
    ("fault_code", "signed", "code", "acted"),
    [
        ("Client", True, "provider.refused", Acted.NO),
        ("Client.Bad", True, "provider.refused", Acted.NO),
        ("Client", False, "provider.refused", Acted.MAYBE),
        ("Server", True, "provider.fault", Acted.MAYBE),
        ("Server", False, "provider.fault", Acted.MAYBE),
    ],
)
async def test_faults(
    provider: Provider, session: aiohttp.ClientSession, fault_code: str, signed: bool, code: str, acted: Acted
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        if signed:
            return provider.envelope(body, fault(fault_code), status=500)
        return web.Response(body=plain(fault(fault_code)), status=500, content_type="text/xml")

    failure = await failing(provider, session, script)
    assert (failure.code, failure.acted) == (code, acted)


@pytest.mark.parametrize(
    ("status", "code"), [(200, "provider.bad-answer"), (404, "provider.refused"), (503, "provider.fault")]
)
async def test_a_page_is_no_envelope(
    provider: Provider, session: aiohttp.ClientSession, status: int, code: str
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(text="<html>", status=status, content_type="text/html")

    assert (await failing(provider, session, script)).code == code


async def test_a_doctype_is_refused(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(body=b"<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>", content_type="text/xml")

    assert (await failing(provider, session, script)).facts["reason"] == "xml.doctype"


async def test_an_answer_out_of_format(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, b"<other></other>")

    failure = await failing(provider, session, script)
    assert failure.code == "provider.bad-answer" and failure.acted is Acted.MAYBE


@pytest.mark.full
async def test_slow_and_hung_up(provider: Provider, session: aiohttp.ClientSession) -> None:
    assert (await failing(provider, session, never, 3.0)).code == "provider.timeout"
    assert (await failing(provider, session, drop)).code == "provider.dropped"

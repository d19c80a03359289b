"""The SOAP adapter towards a system that speaks SOAP 1.2: media type, action, Faults; signed, and encrypted."""

from __future__ import annotations

import time

import aiohttp
import pytest
from aiohttp import web

from adapters.errors import Acted, ProviderFailure
from adapters.model import Endpoint, Incoming
from adapters.soap import SoapAdapter
from contracts.wire import soap
from contracts.wire.jsontext import read_json
from security.encryption_keys import DecryptKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.verify import verify_envelope
from tests.adapters.providers import Provider, Script
from tests.adapters.test_adapter_soap import answer, outgoing, sample
from tests.adapters.test_adapter_soap_encrypted import decrypt_key
from tests.registry.making import House

NEW = soap.SOAP12


def fault(code: str) -> bytes:
    reason = '<soap:Reason><soap:Text xml:lang="vi">Không nhận</soap:Text></soap:Reason>'
    return (
        "<soap:Fault "
        f'xmlns:soap="{NEW}"><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>{reason}</soap:Fault>'
    ).encode()


async def call(
    provider: Provider,
    session: aiohttp.ClientSession,
    script: Script,
    ours: DecryptKey | None = None,
    theirs: DecryptKey | None = None,
) -> Incoming:
    provider.script = script
    key = provider.identity.sign.verify_key()
    keys = () if theirs is None else (theirs.encrypt_key("do-thi"),)
    endpoint = Endpoint(
        "do-thi", "soap", provider.url, {key.key_id: key}, {key.thumbprint: key}, keys, {"version": "1.2"}
    )
    adapter = SoapAdapter(session, provider.gateway, BodyKeys([] if ours is None else [ours]), time.time)
    return await adapter.call(endpoint, outgoing()._replace(encrypted=theirs is not None))


async def test_a_call_and_its_answer(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, answer())

    assert (await call(provider, session, script)).answer == read_json(sample("ServiceRequestReceived").canonical)
    seen = provider.seen[0]
    asked = verify_envelope(
        soap.parse_envelope(seen.body, soap.V12),
        {provider.gateway.thumbprint: provider.gateway.verify_key()}.get,
        time.time(),
    )
    assert seen.header("content-type") == f'application/soap+xml; charset=utf-8; action="{asked.action}"'
    assert not any(name.lower() == b"soapaction" for name, _ in seen.raw_headers)


async def test_encrypted_both_ways(provider: Provider, session: aiohttp.ClientSession, keys: House) -> None:
    ours, theirs = decrypt_key(keys, "gateway"), decrypt_key(keys, "do-thi")

    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        opened = decrypt_envelope(soap.parse_envelope(body, soap.V12), BodyKeys([theirs]))
        made = provider.envelope(opened.raw, answer())
        assert isinstance(made.body, bytes)
        return web.Response(
            body=encrypt_envelope(made.body, ours.encrypt_key(), soap.V12), content_type="application/soap+xml"
        )

    incoming = await call(provider, session, script, ours, theirs)
    assert (
        incoming.answer == read_json(sample("ServiceRequestReceived").canonical)
        and incoming.opened_in
        and incoming.opened_out
    )


@pytest.mark.parametrize(
    ("code", "expected", "acted"),
    [
        ("Sender", "provider.refused", Acted.NO),
        ("MustUnderstand", "provider.refused", Acted.NO),
        ("DataEncodingUnknown", "provider.refused", Acted.NO),
        ("Receiver", "provider.fault", Acted.MAYBE),
    ],
)
async def test_faults(
    provider: Provider, session: aiohttp.ClientSession, code: str, expected: str, acted: Acted
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.envelope(body, fault(code), status=400)

    with pytest.raises(ProviderFailure) as caught:
        await call(provider, session, script)
    assert (caught.value.code, caught.value.acted) == (expected, acted)


async def test_an_answer_of_the_other_version_is_none(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        made = provider.envelope(body, answer())
        assert isinstance(made.body, bytes)
        raw = made.body.replace(NEW.encode(), soap.SOAP.encode())
        return web.Response(body=raw, content_type=request.headers["accept"])

    with pytest.raises(ProviderFailure) as caught:
        await call(provider, session, script)
    assert (caught.value.code, caught.value.facts["reason"]) == ("provider.bad-answer", "soap.version")

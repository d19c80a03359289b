"""A provider answers with megabytes that nobody signed: they prove nothing, and what is kept of them is small."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from adapters.errors import ProviderFailure
from adapters.http import UNSIGNED_KEPT
from adapters.model import evidence_of
from contracts.wire import soap
from tests.adapters import test_adapter_rest as rest
from tests.adapters import test_adapter_soap as soapy
from tests.adapters.conftest import gateway_identity as gateway_identity
from tests.adapters.conftest import provider as provider
from tests.adapters.conftest import provider_identity as provider_identity
from tests.adapters.conftest import session as session
from tests.adapters.conftest import stranger as stranger
from tests.adapters.providers import Provider, Script
from tests.registry.making import Identity

SIZE = 4_900_000
XML = b'<soap:Envelope xmlns:soap="%b"><soap:Body>%b</soap:Body></soap:Envelope>'
Failing = Callable[[Provider, aiohttp.ClientSession, Script], Awaitable[object]]


def plain(status: int, body: bytes, media: str) -> Script:
    async def script(request: web.Request, _: bytes) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=media)

    return script


def signed(provider: Provider, status: int, body: bytes) -> Script:
    async def script(request: web.Request, _: bytes) -> web.StreamResponse:
        return provider.signed(request, body, status, {"content-type": "application/json"})

    return script


def kept(failure: object) -> bytes:
    assert isinstance(failure, ProviderFailure)
    return dict(evidence_of(failure))["provider-answer"]


@pytest.mark.attack("flood")
@pytest.mark.parametrize("status", [200, 302, 400, 500, 503])
async def test_a_long_answer_that_nobody_signed_is_cut(
    provider: Provider, session: aiohttp.ClientSession, status: int
) -> None:
    fault = b"<soap:Fault><faultcode>soap:Client</faultcode><x>" + b"x" * SIZE + b"</x></soap:Fault>"
    envelope = XML % (soap.SOAP.encode(), fault)
    failures: tuple[tuple[Failing, str, bytes], ...] = (
        (rest.failing, "application/json", b"x" * SIZE),
        (soapy.failing, "text/html", b"x" * SIZE),
        (soapy.failing, "text/xml", b"x" * SIZE),
        (soapy.failing, "text/xml", envelope),
    )
    for failing, media, body in failures:
        raw = kept(await failing(provider, session, plain(status, body, media)))
        assert len(raw) < UNSIGNED_KEPT + 200 and raw.startswith(f"HTTP/1.1 {status} ".encode())
        head = raw.index(b"\r\n\r\n") + 4
        whole = head + len(body)
        assert raw.endswith(b"[not signed: the gateway kept %d of %d bytes]\r\n" % (UNSIGNED_KEPT, whole))
        assert raw[head:UNSIGNED_KEPT] == body[: UNSIGNED_KEPT - head], "what is kept is what came"


@pytest.mark.attack("flood")
async def test_a_signature_of_somebody_else_keeps_no_more(
    provider: Provider, session: aiohttp.ClientSession, stranger: Identity
) -> None:
    provider.signer = stranger.sign
    for status in (200, 500):
        assert len(kept(await rest.failing(provider, session, signed(provider, status, b"x" * SIZE)))) < SIZE // 100


async def test_what_the_provider_signed_is_kept_whole_and_so_is_a_short_answer(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    assert len(kept(await rest.failing(provider, session, signed(provider, 500, b"x" * SIZE)))) > SIZE
    short = b"x" * (UNSIGNED_KEPT // 2)
    for failing in (rest.failing, soapy.failing):
        assert kept(await failing(provider, session, plain(500, short, "text/plain"))).endswith(b"\r\n\r\n" + short)

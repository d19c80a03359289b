"""The REST adapter against a real TLS server: what is sent, what is believed, and what is known when it fails."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from adapters.errors import Acted, ProviderFailure, ProviderMissing
from adapters.model import Endpoint, Incoming, Outgoing
from adapters.rest import RestAdapter
from contracts.base.errors import Failure
from security.http_signatures import sign_response
from security.jose import Opener
from tests.adapters.providers import Provider, Script, drop, never
from tests.registry.making import House, Identity, contracts

TRANSFER = "01935b6e-0000-7000-8000-000000000001"
QUERY = {"indicator": "KT-05", "area": "04", "period": "2026-Q3"}
VALUE = {
    "maChiTieu": "KT-05",
    "maDiaBan": "04",
    "kyBaoCao": "2026-Q3",
    "tanSuat": "Q",
    "donViTinh": "tỷ đồng",
    "giaTri": "612,450",
    "tinhTrang": 1,
    "capNhat": "20261001080000",
}


def sample() -> dict[str, Any]:
    """A provider's answer from the contract's own samples."""
    contract = contracts()["indicator/v1"]
    found = next(
        each
        for each in contract.samples
        if each.format == "kinh-te-json" and each.message == "IndicatorValue" and "ngan-sach" in each.name
    )
    value: dict[str, Any] = json.loads(found.raw)
    return value


def endpoint(provider: Provider, identity: Identity | None = None, url: str | None = None) -> Endpoint:
    key = (identity or provider.identity).sign.verify_key()
    return Endpoint("do-thi", "rest", url or provider.url, {key.key_id: key}, {key.thumbprint: key})


def outgoing(format: str = "kinh-te-json", timeout: float = 5.0) -> Outgoing:
    contract = contracts()["indicator/v1"]
    return Outgoing(
        TRANSFER,
        "H14.0/dieu-hanh",
        contract.contract.operations["getValue"],
        contract.codec(format),
        dict(QUERY),
        timeout,
    )


async def call(
    provider: Provider,
    session: aiohttp.ClientSession,
    script: Script,
    *,
    format: str = "kinh-te-json",
    timeout: float = 5.0,
    **options: Any,
) -> Incoming:
    provider.script = script
    adapter = RestAdapter(session, provider.gateway, Opener([]), time.time, **options)
    return await adapter.call(endpoint(provider), outgoing(format, timeout))


async def failing(*args: Any, **options: Any) -> ProviderFailure | ProviderMissing:
    with pytest.raises(Failure) as caught:
        await call(*args, **options)
    assert isinstance(caught.value, ProviderFailure | ProviderMissing)
    return caught.value


async def test_a_call_in_the_systems_own_format(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        provider.verified(request, body)
        return provider.json(request, sample())

    incoming = await call(provider, session, script)
    assert incoming.answer["value"] == Decimal("612.450") and incoming.key_id == "do-thi.sign-1"
    seen = provider.seen[0]
    assert (seen.method, seen.path_qs) == ("POST", "/base/tra-cuu")
    assert json.loads(seen.body) == {"maChiTieu": "KT-05", "maDiaBan": "04", "kyBaoCao": "2026-Q3"}
    assert seen.header("lgsp-transfer") == TRANSFER and seen.header("lgsp-caller") == "H14.0/dieu-hanh"
    assert seen.header("idempotency-key") == f'"{TRANSFER}"'


async def test_the_evidence_is_what_travelled(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.json(request, sample(), headers={"x-more": "1"})

    incoming = await call(provider, session, script)
    seen = provider.seen[0]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in seen.raw_headers)
    assert incoming.evidence_out == b"POST /base/tra-cuu HTTP/1.1\r\n" + head + b"\r\n" + seen.body
    assert incoming.evidence_in.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-more: 1\r\n" in incoming.evidence_in.lower()
    assert incoming.evidence_in.endswith(b"\r\n\r\n" + json.dumps(sample(), ensure_ascii=False).encode())
    assert incoming.status == 200


async def test_a_get_carries_its_query_in_the_signed_target(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        provider.verified(request, body)
        assert body == b"" and "content-type" not in request.headers
        canonical = next(
            each
            for each in contracts()["indicator/v1"].samples
            if each.format == "canonical" and each.message == "IndicatorValue"
        )
        return provider.signed(request, canonical.raw, 200, {"content-type": "application/json"})

    incoming = await call(provider, session, script, format="canonical")
    assert provider.seen[0].path_qs == "/base/values?indicator=KT-05&area=04&period=2026-Q3"
    assert incoming.answer["indicator"]


async def test_the_connection_is_kept(provider: Provider, session: aiohttp.ClientSession) -> None:
    ports: set[Any] = set()

    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return provider.json(request, sample())

    for _ in range(5):
        await call(provider, session, script)
    assert len(ports) == 1


async def test_an_unsigned_answer_is_not_believed(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.json_response(sample())

    failure = await failing(provider, session, script)
    assert failure.code == "provider.bad-signature" and failure.acted is Acted.MAYBE
    assert failure.evidence_in.endswith(json.dumps(sample()).encode()) and failure.evidence_out.startswith(
        b"POST /base/tra-cuu"
    )


async def test_an_answer_whose_signature_lacks_our_tag_is_told_so(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        honest = provider.json(request, sample())
        headers = {name: value.replace('tag="lgsp-answer"', 'tag="mine"') for name, value in honest.headers.items()}
        return web.Response(body=honest.body, headers=headers)

    failure = await failing(provider, session, script)
    assert failure.code == "provider.bad-signature"
    assert 'signature.missing: Signature-Input, tag="lgsp-answer"' in failure.what("en")
    assert 'tag="lgsp-answer"' in failure.what("vi")


async def test_another_systems_signature_is_not_believed(
    provider: Provider, session: aiohttp.ClientSession, stranger: Identity
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        provider.signer = stranger.sign
        return provider.json(request, sample())

    assert (await failing(provider, session, script)).code == "provider.bad-signature"


async def test_a_changed_answer_is_not_believed(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        honest = provider.json(request, sample())
        assert isinstance(honest.body, bytes)
        return web.Response(body=honest.body.replace(b"612,450", b"612,451"), headers=honest.headers)

    assert (await failing(provider, session, script)).code == "provider.bad-signature"


async def test_what_is_wrong_with_a_signature_is_told_as_precisely_as_of_a_request(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    def spoiled(**of: Callable[[str], str]) -> Script:
        async def script(request: web.Request, body: bytes) -> web.StreamResponse:
            honest = provider.json(request, sample())
            headers = dict(honest.headers)
            for name, change in of.items():
                headers[name.replace("_", "-")] = change(headers[name.replace("_", "-")])
            return web.Response(body=honest.body, headers=headers)

        return script

    def der(text: str) -> str:
        label, _, value = text.partition("=")
        raw = base64.b64decode(value.strip(":"))
        r, s = (int.from_bytes(each, "big") for each in (raw[:32], raw[32:]))
        return f"{label}=:{base64.b64encode(encode_dss_signature(r, s)).decode()}:"

    def hexadecimal(text: str) -> str:
        digest = base64.b64decode(text.removeprefix("sha-256=:").removesuffix(":"))
        return f"sha-256=:{base64.b64encode(digest.hex().encode()).decode()}:"

    failure = await failing(provider, session, spoiled(signature=der))
    assert [(each.got, each.expected) for each in failure.findings] == [("DER", "r‖s: 64 bytes, without DER")]
    failure = await failing(provider, session, spoiled(content_digest=hexadecimal))
    assert [each.got for each in failure.findings] == ["the hexadecimal text of the digest, in base64"]
    assert "the very bytes" in failure.next("en")


async def test_the_clock_of_a_provider_is_named_where_it_is_the_clock(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        asked = {name.lower(): value for name, value in request.headers.items()}
        raw, headers = json.dumps(sample()).encode(), {"content-type": "application/json"}
        headers |= sign_response(200, headers, raw, asked, provider.signer, time.time() - 3600)
        return web.Response(body=raw, headers=headers)

    failure = await failing(provider, session, script)
    assert str(failure.facts["reason"]).startswith("signature.expired") and "NTP" in failure.next("en")
    assert "NTP" in failure.next("vi") and "enrol" not in failure.next("en")


async def test_an_answer_to_another_question_is_not_believed(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    kept: list[web.Response] = []

    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        if not kept:
            kept.append(provider.json(request, sample()))
        return web.Response(body=kept[0].body, headers=kept[0].headers)

    await call(provider, session, script)
    assert (await failing(provider, session, script)).code == "provider.bad-signature"


async def test_an_answer_out_of_format_names_what_is_wrong(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.json(request, {**sample(), "giaTri": "nhiều"})

    failure = await failing(provider, session, script)
    assert failure.code == "provider.bad-answer" and failure.acted is Acted.MAYBE
    assert any(found.here.endswith("giaTri") for found in failure.findings)


@pytest.mark.parametrize("media", ["text/html", "application/xml"])
async def test_an_answer_of_another_type(provider: Provider, session: aiohttp.ClientSession, media: str) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.signed(request, b"<p>hello</p>", 200, {"content-type": media})

    assert (await failing(provider, session, script)).code == "provider.bad-answer"


@pytest.mark.parametrize(
    ("status", "signed", "code", "acted"),
    [
        (404, True, "provider.not-found", Acted.NO),
        (404, False, "provider.refused", Acted.MAYBE),
        (400, True, "provider.refused", Acted.NO),
        (422, True, "provider.refused", Acted.NO),
        (403, False, "provider.refused", Acted.MAYBE),
        (429, True, "provider.fault", Acted.NO),
        (503, True, "provider.fault", Acted.NO),
        (503, False, "provider.fault", Acted.MAYBE),
        (500, True, "provider.fault", Acted.MAYBE),
        (302, True, "provider.bad-answer", Acted.MAYBE),
    ],
)
async def test_refusals_and_faults(
    provider: Provider, session: aiohttp.ClientSession, status: int, signed: bool, code: str, acted: Acted
) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        extra = {"retry-after": "7", "location": "https://localhost:1/"}
        return provider.json(request, {}, status, extra) if signed else web.Response(status=status, headers=extra)

    failure = await failing(provider, session, script)
    assert (failure.code, failure.acted) == (code, acted)
    assert len(provider.seen) == 1  # no redirect is followed
    if code == "provider.fault":
        assert failure.retry_after == 7
    assert failure.status == (404 if code == "provider.not-found" else 502)
    assert failure.final == (acted is Acted.NO and code != "provider.fault")


async def test_nobody_listens(provider: Provider, session: aiohttp.ClientSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://localhost:{taken.getsockname()[1]}"
        adapter = RestAdapter(session, provider.gateway, Opener([]), time.time)
        with pytest.raises(ProviderFailure) as caught:
            await adapter.call(endpoint(provider, url=url), outgoing())
    assert caught.value.code == "provider.down" and caught.value.acted is Acted.NO
    assert caught.value.facts["reason"] == "connection refused"


async def test_a_certificate_for_another_host(keys: House, provider: Provider, session: aiohttp.ClientSession) -> None:
    other = keys.identity("elsewhere", time.time(), hosts=("elsewhere.example",))
    server = Provider(other, provider.gateway, other.sign)
    await server.start(keys)
    adapter = RestAdapter(session, provider.gateway, Opener([]), time.time)
    try:
        with pytest.raises(ProviderFailure) as caught:
            await adapter.call(endpoint(server), outgoing())
    finally:
        await server.stop()
    assert server.seen == []
    assert caught.value.code == "provider.down" and caught.value.acted is Acted.NO
    assert caught.value.facts["reason"] == "its TLS certificate does not name the host that is called"
    assert "không ghi tên máy được gọi" in caught.value.what("vi")


@pytest.mark.full
async def test_too_slow(provider: Provider, session: aiohttp.ClientSession) -> None:
    failure = await failing(provider, session, never, timeout=3.0)
    assert (failure.code, failure.acted, failure.status) == ("provider.timeout", Acted.MAYBE, 504)


async def test_hung_up(provider: Provider, session: aiohttp.ClientSession) -> None:
    failure = await failing(provider, session, drop)
    assert (failure.code, failure.acted) == ("provider.dropped", Acted.MAYBE)


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_without_end(provider: Provider, session: aiohttp.ClientSession, chunked: bool) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        if not chunked:
            return provider.json(request, {"x": "y" * 5000})
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"y" * 100)
        return response

    failure = await failing(provider, session, script, answer_limit=4000)
    assert failure.code == "provider.answer-too-large" and failure.acted is Acted.MAYBE


async def test_a_chunked_answer_within_the_limit(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        whole = provider.json(request, sample())
        response = web.StreamResponse(headers=whole.headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        assert isinstance(whole.body, bytes)
        for start in range(0, len(whole.body), 10):
            await response.write(whole.body[start : start + 10])
        return response

    assert (await call(provider, session, script)).answer["indicator"] == "KT-05"


async def test_a_compressed_answer_is_not_taken(provider: Provider, session: aiohttp.ClientSession) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return provider.json(request, sample(), headers={"content-encoding": "br"})

    assert (await failing(provider, session, script)).code == "provider.bad-answer"

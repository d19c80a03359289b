"""Cheap checks before dear ones: what a caller who proves nothing makes a door do, counted at the functions that cost
something."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree
from sqlalchemy import select

from bench.demo import demo_settings
from contracts.base.ids import new_id
from contracts.wire import jsontext, soap
from gateway.cli import run
from gateway.doors.http.body import TARGET
from gateway.journal.schema import tables
from gateway.processes.door import DoorParts, assemble
from gateway.settings import Settings
from security import http_signatures, keys, tokens

ENVELOPE = (
    b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header/><soap:Body/></soap:Envelope>'
)
SIGNED = {
    "authorization": "Bearer a.b.c",
    "content-digest": "sha-256=:AAAA:",
    "signature-input": 'sig1=("@method");created=1;expires=2;nonce="aaaaaaaaaaaaaaaaaaaaaaaa";keyid="y-te.sign-1";tag="lgsp-request"',  # noqa: E501
    "signature": "sig1=:AAAA:",
    "idempotency-key": '"a"',
}
FORM = urlencode(
    {"grant_type": "client_credentials", "client_assertion_type": "x", "client_assertion": "a.b.c"}
).encode()
OWN = b'{"type": "urn:lgsp:problem:'
# Every kind of address that takes a body, or that a proof is asked for.
REQUESTS = {
    "REST": ("POST", "/incident-alert/v1/alerts", "application/json", b"{}"),
    "REST with a JWE": ("POST", "/dossier-status/v1/statuses", "application/jose", b"a.b.c.d.e"),
    "a question": ("GET", "/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3", "", b""),
    "SOAP 1.1": ("POST", "/soap/incident-alert/v1", "text/xml", ENVELOPE),
    "SOAP 1.2": ("POST", "/soap/incident-alert/v1", "application/soap+xml", ENVELOPE),
    "a token": ("POST", "/oauth/token", "application/x-www-form-urlencoded", FORM),
    "a feed": ("GET", "/feeds/incident-alert/v1", "", b""),
    "a transfer": ("GET", "/transfers/x", "", b""),
    "entries of the log": ("GET", "/audit/tile/entries/000", "", b""),
    "nowhere": ("POST", "/nowhere", "application/json", b"{}"),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = demo_settings(tmp_path_factory.mktemp("cheap") / "data")
    run.ensure_instance(made, say_progress=False)
    return made


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[DoorParts]:
    parts = await assemble(settings, f"door-{new_id()}")
    yield parts
    await parts.runtime.close()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each function that costs something was called."""
    done: Counter[str] = Counter()

    def count(what: str, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counting(*of: Any, **how: Any) -> Any:
            # The registry's thread reads JSON too, and a refusal of the token endpoint is made of our own problem
            # document.
            ours = (
                threading.current_thread() is not threading.main_thread()
                or isinstance(of[0], bytes)
                and of[0].startswith(OWN)
            )
            done[what] += not ours
            return original(*of, **how)

        monkeypatch.setattr(owner, name, counting)

    count("XML parsed", etree, "fromstring")
    count("XML parsed", soap, "parse_xml")
    count("JSON parsed", json, "loads")
    count("JSON parsed", jsontext, "read_json")
    count("signature verified", keys.VerifyKey, "verify")
    count("signature verified", keys.VerifyKey, "verify_xml")
    count("signature read", http_signatures, "verify_request")
    count("token verified", tokens, "_verified")
    count("token read", tokens, "_read")
    return done


async def ask(
    door: DoorParts, certificate: bytes | None, method: str, target: str, media: str, body: bytes, work: Counter[str]
) -> str:
    path, _, query = target.partition("?")
    headers = SIGNED | ({"content-type": media, "content-length": str(len(body))} if body else {})
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        work["body read"] += bool(body)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    await door.app(
        {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
            "server": ("localhost", 443),
            "client": ("192.0.2.1", 1),
            TARGET: target.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "extensions": {"tls": {"client_cert_der": certificate}},
        },
        receive,
        send,
    )
    assert told[0]["status"] >= 400
    text: bytes = told[1]["body"]
    return (
        text.split(b'"code": "')[1].split(b'"')[0].decode()
        if text[:1] == b"{"
        else text.split(b"lgsp:Code>")[1].split(b"<")[0].decode()
    )


def certificate(settings: Settings, system: str) -> bytes:
    text = (settings.identities / system / "tls.crt").read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(text)


@pytest.mark.attack("limits")
@pytest.mark.parametrize(
    "who", ["no certificate", "a certificate that is not registered", "bytes that are none", "one that has expired"]
)
async def test_an_unproven_caller_buys_nothing(
    door: DoorParts, settings: Settings, work: Counter[str], who: str
) -> None:
    shown = {
        "no certificate": None,
        "bytes that are none": b"\x30\x03\x02\x01\x01",
        "a certificate that is not registered": certificate(settings, "chua-dang-ky"),
        "one that has expired": certificate(settings, "y-te"),
    }[who]
    if who == "one that has expired":
        door.app.clock = lambda: time.time() + 400 * 86_400
    refused = {"no certificate": "channel.no-certificate", "one that has expired": "channel.expired"}.get(
        who, "channel.unknown-system"
    )
    for name, request in REQUESTS.items():
        code = await ask(door, shown, *request, work)
        assert code in (refused, "address.unknown") and not +work, (name, code, work)


@pytest.mark.attack("limits")
async def test_what_a_registered_caller_buys_comes_in_order_of_cost(
    door: DoorParts, settings: Settings, work: Counter[str]
) -> None:
    """The counters count; and a token that is none costs no signature, an envelope that is none no canonical form."""
    known = certificate(settings, "bao-chay")
    assert await ask(door, known, *REQUESTS["REST"], work) == "token.malformed"
    assert work.pop("body read") and work.pop("token read") and not +work
    assert await ask(door, known, *REQUESTS["SOAP 1.1"], work) == "signature.missing"
    assert work.pop("body read") and work.pop("XML parsed") and not +work
    assert await ask(door, known, *REQUESTS["a token"], work) == "token.assertion-type"
    assert work.pop("body read") and not +work


async def test_a_door_that_stops_writes_what_it_was_still_summing_up(door: DoorParts, work: Counter[str]) -> None:
    def counts() -> dict[str, int]:
        with door.runtime.engine.connect() as connection:
            entries = [json.loads(text) for text in connection.scalars(select(tables.log_pending.c.entry))]
        return {each["transfer"]: each.get("count", 1) for each in entries}

    before = counts()
    for _ in range(50):
        await ask(door, None, *REQUESTS["REST"], work)
    await door.exchange.refusals.close()
    ours = [count for transfer, count in counts().items() if transfer not in before]
    assert sum(ours) == 50 and max(ours) > 1, ours


def test_the_instance_of_these_tests_is_their_own(settings: Settings) -> None:
    assert isinstance(settings.data, Path) and not (settings.run / "pid").exists()

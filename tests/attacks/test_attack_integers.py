"""Numbers of strangers in addresses, parameters, cursors and bodies of the gateway's own interfaces: a refusal of
theirs, never a fault of ours."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import pytest_asyncio
import yaml

from contracts.base.errors import Theirs
from contracts.base.integers import whole_number
from contracts.compiled.contract import catalogue
from gateway.feeds import cursor
from security.http_signatures import HttpRequest, sign_request
from tests.doors.api.client import BASE, World, ask, opened
from tests.registry.making import House

ONE: Final = "01935b6e-0000-7000-8000-000000000001"
FEED: Final = "/feeds/incident-alert/v1"
NUMBERS: Final = [
    "-1",
    "-0",
    "+1",
    "00",
    "²",
    "١",
    "１",
    "1_0",
    "1.0",
    "1e3",
    "0x10",
    " 1",
    "",
    "NaN",
    "null",
    "true",
    "\0",
    "1\0",
    *(str(each) for each in (2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**19, 10**20)),
    "9" * 500,
    "9" * 5_000,
    "0" * 5_000,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(
        tmp_path_factory.mktemp("apis"), House.make(tmp_path_factory.mktemp("keys"), time.time())
    ) as made:
        await made.hand_in(ONE, {"identifier": ONE})
        made.sequence()
        (made.services.settings.data / "log" / "log.vkey").write_text("localhost/lgsp-test+00000000+AA==\n", "ascii")
        yield made


def written(version: str, feed: str, offset: str) -> str:
    return base64.urlsafe_b64encode(f"{version} {feed} {offset}".encode()).decode().rstrip("=")


CURSORS: Final = {
    **{f"offset {each[:24]!r}": written("1", "incident-alert/v1", each) for each in NUMBERS if each != "00"},
    "an offset with a zero before it": written("1", "incident-alert/v1", "01"),
    "another version": written("2", "incident-alert/v1", "1"),
    "another contract": written("1", "field-report/v1", "1"),
    "a contract with NUL": written("1", "incident-alert/v1\0", "1"),
    "four words": written("1", "incident-alert/v1", "1 1"),
    "no words": base64.urlsafe_b64encode(b"1").decode(),
    "padding": written("1", "incident-alert/v1", "1") + "=",
    "other bits at the end": cursor.encode("incident-alert/v1", 1)[:-1] + "B",
    "no base64": "a",
    "bytes that are not UTF-8": base64.urlsafe_b64encode(b"1 \xff 1").decode().rstrip("="),
    "nothing but padding": "====",
}


@pytest.mark.attack("numbers that are none")
@pytest.mark.parametrize("name", CURSORS)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_odd_cursor_is_refused(apis: World, name: str) -> None:
    answer = await apis.signed("dieu-hanh", f"{FEED}?after={quote(CURSORS[name], safe='')}")
    assert answer.status == 400, answer.body[:300]
    assert answer.json["code"] in ("feed.bad-cursor", "api.invalid"), answer.json["code"]
    if len(CURSORS[name]) <= 200 and "====" not in CURSORS[name]:
        assert answer.json["code"] == "feed.bad-cursor"


def targets() -> list[tuple[str, str]]:
    """Each operation of the gateway's own interfaces that takes a number, with a place for it."""
    found = [
        ("GET", FEED + "?limit={}"),
        ("GET", FEED + "?wait={}"),
        ("GET", FEED + "?since={}"),
        ("GET", FEED + "?until={}"),
        ("GET", FEED + "/state?limit={}"),
        ("GET", FEED + "/state?after={}"),
        ("GET", FEED + "/atom?format=cap12&limit={}"),
        ("GET", FEED + "/atom?format=cap12&after={}"),
        ("GET", FEED + "/events/{}?format=cap12"),
        ("GET", "/feeds/incident-alert/v{}/state"),
        ("GET", "/feeds/incident-alert/v{}"),
        ("GET", "/feeds/{}/v1"),
        ("GET", FEED + "?after={}"),
        ("GET", "/audit/consistency?from={}"),
        ("GET", "/audit/consistency?from=0&to={}"),
        ("GET", "/audit/consistency?from={}&to={}"),
        ("GET", "/audit/tile/{}/000"),
        ("GET", "/audit/tile/0/{}"),
        ("GET", "/audit/tile/0/000.p/{}"),
        ("GET", "/audit/tile/0/x{}/000"),
        ("GET", "/audit/tile/entries/{}"),
        ("GET", "/audit/tile/entries/000.p/{}"),
        ("GET", "/audit/proof/{}"),
        ("GET", "/transfers/{}"),
        ("GET", "/transfers/{}/answer"),
        ("GET", "/transfers?limit={}"),
        ("GET", "/transfers?after={}"),
        ("GET", "/transfers?since={}"),
        ("GET", "/handlings/{}"),
        ("GET", "/handlings?limit={}"),
        ("GET", "/cases/{}"),
        ("GET", "/cases?after={}"),
        ("GET", "/handlings?after={}"),
        ("GET", "/audit/origin?origin={}"),
        ("GET", "/audit/consistency?from=0&origin={}"),
    ]
    paths = [
        "x999/" * 6 + "999",
        "x999/" * 7 + "999",
        "x000/000",
        "x922/x337/x203/x685/x477/x580/807",
        "999.p/256",
        "999.p/0",
    ]
    return found + [
        ("GET", f"/audit/tile/{level}/{path}")
        for level in ("0", "7", "8", "63", "64", "99", "entries")
        for path in paths
    ]


def test_every_number_of_the_interfaces_is_tried() -> None:
    """A parameter that is added has its line in `targets`."""
    tried = " ".join(target for _, target in targets())
    for document in Path("openapi").glob("*.yaml"):
        for path, item in yaml.safe_load(document.read_text("utf-8")).get("paths", {}).items():
            for method, operation in item.items():
                for parameter in operation.get("parameters", ()) if isinstance(operation, dict) else ():
                    if parameter.get("schema", {}).get("type") == "integer" and "exchange" in operation.get(
                        "x-lgsp-listeners", ["exchange"]
                    ):
                        assert f"{parameter['name']}={{}}" in tried, (method, path, parameter["name"])


@pytest.mark.attack("numbers that are none")
@pytest.mark.parametrize(("method", "target"), targets())
@pytest.mark.asyncio(loop_scope="module")
async def test_a_number_in_an_address_is_never_a_fault_of_ours(apis: World, method: str, target: str) -> None:
    for number in NUMBERS if "{}" in target else [""]:
        answer = await apis.signed("dieu-hanh", target.replace("{}", quote(number, safe="")), method)
        assert answer.status < 500, (number[:30], answer.status, answer.body[:300])


BODY: Final = {
    "day": "2026-11-26",
    "counts": [{"contract": "incident-alert/v1", "operation": "submitAlert", "accepted": "NUMBER"}],
}


@pytest.mark.attack("numbers that are none")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_number_in_a_body_is_never_a_fault_of_ours(apis: World) -> None:
    for number in [*NUMBERS, "1e999999999", "-1e400", "1" + "0" * 400, "0." + "0" * 400 + "1", "1E+5", "9" * 100_000]:
        body = json.dumps(BODY).replace('"NUMBER"', number).encode()
        answer = await posted(apis, "canh-bao", "/audit/reconciliation", body)
        assert answer.status < 500, (number[:30], answer.status, answer.body[:300])


@pytest.mark.attack("numbers that are none")
@pytest.mark.parametrize("name", ["content-length", "idempotency-key", "if-none-match", "signature-input"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_number_in_a_header_is_never_a_fault_of_ours(apis: World, name: str) -> None:
    for number in NUMBERS:
        headers = await apis.signed_headers("dieu-hanh", "GET", FEED)
        text = number.encode("utf-8").decode("latin-1").replace("\0", "%00")
        if name == "signature-input":
            headers[name] = headers[name].replace("created=", f"created={text};x=", 1)
        else:
            headers[name] = text
        answer = await ask(apis.app, "GET", FEED, headers, certificate=apis.identities["dieu-hanh"].tls_der)
        assert answer.status < 500, (number[:30], answer.status, answer.body[:300])


async def posted(apis: World, system: str, target: str, body: bytes) -> Any:
    headers = await apis.signed_headers(system, "GET", "/")
    headers = {name: headers[name] for name in ("authorization", "accept-language")} | {
        "content-type": "application/json"
    }
    headers["content-digest"] = _digest(body)
    request = HttpRequest("POST", BASE + target, headers, body)
    headers |= sign_request(request, apis.identities[system].sign, time.time(), nonce=secrets.token_urlsafe(18))
    return await ask(apis.app, "POST", target, headers, body, certificate=apis.identities[system].tls_der)


def _digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@pytest.mark.attack("numbers that are none")
def test_a_number_is_ascii_digits_within_a_column() -> None:
    assert [number for number in NUMBERS if whole_number(number) is not None] == [
        "00",
        "2147483648",
        *map(str, (2**53, 2**53 + 1, 2**63 - 1)),
    ]
    assert whole_number("0") == 0 and whole_number("65536", 65535) is None


@pytest.mark.attack("numbers that are none")
def test_a_number_in_the_query_of_a_contract_is_a_finding_or_a_value() -> None:
    for compiled in catalogue():
        for codec in compiled.formats.values():
            for operation in compiled.contract.operations.values():
                if operation.method == "GET" and hasattr(codec, "read_query"):
                    fields = {field.name for field in compiled.messages[operation.request].fields}
                    plan = codec.plans.get(operation.request)
                    fields |= (
                        {child.name for child in plan.root.children}
                        if plan is not None and plan.media == "json"
                        else set()
                    )
                    for field in fields:
                        for number in NUMBERS:
                            with suppress(Theirs):
                                codec.read_query(operation.request, f"{quote(field)}={quote(number)}")

"""What a contract's texts could do to the reader of its documents, and what a stranger could make a door do with
them."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import fields
from typing import Any, cast

import pytest
from lxml import etree

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.soap import parse_xml
from gateway.doors import documents
from gateway.doors.exchange_app import ExchangeApp
from gateway.doors.http.limits import Limits
from gateway.doors.http.shell import Shell
from gateway.registry.snapshot import Snapshot
from tests.attacks.raw import told_by

EVIL = """</title><script>alert(1)</script> ]]> --> ?> "'`\\\\ """
LEAVES = (
    "", "openapi.json", "schema.json", "samples", "dcat.jsonld", "dcat.ttl", "dcat.rdf",
    "formats/do-thi-xml/service.wsdl",
)  # fmt: skip


@pytest.fixture(scope="module")
def evil() -> CompiledContract:
    """The contract of field reports with its words replaced."""
    folder = next(each for each in catalogue_folders() if each.parent.name == "field-report")
    files = dict(Bundle.from_folder(folder).files)
    files["contract.yaml"] = b"\n".join(
        line.split(b"vi:")[0] + b"vi: " + json.dumps(EVIL).encode() if line.strip().startswith(b"vi:") else line
        for line in files["contract.yaml"].split(b"\n")
    )
    schema = json.loads(files["schema.json"])
    for each in schema["$defs"].values():
        each["title"] = each["description"] = EVIL
        for inner in each.get("properties", {}).values():
            inner["title"] = inner["description"] = EVIL
    files["schema.json"] = json.dumps(schema, ensure_ascii=False).encode()
    return compile_bundle(Bundle.of(files))


class _Registry:
    def __init__(self, contract: CompiledContract) -> None:
        name = contract.contract.name
        nothing: dict[str, Any] = {each.name: frozenset() if each.name == "_ids" else {} for each in fields(Snapshot)}
        known = {"revision": 1, "contracts": {name: contract}, "compiled": {contract.digest: contract}}
        self.snapshot = Snapshot(**nothing | known)


async def ask(
    contract: CompiledContract, path: str, *, method: str = "GET", query: bytes = b"", accept: bytes = b"text/html"
) -> Any:
    nothing = cast(Any, None)
    exchange = ExchangeApp(nothing, nothing, nothing, nothing, "https://gateway.example", 1_000, lambda: 0.0)
    app = Shell(
        exchange, cast(Any, _Registry(contract)), "https://gateway.example", 1.0, lambda: 0.0, limits=Limits(9, 9)
    )
    scope = {"method": method, "path": path, "query_string": query, "headers": [(b"accept", accept)]}
    told = await told_by(app, scope)
    return told.status, told.headers, told.body


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("accept", [b"text/html", b"*/*"])
async def test_no_document_runs_what_a_contract_says(evil: CompiledContract, leaf: str, accept: bytes) -> None:
    name = evil.contract.name
    formats = [each for each, codec in evil.formats.items() if codec.media == "xml" and each != "canonical"]
    path = f"/contracts/{name}/{leaf}".replace("do-thi-xml", formats[0] if formats else "do-thi-xml").rstrip("/")
    status, headers, body = await ask(evil, path, accept=accept)
    assert status == 200
    assert headers["x-content-type-options"] == "nosniff" and headers["content-security-policy"].startswith(
        "default-src 'none'"
    )
    media = headers["content-type"]
    if "html" in media:
        assert b"<script" not in body and body.count(b"</title>") == 1
    elif "xml" in media:
        parse_xml(body)
    elif "json" in media:
        json.loads(body)


@pytest.mark.parametrize("query", [b"wsdl", b"xsd"])
async def test_the_faces_of_soap_are_whole(evil: CompiledContract, query: bytes) -> None:
    status, headers, body = await ask(evil, f"/soap/{evil.contract.name}", query=query)
    assert status == 200 and headers["x-content-type-options"] == "nosniff"
    assert not [each for each in etree.fromstring(body).iter() if str(each.tag).endswith("script")]


@pytest.mark.parametrize(
    "leaf",
    [
        "formats/../openapi.json",
        "formats/canonical/openapi.json",
        "formats//service.wsdl",
        "formats/%2e%2e/x",
        "samples/",
        "../..",
        "formats/x\0/y",
        ".",
    ],
)
async def test_a_path_is_a_name_and_nothing_else(evil: CompiledContract, leaf: str) -> None:
    status, _, body = await ask(evil, f"/contracts/{evil.contract.name}/{leaf}", accept=b"*/*")
    assert status == 404 or leaf == "samples/"


async def test_no_call_waits_for_a_document(evil: CompiledContract, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made in a thread of their own, one after the other, and each once."""
    made: list[str] = []
    go = threading.Event()

    def slow(*_: Any) -> str:
        made.append(threading.current_thread().name)
        assert go.wait(60)
        return "page"

    monkeypatch.setattr(documents, "page", slow)
    documents._contract_page.cache_clear()
    path = f"/contracts/{evil.contract.name}"
    waiting = [asyncio.create_task(ask(evil, path)) for _ in range(2)]
    await asyncio.sleep(0.05)  # the loop goes on
    assert made and "documents" in made[0]
    go.set()
    assert all(status == 200 for status, _, _ in await asyncio.gather(*waiting))
    documents._contract_page.cache_clear()

"""The catalogue and the faces of each contract, served without a certificate: what everybody may read before they can call.

All of it is generated from the contract in force and kept by its digest, so that serving costs a look-up.
"""

from __future__ import annotations

import base64
import html
import json
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs

from contracts.base.errors import Theirs
from contracts.compiled import CompiledContract
from contracts.faces.openapi import openapi
from contracts.faces.page import page
from contracts.faces.schema import schema_json
from contracts.faces.wsdl import wsdl
from contracts.faces.xsd import xsd
from gateway.doors import problems
from gateway.doors.reply import Reply
from gateway.registry.snapshot import Snapshot

ROOT: Final = "/contracts"
_XML: Final = "text/xml; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_JSON: Final = "application/json"
_SAFE: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-content-type-options": "nosniff"}


def is_document(path: str) -> bool:
    return path == ROOT or path.startswith(ROOT + "/")


def soap_document(contract: CompiledContract | None, query: bytes, address: str) -> Reply | None:
    """`?wsdl` and `?xsd` of a contract's SOAP address; None for anything else."""
    word = query.partition(b"=")[0].lower()
    if contract is None or word not in (b"wsdl", b"xsd"):
        return None
    body = _wsdl(contract, address) if word == b"wsdl" else _xsd(contract)
    return Reply(200, {"content-type": _XML}, body)


def document(snapshot: Snapshot, scope: Any, base: str) -> Reply:
    """A page or a JSON document under `/contracts`, by what the caller accepts."""
    path: str = scope["path"].removeprefix(ROOT).strip("/")
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
    languages = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"), "")
    wanted = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[0] or problems.language_of(languages)
    as_page = "text/html" in accept
    if scope["method"] not in ("GET", "HEAD"):
        failure = Theirs("address.method", method=scope["method"], path=scope["path"], allowed="GET")
        return Reply(*problems.render(failure, transfer=None, accept_language=languages))
    if not path:
        return _page(_list_page(snapshot)) if as_page else _json([_summary(each, base) for each in snapshot.contracts.values()])
    name, _, leaf = path.partition("/")
    version, _, leaf = leaf.partition("/")
    contract = snapshot.contract(f"{name}/{version}")
    if contract is not None:
        if leaf == "":
            return _page(page(contract, "en" if wanted == "en" else "vi", base)) if as_page else _json(_summary(contract, base))
        if leaf == "openapi.json":
            return Reply(200, {"content-type": _JSON}, _openapi(contract, base))
        if leaf == "schema.json":
            return Reply(200, {"content-type": "application/schema+json"}, schema_json(contract))
        if leaf == "samples":
            return _json(_samples(contract))
    failure = Theirs("address.unknown", method=scope["method"], path=scope["path"], catalogue=base + ROOT)
    return Reply(*problems.render(failure, transfer=None, accept_language=languages))


@lru_cache(maxsize=512)
def _wsdl(contract: CompiledContract, address: str) -> bytes:
    return wsdl(contract, address)


@lru_cache(maxsize=512)
def _xsd(contract: CompiledContract) -> bytes:
    return xsd(contract)


@lru_cache(maxsize=512)
def _openapi(contract: CompiledContract, base: str) -> bytes:
    return json.dumps(openapi(contract, base), ensure_ascii=False).encode()


def _summary(each: CompiledContract, base: str) -> dict[str, Any]:
    contract = each.contract
    at = f"{base}{ROOT}/{contract.name}"
    return {
        "id": contract.id,
        "version": contract.version,
        "name": contract.name,
        "title": {"vi": contract.title.vi, "en": contract.title.en},
        "digest": each.digest,
        "operations": [
            {
                "name": operation.name,
                "pattern": operation.pattern,
                "method": operation.method,
                "address": f"{base}/{contract.name}{operation.path}",
            }
            for operation in contract.operations.values()
        ],
        "formats": sorted(each.formats),
        "openapi": f"{at}/openapi.json",
        "schema": f"{at}/schema.json",
        "samples": f"{at}/samples",
        "soap": f"{base}/soap/{contract.name}",
        "wsdl": f"{base}/soap/{contract.name}?wsdl",
    }


def _samples(each: CompiledContract) -> list[dict[str, str]]:
    return [
        {
            "format": sample.format,
            "message": sample.message,
            "name": sample.name,
            **({"content": sample.text} if sample.text is not None else {"contentBase64": base64.b64encode(sample.raw).decode("ascii")}),
            "canonical": sample.canonical.decode(),
        }
        for sample in each.samples
    ]


def _list_page(snapshot: Snapshot) -> str:
    rows = "".join(
        f'<li><a href="{ROOT}/{html.escape(name)}">{html.escape(each.contract.title.vi)} / {html.escape(each.contract.title.en)}</a> <code>{html.escape(name)}</code></li>'
        for name, each in sorted(snapshot.contracts.items())
    )
    return (
        '<!doctype html><html lang="vi"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Danh mục hợp đồng</title>'
        f"<h1>Danh mục hợp đồng dữ liệu / Data contracts</h1><ul>{rows}</ul></html>"
    )


def _page(text: str) -> Reply:
    return Reply(200, {"content-type": _HTML, **_SAFE}, text.encode())


def _json(value: Any) -> Reply:
    return Reply(200, {"content-type": _JSON}, json.dumps(value, ensure_ascii=False).encode())

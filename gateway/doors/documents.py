"""Serves the catalogue and the documents of each contract, without a certificate.

All is generated from the contract in force and cached by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from contracts.base.words import Language
from contracts.compiled.contract import CompiledContract
from contracts.faces import dcat, rdf
from contracts.faces.asyncapi import asyncapi
from contracts.faces.codes import codes_json
from contracts.faces.foreign import xsd as foreignxsd
from contracts.faces.openapi import openapi
from contracts.faces.pages import operations
from contracts.faces.pages.page import page, to_site
from contracts.faces.samples import generated
from contracts.faces.schema import schema_json
from contracts.faces.wsdl import wsdl
from contracts.faces.xsd import xsd
from contracts.wire import problems
from gateway.doors.document_addresses import ROOT, foreign_faces, to_read
from gateway.doors.errors import ADDRESS_METHOD, ADDRESS_UNKNOWN
from gateway.doors.programs import program, programs
from gateway.doors.reply import Reply
from gateway.registry import owners
from gateway.registry.snapshot import Snapshot

_XML: Final = "text/xml; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_JSON: Final = "application/json"
_PAGE, _PLAIN = "page", "json"  # what is answered, beside the forms of RDF
_FILES: Final = {".jsonld": "json-ld", ".ttl": "turtle", ".rdf": "rdf-xml"}
_SAFE: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}


def soap_document(contract: CompiledContract | None, query: bytes, address: str) -> Reply | None:
    """`?wsdl` and `?xsd` of a contract's SOAP address; None for anything else."""
    word = query.partition(b"=")[0].lower()
    if contract is None or word not in (b"wsdl", b"xsd"):
        return None
    body = _wsdl(contract, address) if word == b"wsdl" else _xsd(contract)
    return Reply(200, {"content-type": _XML, **_SAFE}, body)


class Bases(NamedTuple):
    """What addresses begin with: those that are called, those of documents, those of the documentation site (None: none
    is shown). Empty: paths alone."""

    base: str
    links: str
    site: str | None


def document(snapshot: Snapshot, scope: Any, bases: Bases) -> Reply:
    """A page or a JSON document under `/contracts`, by what the caller accepts."""
    path: str = scope["path"].removeprefix(ROOT).strip("/")
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
    languages = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"), "")
    wanted = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[0] or problems.language_of(languages)
    language: Language = "en" if wanted == "en" else "vi"
    form = rdf.accepted(accept, {"text/html": _PAGE, "application/json": _PLAIN}, _PLAIN)
    if scope["method"] not in ("GET", "HEAD"):
        failure = ADDRESS_METHOD(method=scope["method"], path=scope["path"], allowed="GET")
        return Reply(*problems.render(failure, transfer=None, accept_language=languages))
    reply = _catalogue(snapshot, path, bases, language, form) or _of_contract(snapshot, path, bases, language, form)
    if reply is not None:
        return unless_known(reply, scope)
    known = to_read(bases.base, bases.site or "")
    failure = ADDRESS_UNKNOWN(method=scope["method"], path=scope["path"], catalogue=known)
    return Reply(*problems.render(failure, transfer=None, accept_language=languages))


def unless_known(reply: Reply, scope: Any) -> Reply:
    """The reply with an entity tag; 304 if the caller has it already (RFC 9110 §13.1.2)."""
    tag = f'"{hashlib.sha256(reply.body).hexdigest()[:32]}"'
    headers = {"vary": "accept, accept-language", **reply.headers, "etag": tag, "cache-control": "no-cache"}
    known = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"), "")
    if tag in known:
        return Reply(304, headers, b"")
    return Reply(reply.status, headers, reply.body)


def _catalogue(snapshot: Snapshot, path: str, bases: Bases, language: Language, form: str) -> Reply | None:
    """The list of contracts in the form that is accepted, and the catalogue at its own addresses."""
    base, links, site = bases
    if not path and form == _PAGE:
        return _page(_list_page(snapshot, language, site))
    if not path and form == _PLAIN:
        return _json([_summary(each, base, links) for each in snapshot.contracts.values()])
    stated = _stated("catalog", path, form)
    if stated is None:
        return None
    entries = tuple(
        dcat.Entry(each, owners.publisher(snapshot, each)) for _, each in sorted(snapshot.contracts.items())
    )
    return _rdf(entries, owners.centre(snapshot), base, stated)


def _stated(name: str, leaf: str, form: str) -> rdf.Form | None:
    """The form of RDF that an address ends in, or that is accepted where it names none."""
    wanted = form if not leaf else _FILES.get(leaf.removeprefix(name)) if leaf.startswith(f"{name}.") else None
    return next((each for each in rdf.FORMS if each == wanted), None)


def _rdf(entries: tuple[dcat.Entry, ...], publisher: dcat.Publisher | None, base: str, form: rdf.Form) -> Reply:
    headers = {"content-type": rdf.MEDIA[form], "vary": "accept, accept-language", **_SAFE}
    return Reply(200, headers, _rdf_body(entries, publisher, base, form))


@lru_cache(maxsize=512)
def _rdf_body(entries: tuple[dcat.Entry, ...], publisher: dcat.Publisher | None, base: str, form: rdf.Form) -> bytes:
    """The catalogue of all contracts; without `publisher`, the entry of one."""
    nodes = dcat.alone(entries[0], base) if publisher is None else dcat.catalogue(entries, publisher, base)
    return rdf.written(nodes, form)


def _of_contract(snapshot: Snapshot, path: str, bases: Bases, language: Language, form: str) -> Reply | None:
    base, links, site = bases
    name, _, leaf = path.partition("/")
    if name == "files" and (found := program(leaf)) is not None:
        return Reply(200, {"content-type": found[1], **_SAFE}, found[0])
    version, _, leaf = leaf.partition("/")
    contract = snapshot.contract(f"{name}/{version}")
    if contract is None:
        return None
    if leaf == "" and form == _PAGE:
        return _page(_contract_page(contract, language, base, site))
    if leaf == "" and form == _PLAIN:
        return _json(_summary(contract, base, links))
    if leaf == "operations":
        return _page(_operations_page(contract, language, base))
    if leaf == "openapi.json":
        return Reply(200, {"content-type": _JSON, **_SAFE}, _openapi(contract, base))
    if leaf == "asyncapi.json" and contract.contract.fed:
        return Reply(200, {"content-type": _JSON, **_SAFE}, _asyncapi(contract, base))
    if leaf == "schema.json":
        return Reply(200, {"content-type": "application/schema+json", **_SAFE}, schema_json(contract))
    if leaf == "codes.json":
        return Reply(200, {"content-type": _JSON, **_SAFE}, _codes(contract))
    if leaf == "samples":
        return Reply(200, {"content-type": _JSON, **_SAFE}, _samples(contract))
    if (stated := _stated("dcat", leaf, form)) is not None:
        return _rdf((dcat.Entry(contract, owners.publisher(snapshot, contract)),), None, base, stated)
    return _foreign(contract, leaf.removeprefix("formats/"), base) if leaf.startswith("formats/") else None


def _foreign(contract: CompiledContract, path: str, base: str) -> Reply | None:
    """The WSDL and XSD, or the OpenAPI, of a format. The addresses are the contract's."""
    name, _, leaf = path.partition("/")
    codec = contract.formats.get(name)
    if codec is None or name == "canonical":
        return None
    if codec.media == "json" and leaf == "openapi.json":
        return Reply(200, {"content-type": _JSON, **_SAFE}, _openapi(contract, base, name))
    if codec.media == "xml" and leaf == "service.wsdl":
        return Reply(
            200, {"content-type": _XML, **_SAFE}, _wsdl(contract, f"{base}/soap/{contract.contract.name}", name)
        )
    if codec.media == "xml" and leaf in (files := _foreign_xsd(contract, name)):
        return Reply(200, {"content-type": _XML, **_SAFE}, files[leaf])
    return None


@lru_cache(maxsize=512)
def _wsdl(contract: CompiledContract, address: str, format_name: str = "canonical") -> bytes:
    return wsdl(contract, address, format_name)


@lru_cache(maxsize=1024)
def _contract_page(contract: CompiledContract, language: Language, base: str, site: str | None) -> str:
    return page(contract, language, base, programs(), site)


@lru_cache(maxsize=512)
def _operations_page(contract: CompiledContract, language: Language, base: str) -> str:
    return operations.page(contract, openapi(contract, base), language)


@lru_cache(maxsize=512)
def _foreign_xsd(contract: CompiledContract, format_name: str) -> dict[str, bytes]:
    return foreignxsd.xsd_files(contract, format_name)


@lru_cache(maxsize=512)
def _xsd(contract: CompiledContract) -> bytes:
    return xsd(contract)


@lru_cache(maxsize=512)
def _openapi(contract: CompiledContract, base: str, format_name: str = "canonical") -> bytes:
    return json.dumps(openapi(contract, base, format_name), ensure_ascii=False).encode()


@lru_cache(maxsize=512)
def _codes(contract: CompiledContract) -> bytes:
    return codes_json(contract)


@lru_cache(maxsize=512)
def _asyncapi(contract: CompiledContract, base: str) -> bytes:
    return json.dumps(asyncapi(contract, base), ensure_ascii=False, default=float).encode()


def _summary(each: CompiledContract, base: str, links: str) -> dict[str, Any]:
    contract = each.contract
    at = f"{links}{ROOT}/{contract.name}"
    return {
        "id": contract.id,
        "version": contract.version,
        "name": contract.name,
        "title": {"vi": contract.title.vi, "en": contract.title.en},
        "digest": each.digest,
        "protection": contract.protection,
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
        "foreign": {name: f"{at}/formats/{name}/{leaf}" for name, leaf in sorted(foreign_faces(each).items())},
        "openapi": f"{at}/openapi.json",
        **({"asyncapi": f"{at}/asyncapi.json"} if contract.fed else {}),
        "schema": f"{at}/schema.json",
        "codes": f"{at}/codes.json",
        "samples": f"{at}/samples",
        "dcat": f"{at}/dcat.jsonld",
        "soap": f"{base}/soap/{contract.name}",
        "wsdl": f"{links}/soap/{contract.name}?wsdl",
    }


@lru_cache(maxsize=512)
def _samples(each: CompiledContract) -> bytes:
    """The folder's own samples with their canonical form; then generated ones, valid and one for each broken rule."""
    own = [
        {
            "format": sample.format,
            "message": sample.message,
            "name": sample.name,
            "valid": True,
            **(
                {"content": sample.text}
                if sample.text is not None
                else {"contentBase64": base64.b64encode(sample.raw).decode("ascii")}
            ),
            "canonical": sample.canonical.decode(),
        }
        for sample in each.samples
    ]
    generated_samples = [
        {
            "format": "canonical",
            "message": sample.message,
            "name": sample.name,
            "valid": not sample.rule,
            "media": sample.media,
            "content": sample.content.decode(),
            **({"rule": sample.rule, "path": sample.path} if sample.rule else {}),
        }
        for sample in generated(each)
    ]
    return json.dumps([*own, *generated_samples], ensure_ascii=False).encode()


def _list_page(snapshot: Snapshot, language: Language, site: str | None) -> str:
    """The catalogue. Its links keep the language."""
    title, other, its_name = (
        ("Danh mục hợp đồng dữ liệu", "en", "English") if language == "vi" else ("Data contracts", "vi", "Tiếng Việt")
    )
    rows = "".join(
        f'<li><a href="{ROOT}/{html.escape(name)}?lang={language}">'
        f"{html.escape(each.contract.title.say(language, {}))}</a> <code>{html.escape(name)}</code></li>"
        for name, each in sorted(snapshot.contracts.items())
    )
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title>'
        f"{to_site(language, site)}<h1>{title}</h1>"
        f'<p><a href="?lang={other}">{its_name}</a></p><ul>{rows}</ul>'
        f'<p>DCAT-AP 3: <a href="{ROOT}/catalog.jsonld">JSON-LD</a> · <a href="{ROOT}/catalog.ttl">Turtle</a> · '
        f'<a href="{ROOT}/catalog.rdf">RDF/XML</a></p></html>'
    )


def _page(text: str) -> Reply:
    return Reply(200, {"content-type": _HTML, **_SAFE}, text.encode())


def _json(value: Any) -> Reply:
    return Reply(200, {"content-type": _JSON, **_SAFE}, json.dumps(value, ensure_ascii=False).encode())

"""Readers of interface files of foreign systems: WSDL, XML Schema, OpenAPI, and the patterns in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from contracts.canonical.patterns import matcher, pattern_fault
from contracts.importers import names
from contracts.importers.formats.cells import import_csv, import_xlsx
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.patterns import from_ecma, from_xsd
from contracts.importers.source import Files
from tests.attacks.readers_folders import book
from tests.attacks.readers_wire import JSON, XML, again, numbered
from tests.attacks.reading import Try, reader
from tests.size import FULL

_FEW = (
    2_000 if FULL else 128
)  # places of one message are bounded (MAX_PLACES), and so is the draft that is made of them
_XS = "http://www.w3.org/2001/XMLSchema"
_WSDL = f"""<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t"
 xmlns:x="{_XS}" targetNamespace="urn:t"><w:types><x:schema targetNamespace="urn:t"><x:element name="a" type="t:A"/>
 <x:complexType name="A"><x:sequence><x:element name="b" type="x:string"/><!--IN--></x:sequence><!--TYPE--></x:complexType><!--SCHEMA-->
 </x:schema></w:types><w:message name="m"><w:part name="p" element="t:a"/><!--MESSAGE--></w:message><w:portType name="P">
 <w:operation name="o"><w:input message="t:m"/><w:output message="t:m"/><!--OPERATION--></w:operation><!--PORT--></w:portType>
 <w:binding name="B" type="t:P"><s:binding style="document"/><w:operation name="o"><s:operation soapAction="u"/><w:input><s:body use="literal"/>
 <!--BODY--></w:input><w:output><s:body use="literal"/></w:output></w:operation><!--BINDING--></w:binding><!--TOP--></w:definitions>""".encode()  # noqa: E501


def _imported(read: Callable[[Files], Any], file: str, raw: bytes) -> object:
    return read(Files(file, {file: raw}.get))


def wsdl(raw: bytes) -> object:
    return _imported(import_wsdl, "a.wsdl", raw)


def openapi(raw: bytes) -> object:
    return _imported(import_openapi, "a.json", raw)


@reader("contracts.importers.formats.wsdl:import_wsdl", "contracts.importers.schemas:Schemas.load")
def interfaces() -> Iterable[Try]:
    units: dict[str, tuple[str, Callable[[int], bytes]]] = {
        "elements": ("IN", numbered(b'<x:element name="eN" type="x:string"/>')),
        "one element": ("IN", again(b'<x:element name="e" type="x:string"/>')),
        "elements without a type": ("IN", numbered(b'<x:element name="eN"><x:complexType/></x:element>')),
        "elements of A": ("IN", numbered(b'<x:element name="eN" type="t:A"/>')),
        "lists of A": ("IN", numbered(b'<x:element name="eN" maxOccurs="unbounded" type="t:A"/>')),
        "choices": ("IN", again(b"<x:choice><x:any/></x:choice>")),
        "groups": ("IN", again(b'<x:group ref="t:G"/>')),
        "annotations": ("IN", again(b"<x:annotation/>")),
        "documentation": ("TYPE", again(b"<x:annotation><x:documentation>a b</x:documentation></x:annotation>")),
        "attributes": ("TYPE", numbered(b'<x:attribute name="aN"/>')),
        "attribute groups": ("TYPE", again(b'<x:attributeGroup ref="t:H"/>')),
        "types": ("SCHEMA", numbered(b'<x:complexType name="TN"/>')),
        "members": ("SCHEMA", numbered(b'<x:element name="sN" substitutionGroup="t:a"/>')),
        "imports": ("SCHEMA", numbered(b'<x:import namespace="u:N" schemaLocation="N.xsd"/>')),
        "includes": ("SCHEMA", again(b'<x:include schemaLocation="a.xsd"/>')),
        "parts": ("MESSAGE", numbered(b'<w:part name="qN" element="t:a"/>')),
        "faults": ("OPERATION", again(b'<w:fault name="f" message="t:m"/>')),
        "operations": ("PORT", numbered(b'<w:operation name="oN"><w:input message="t:m"/></w:operation>')),
        "bound operations": (
            "BINDING",
            numbered(b'<w:operation name="oN"><s:operation soapAction="u"/></w:operation>'),
        ),
        "headers": ("BODY", again(b'<s:header message="t:m" part="p" use="literal"/>')),
        "bodies": ("BODY", again(b'<s:body use="literal"/>')),
        "messages": ("TOP", numbered(b'<w:message name="mN"><w:part name="p" element="t:a"/></w:message>')),
        "bindings": ("TOP", numbered(b'<w:binding name="BN" type="t:P"/>')),
        "WSDL imports": ("TOP", again(b'<w:import location="a.wsdl" namespace="u"/>')),
        "comments": ("TOP", again(b"<!---->")),
        "text": ("IN", again(b"a")),
    }
    for name, (place, make) in units.items():
        mark = f"<!--{place}-->".encode()
        yield Try(name, wsdl, partial(lambda k, m, n: _WSDL.replace(k, m(n)), mark, make), _FEW)
    named = b'<x:element name="u%d" type="t:W"/>'

    def wide(n: int) -> bytes:
        """A type of n elements that is named n times."""
        inside = b"".join(b'<x:element name="wN" type="x:string"/>'.replace(b"N", b"%d" % at) for at in range(n))
        uses = b"".join(named % at for at in range(n))
        described = b"<x:annotation><x:documentation>" + b"   " * n + b"</x:documentation></x:annotation>"
        made = b'<x:complexType name="W">' + described + b"<x:sequence>" + inside + b"</x:sequence></x:complexType>"
        return _WSDL.replace(b"<!--IN-->", uses).replace(b"<!--SCHEMA-->", made)

    def values(n: int) -> bytes:
        facets = b"".join(b'<x:enumeration value="v%d"/>' % at for at in range(n))
        uses = b"".join(named % at for at in range(n))
        made = b'<x:simpleType name="W"><x:restriction base="x:string">' + facets + b"</x:restriction></x:simpleType>"
        return _WSDL.replace(b"<!--IN-->", uses).replace(b"<!--SCHEMA-->", made)

    # What is named from everywhere is looked at from everywhere, within bounds that are reached soon (MAX_PLACES,
    # MAX_VISITS).
    yield Try("a wide type, named often", wsdl, lambda n: wide(1_500 + n), _FEW)
    yield Try("a type of many values, named often", wsdl, lambda n: values(1_500 + n), _FEW)
    yield from [Try(f"XML: {name}", wsdl, make, 1_000) for name, make in list(XML.items())[::6]]


def csv(raw: bytes) -> object:
    return _imported(import_csv, "a.csv", raw)


def xlsx(raw: bytes) -> object:
    return _imported(import_xlsx, "a.xlsx", raw)


@reader("contracts.importers.formats.cells:import_csv", "contracts.importers.formats.cells:import_xlsx")
def tables() -> Iterable[Try]:
    units: dict[str, Callable[[int], bytes]] = {
        "titles": numbered(b"tN;"),
        "one title, often": again(b"t;"),
        "a long title": again(b"t"),
        "marks upon a letter": again("\u0323\u0301".encode()),
        "lines": lambda n: b"a;b\n" + b"1;2\n" * n,
        "lines without titles": again(b";\n"),
        "quotes": again(b'"'),
        "a long number": lambda n: b"a\n" + b"1" * n,
        "a long date": lambda n: b"a\n" + b"2026-11-28" * n,
        "lines of other numbers of cells": lambda n: b"a;b\n" + b"".join(b";" * (at % 50) + b"\n" for at in range(n)),
    }
    for name, make in units.items():
        yield Try(name, csv, make, 2_000)
    yield Try("a workbook: lines", xlsx, book, 500)
    yield Try("no workbook", xlsx, again(b"PK\x05\x06"))


@reader("contracts.importers.formats.openapi:import_openapi")
def descriptions() -> Iterable[Try]:
    def whole(schemas: dict[str, Any], **more: Any) -> bytes:
        body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
        call = {"operationId": "a", "requestBody": body, "responses": {"200": body}, **more}
        return json.dumps(
            {"openapi": "3.0.0", "paths": {"/a": {"post": call}}, "components": {"schemas": schemas}}
        ).encode()

    text = {"type": "string"}
    made: dict[str, Callable[[int], bytes]] = {
        "properties": lambda n: whole({"A": {"properties": {f"p{at}": text for at in range(n)}}}),
        "references": lambda n: whole(
            {
                "A": {"properties": {f"p{at}": {"$ref": "#/components/schemas/B"} for at in range(n)}},
                "B": {"properties": {"a": text}},
            }
        ),
        "references to nothing": lambda n: whole(
            {"A": {"properties": {f"p{at}": {"$ref": "#/a/b"} for at in range(n)}}}
        ),
        "a long reference": lambda n: whole({"A": {"properties": {"p": {"$ref": "#" + "/a" * n}}}}),
        "all of": lambda n: whole({"A": {"allOf": [{"properties": {f"p{at}": text}} for at in range(n)]}}),
        "all of the same": lambda n: whole(
            {"A": {"allOf": [{"$ref": "#/components/schemas/B"}] * n}, "B": {"properties": {"a": text}}}
        ),
        "all of itself": lambda n: whole(
            {"A": {"allOf": [{"$ref": "#/components/schemas/A"}] * n, "properties": {"a": text}}}
        ),
        "one of": lambda n: whole({"A": {"oneOf": [{"properties": {f"p{at}": text}} for at in range(n)]}}),
        "values": lambda n: whole(
            {"A": {"properties": {"a": {"type": "string", "enum": [f"v{at}" for at in range(n)]}}}}
        ),
        "required": lambda n: whole({"A": {"properties": {"a": text}, "required": [f"p{at}" for at in range(n)]}}),
        "words": lambda n: whole({"A": {"properties": {"a": text}, **{f"w{at}": 1 for at in range(n)}}}),
        "a long name": lambda n: whole({"A": {"properties": {"a" * n: text}}}),
        "a long name above many": lambda n: whole(
            {"A": {"properties": {"a" * n: {"properties": {f"p{at}": text for at in range(n)}}}}}
        ),
        "a long title": lambda n: whole({"A": {"title": "a " * n, "properties": {"a": text}}}),
        "a pattern": lambda n: whole({"A": {"properties": {"a": {"type": "string", "pattern": "^" + "a" * n + "$"}}}}),
        "parameters": lambda n: whole(
            {"A": {"properties": {"a": text}}},
            parameters=[{"name": f"p{at}", "in": "query", "schema": text} for at in range(n)],
        ),
        "responses": lambda n: whole({"A": {"properties": {"a": text}}}, responses={str(at): {} for at in range(n)}),
        "in each other": lambda n: whole({"A": _inside(min(n, 60))}),
        "all of many, named often": lambda n: whole(
            {
                "A": {"properties": {f"p{at}": {"$ref": "#/components/schemas/B"} for at in range(1_500 + n)}},
                "B": {"allOf": [{"$ref": "#/components/schemas/C"}] * (1_500 + n)},
                "C": {},
            }
        ),
    }
    yield from [Try(name, openapi, make, _FEW) for name, make in made.items() if FULL or "often" not in name]
    yield from [Try(f"JSON: {name}", openapi, make, 1_000) for name, make in list(JSON.items())[::7]]
    for name, unit in {
        "items": b"- a\n",
        "names": b"aN: 1\n",
        "deep": b"- ",
        "flow": b"[",
        "numbers": b"- 1e9\n",
        "digits": b"1",
    }.items():
        yield Try(f"YAML: {name}", openapi, numbered(unit, b"openapi: 3.0.0\na:\n"), 1_000)


def _inside(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        made = {"type": "object", "properties": {"a": made}}
    return made


@reader("contracts.importers.patterns:from_xsd", "contracts.importers.patterns:from_ecma")
def foreign_patterns() -> Iterable[Try]:
    """Reading a pattern, and running it: whatever the pattern says, a text costs what it is long."""
    for name, unit in {
        "letters": "a",
        "classes": "[a-z]",
        "counts": "a{9}",
        "groups": "(a)",
        "opened": "(",
        "slashes": "\\",
        "digits": "\\d",
        "bars": "a|",
        "brackets": "[",
    }.items():
        yield Try(f"XSD: {name}", lambda text: from_xsd([text]), partial(lambda u, n: u * n, unit), 1_000)
        yield Try(f"ECMA: {name}", lambda text: from_ecma(f"^{text}$"), partial(lambda u, n: u * n, unit), 1_000)
    yield Try("alternatives", from_xsd, lambda n: [f"a{at}" for at in range(n)], 1_000)
    for pattern in (
        "^(a+)+$",
        "^((a*)*)*$",
        "^(a|a)*b$",
        "^([a-z]+)*[0-9]$",
        "^(a?){50}a{50}$",
        "^(([a-z]{1,9})[.])*x$",
        "^([a-c]{3,20}|[b-d]{5,30})*$",
    ):
        assert pattern_fault(pattern) is None, pattern
        for tail in ("", "!", "b"):
            yield Try(f"{pattern} {tail}", matcher(pattern), partial(lambda t, n: "a" * n + t, tail))
    yield Try("names", names.field_name, lambda n: "aB" * n)
    yield Try("names with marks", names.field_name, lambda n: "a" + "\u0323\u0301" * n)

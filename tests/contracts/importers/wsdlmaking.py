"""WSDL files made from parts, and the drafts that the importer makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Findings, read_yaml
from contracts.importers.draft import Draft, write
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.source import Files
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml

HEAD = """<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" xmlns:u="urn:u"
 xmlns:mime="http://schemas.xmlsoap.org/wsdl/mime/" xmlns:http="http://schemas.xmlsoap.org/wsdl/http/"
 xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/" targetNamespace="urn:t" name="DichVu">"""  # noqa: E501
SCHEMA = '<xs:schema targetNamespace="urn:t" elementFormDefault="qualified">'


def wsdl(
    types: str, *, binding: str | None = None, parts: str = '<wsdl:part name="p" element="t:Hoi"/>', extra: str = ""
) -> str:
    """A service of one operation Hoi, answered by the element Dap; `types` are whole schemas."""
    bound = binding or (
        '<wsdl:binding name="B" type="t:P"><soap:binding style="document" '
        'transport="http://schemas.xmlsoap.org/soap/http"/>'
        '<wsdl:operation name="Hoi"><soap:operation soapAction="urn:t:Hoi"/><wsdl:input><soap:body '
        'use="literal"/></wsdl:input>'
        '<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation></wsdl:binding>'
    )
    return (
        f"{HEAD}<wsdl:types>{types}</wsdl:types>"
        f'<wsdl:message name="In">{parts}</wsdl:message><wsdl:message name="Out"><wsdl:part name="p" '
        'element="t:Dap"/></wsdl:message>'
        '<wsdl:portType name="P"><wsdl:operation name="Hoi"><wsdl:input message="t:In"/><wsdl:output '
        'message="t:Out"/></wsdl:operation>'
        f'</wsdl:portType>{bound}{extra}<wsdl:service name="HoChua"/></wsdl:definitions>'
    )


ANSWER = (
    '<xs:element name="Dap"><xs:complexType><xs:sequence><xs:element name="ok" '
    'type="xs:boolean"/></xs:sequence></xs:complexType></xs:element>'
)


def one(body: str, more: str = "") -> str:
    """One schema whose element Hoi has this content."""
    return (
        f'{SCHEMA}<xs:element name="Hoi"><xs:complexType>{body}</xs:complexType></xs:element>{ANSWER}{more}</xs:schema>'
    )


def files(main: str, others: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None) -> Files:
    given = {"main.wsdl": main, **(others or {})}
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        assert ".." not in path.split("/") and "://" not in path
        asked.append(path)
        return given[path].encode() if path in given else None

    return Files("main.wsdl", read, {name: text.encode() for name, text in (extra or {}).items()})


def draft(main: str, others: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None) -> Draft:
    return write(import_wsdl(files(main, others, extra)))


def compiled(made: Draft) -> CompiledContract:
    return compile_bundle(Bundle.of(made.files))


def codes(made: Draft) -> set[str]:
    return {note.code for note in made.notes}


def rows(made: Draft, message: str = "Hoi") -> dict[str, str]:
    """Canonical path -> path of the format."""
    (path,) = [each for each in made.files if each.startswith("systems/")]
    table = read_yaml(path, made.files[path], Findings())
    assert table is not None
    return {row.get("canonical", "="): row["here"] for row in table.value["messages"][message]["rows"]}


def schema(made: Draft, name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_json(made.files["schema.json"])["$defs"][name]
    return found


def read(made: Draft, xml: str, message: str = "Hoi") -> Any:
    (codec,) = [each for name, each in compiled(made).formats.items() if name != "canonical"]
    value = codec.read_xml(message, parse_xml(xml.encode()))
    written = codec.write_xml(message, value)
    assert codec.read_xml(message, parse_xml(written)) == value
    return value

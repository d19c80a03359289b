"""What our own faces say can be taken back: a contract's served WSDL and OpenAPI, imported, carry the samples of the
catalogue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces.openapi import openapi
from contracts.faces.wsdl import wsdl
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.importers.draft import write
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.source import Files
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml

NAMES = [folder.parent.name for folder in catalogue_folders()]


def values(compiled: CompiledContract, message: str) -> list[Any]:
    """Canonical values of the samples, those without a reason for absence: no foreign interface can say one."""
    canonical = compiled.codec("canonical")
    found = [
        canonical.read_json(message, each.canonical)
        for each in compiled.samples
        if each.message == message and b'"absent"' not in each.canonical
    ]
    assert all(compiled.validate(message, value) == [] for value in found)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("face", ["wsdl", "openapi"])
def test_a_served_interface_is_a_foreign_one_to_others(
    name: str, face: str, catalogue: dict[str, CompiledContract]
) -> None:
    compiled = catalogue[f"{name}/v1"]
    raw = (
        wsdl(compiled, "https://lgsp.example/soap")
        if face == "wsdl"
        else json.dumps(openapi(compiled, "https://lgsp.example")).encode()
    )
    given = Files("main", lambda path: raw if path == "main" else None)
    interface = import_wsdl(given) if face == "wsdl" else import_openapi(given)
    assert [call.name for call in interface.calls] == list(compiled.contract.operations)
    made = compile_bundle(Bundle.of(write(interface).files))
    (codec,) = [each for format_name, each in made.formats.items() if format_name != "canonical"]
    canonical, carried = compiled.codec("canonical"), 0
    for op, again in zip(compiled.contract.operations.values(), made.contract.operations.values(), strict=True):
        for ours, theirs, wrapper in (
            (op.request, again.request, op.name),
            (op.answer, again.answer, f"{op.name}Response"),
        ):
            if face == "openapi" and op.method == "GET" and ours == op.request:
                continue  # a query string, not a body
            for value in values(compiled, ours):
                carried += 1
                if face == "wsdl":
                    sent = canonical.write_xml(ours, value, wrapper)
                    assert (
                        canonical.read_xml(
                            ours, parse_xml(codec.write_xml(theirs, codec.read_xml(theirs, parse_xml(sent))))
                        )
                        == value
                    )
                else:
                    sent = canonical.write_json(ours, value)
                    assert read_json(codec.write_json(theirs, codec.read_json(theirs, sent))) == read_json(sent)
    assert carried

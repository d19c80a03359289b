"""Several operations of a foreign WSDL with one request element: the signed action says which is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from contracts.importers.draft import write
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.source import Files
from gateway.doors.soap import operation_of

CORPUS = Path(__file__).parents[1] / "contracts" / "corpus"


def contract_of(name: str) -> CompiledContract:
    return compile_bundle(Bundle.of(write(import_wsdl(Files(name, lambda path: (CORPUS / path).read_bytes()))).files))


@pytest.mark.parametrize(
    ("name", "action", "operation"),
    [
        ("one-root-several-operations.wsdl", "urn:t:Hoi", "hoi"),
        ("one-root-several-operations.wsdl", "urn:t:Tra", "tra"),
        ("one-root-several-operations.wsdl", "urn:t:Khac", "hoi"),  # `soap.action` then refuses it
        ("one-root-without-actions.wsdl", "", "hoi"),
    ],
)
def test_the_action_decides_where_operations_share_their_request(name: str, action: str, operation: str) -> None:
    compiled = contract_of(name)
    codec = compiled.codec("dich-vu-xml")
    assert operation_of(compiled.contract, codec, codec.soap_roots["{urn:t}Hoi"], action) == operation


def test_an_element_of_the_canonical_format_names_its_operation() -> None:
    compiled = contract_of("one-root-several-operations.wsdl")
    codec = compiled.codec("canonical")
    root = codec.soap_roots[f"{{{compiled.namespace}}}xem"]
    assert operation_of(compiled.contract, codec, root, "urn:t:Tra") == "xem"

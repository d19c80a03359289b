"""Types beyond plain objects: what leads back to itself, choices by a discriminator, bytes in base64; every face agrees
on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import zeep
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure, Finding, Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces import openapi, wsdl, xsd
from contracts.faces.pages import page
from contracts.faces.schema import schema_json
from contracts.folder.bundle import Bundle
from contracts.wire.soap import parse_xml
from tests.contracts.rowsmaking import CONTRACT, LAWS, NAME, closed, contract, found, laws, read, refused_table

NODE = closed(
    {
        "name": NAME,
        "count": {"type": "integer"},
        "parts": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Node"}},
    },
    "name",
)
CHOICE = {
    "oneOf": [{"$ref": "#/$defs/Both"}, {"$ref": "#/$defs/Not"}, {"$ref": "#/$defs/Level"}],
    "discriminator": {
        "propertyName": "op",
        "mapping": {"and": "#/$defs/Both", "or": "#/$defs/Both", "not": "#/$defs/Not", "level": "#/$defs/Level"},
    },
}
DEFS = {
    "Thing": closed(
        {
            "id": NAME,
            "tree": {"$ref": "#/$defs/Node"},
            "rule": {"$ref": "#/$defs/Rule"},
            "rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}},
            "maybe": {
                "oneOf": [{"$ref": "#/$defs/Level"}, {"$ref": "#/$defs/Mark"}],
                "discriminator": {"propertyName": "op"},
                "absentable": True,
            },
            "file": {"type": "string", "contentEncoding": "base64", "contentMediaType": "application/pdf"},
            "key": {"type": "string", "contentEncoding": "base64", "minLength": 4, "maxLength": 12, "absentable": True},
        },
        "id",
        "rules",
    ),
    "Node": NODE,
    "Rule": {**CHOICE, "title": "Luật"},
    "Both": closed(
        {
            "op": {"type": "string", "enum": ["and", "or"]},
            "sides": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/Rule"}},
        },
        "op",
        "sides",
    ),
    "Not": closed({"op": {"type": "string", "const": "not"}, "of": {"$ref": "#/$defs/Rule"}, "why": NAME}, "op", "of"),
    "Level": closed(
        {"op": {"type": "string", "const": "level"}, "value": {"type": "integer"}, "why": NAME}, "op", "value"
    ),
    "Mark": closed(
        {"op": {"type": "string", "const": "mark"}, "raw": {"type": "string", "contentEncoding": "base64"}}, "op"
    ),
}
FIRST = {"id": "1", "rules": []}


def of(defs: dict[str, Any]) -> str:
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs})


def built(defs: dict[str, Any]) -> CompiledContract:
    text = of(defs)
    sample = json.dumps(FIRST)
    files = {"contract.yaml": CONTRACT, "schema.json": text, "samples/canonical/Thing.first.json": sample}
    return compile_bundle(Bundle.of({path: each.encode() for path, each in files.items()}))


@pytest.fixture(scope="module")
def types() -> CompiledContract:
    return built(DEFS)


@LAWS
@given(data=st.data())
def test_canonical_json_and_xml_carry_every_type(types: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(types, "Thing"))
    codec = types.codec("canonical")
    assert types.validate("Thing", value) == []
    assert codec.read_json("Thing", codec.write_json("Thing", value)) == value
    written = codec.write_xml("Thing", value)
    assert codec.read_xml("Thing", parse_xml(written)) == value
    assert etree.tostring(parse_xml(written), method="c14n", exclusive=True) == written


@LAWS
@given(data=st.data())
def test_every_face_takes_the_same_values(types: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(types, "Thing", True))
    codec = types.codec("canonical")
    valid = types.validate("Thing", value) == []
    element = parse_xml(codec.write_xml("Thing", value))
    assert etree.XMLSchema(etree.fromstring(xsd.xsd(types))).validate(element) is valid
    served = jsonschema_rs.Draft202012Validator(
        {**json.loads(schema_json(types)), "$ref": "#/$defs/Thing"}, validate_formats=True
    )
    assert served.is_valid(value) is valid
    decoders: tuple[Callable[[], Any], ...] = (
        lambda: codec.read_xml("Thing", element),
        lambda: codec.read_json("Thing", codec.write_json("Thing", value)),
    )
    for decode in decoders:
        try:
            assert decode() == value
            taken = True
        except Failure as failure:
            assert failure.code == "message.invalid" and failure.findings
            taken = False
        assert taken is valid


def test_findings_inside_name_where_they_are(types: CompiledContract) -> None:
    codec = types.codec("canonical")

    def json_faults(value: Any) -> list[tuple[str, str, str]]:
        return found(lambda: codec.read_json("Thing", json.dumps({**FIRST, **value}).encode()))

    def xml_faults(inner: str) -> list[tuple[str, str, str]]:
        raw = f'<Thing xmlns="urn:lgsp:contract:rows:v1"><id>1</id>{inner}</Thing>'
        return found(lambda: codec.read_xml("Thing", parse_xml(raw.encode())))

    deep = {"tree": {"name": "a", "parts": [{"name": "b"}, {"name": "c", "parts": [{"name": 5, "count": 1.0}]}]}}
    assert set(json_faults(deep)) == {
        ("tree.parts[1].parts[0].name", "tree.parts[1].parts[0].name", "type"),
        ("tree.parts[1].parts[0].count", "tree.parts[1].parts[0].count", "type"),
    }
    assert json_faults({"rule": {"op": "not", "of": {"op": "level", "value": 1, "of": 2}}}) == [
        ("rule.of.of", "rule.of.of", "unknown")
    ]
    assert json_faults({"rule": {"op": "xor"}}) == [("rule.op", "rule.op", "code")]
    assert json_faults({"rule": {}}) == [("rule.op", "rule.op", "required")]
    assert json_faults({"file": "QR=="})[0] == ("file", "file", "pattern")
    tree = "<tree><name>a</name><parts><name>b</name><parts><name>c</name><count>x</count></parts></parts></tree>"
    assert xml_faults(tree) == [("Thing/tree/parts/parts/count", "tree.parts[0].parts[0].count", "type")]
    rule = "<rule><Not><op>not</op><of><Not><op>not</op><of><Level><op>level</op><value>x</value></Level></of></Not></of></Not></rule>"  # noqa: E501
    assert xml_faults(rule) == [("Thing/rule/Not/of/Not/of/Level/value", "rule.of.of.value", "type")]
    assert xml_faults("<rule><Level><op>not</op><value>1</value></Level></rule>")[0] == (
        "Thing/rule/Level",
        "rule.op",
        "code",
    )
    level = "<Level><op>level</op><value>1</value></Level>"
    assert xml_faults(f"<rule>{level}{level}</rule>") == [("Thing/rule/Level[2]", "", "repeated")]
    assert xml_faults("<rule></rule>") == [("Thing/rule/*/op", "rule.op", "required")]


def test_the_documents_of_such_a_contract_can_be_read(types: CompiledContract, tmp_path: Path) -> None:
    file = tmp_path / "x.wsdl"
    file.write_bytes(wsdl.wsdl(types, "https://cong.example/soap/rows/v1"))
    client = zeep.Client(str(file))
    tree = {"name": "a", "parts": [{"name": "b", "parts": [{"name": "c"}]}]}
    rules = [{"Not": {"op": "not", "of": {"Level": {"op": "level", "value": 10**20}}}}]
    element = client.create_message(client.service, "putThing", id="1", tree=tree, rules=rules, file=b"\x00\xff")
    body = element.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    value = types.codec("canonical").read_xml("Thing", parse_xml(etree.tostring(body[0])))
    assert value == {
        "id": "1",
        "tree": tree,
        "rules": [{"op": "not", "of": {"op": "level", "value": 10**20}}],
        "file": "AP8=",
    }
    schemas = openapi.openapi(types, "https://cong.example")["components"]["schemas"]
    assert schemas["Rule"]["discriminator"]["mapping"]["or"] == "#/components/schemas/Both"
    assert schemas["Thing"]["properties"]["file"]["format"] == "byte"
    assert all(f'id="{name}"' in page.page(types, "vi", "https://cong.example") for name in ("Node", "Rule"))


def test_a_mask_reaches_into_what_leads_back(types: CompiledContract) -> None:
    mask = types.mask("Thing", ["*", "!tree.count", "!rule.why", "!key"])
    assert mask is not None
    value = {
        "tree": {"name": "a", "count": 1, "parts": [{"name": "b", "count": 2}]},
        "rule": {"op": "level", "why": "vì"},
        "key": "QUJD",
    }
    assert mask(value) == {
        "tree": {"name": "a", "parts": [{"name": "b"}]},
        "rule": {"op": "level"},
        "key": {"absent": "not-permitted"},
    }


def changed(name: str, part: dict[str, Any]) -> list[Finding]:
    with pytest.raises(Theirs) as caught:
        built({**DEFS, name: part})
    return list(caught.value.findings)


@pytest.mark.parametrize(
    ("name", "part", "rule", "expected"),
    [
        ("Node", {**NODE, "required": ["name", "parts"]}, "profile", "an end"),
        ("Node", {"type": "array", "items": {"$ref": "#/$defs/Node"}}, "profile", "only objects and choices lead back"),
        ("Node", {"$ref": "#/$defs/Node"}, "profile", "only objects and choices lead back"),
        ("Rule", {"oneOf": CHOICE["oneOf"]}, "choice", "discriminator"),
        ("Rule", {**CHOICE, "discriminator": {"propertyName": "kind"}}, "choice", "kind as a required enum"),
        (
            "Rule",
            {**CHOICE, "discriminator": {"propertyName": "op", "mapping": {"and": "#/$defs/Not"}}},
            "choice",
            "each value",
        ),
        ("Rule", {**CHOICE, "oneOf": [{"$ref": "#/$defs/Level"}]}, "choice", "two or more"),
        ("Rule", {**CHOICE, "oneOf": [{"$ref": "#/$defs/Level"}, {"type": "string"}]}, "choice", "to an object"),
        (
            "Level",
            closed({"op": {"type": "string", "const": "not"}, "value": {"type": "integer"}}, "op"),
            "choice",
            "never the same in two",
        ),
        (
            "Level",
            closed({"op": {"type": "string", "const": "level"}, "why": {"type": "boolean"}}, "op"),
            "choice",
            "one type for a name",
        ),
        (
            "Mark",
            closed(
                {
                    "op": {"type": "string", "const": "mark"},
                    "raw": {"type": "string", "contentEncoding": "base64", "maxLength": 5},
                },
                "op",
            ),
            "profile",
            "a multiple of 4",
        ),
        (
            "Mark",
            closed(
                {"op": {"type": "string", "const": "mark"}, "raw": {"type": "string", "contentEncoding": "hex"}}, "op"
            ),
            "profile",
            "base64",
        ),
    ],
)
def test_types_that_no_face_could_hold_are_refused(name: str, part: dict[str, Any], rule: str, expected: str) -> None:
    findings = changed(name, part)
    assert any(
        each.rule == rule and expected in each.expected and each.here.startswith("schema.json:") for each in findings
    ), findings


CHOSEN = {
    "Thing": closed(
        {
            "id": NAME,
            "what": {
                "oneOf": [{"$ref": "#/$defs/Fire"}, {"$ref": "#/$defs/Flood"}],
                "discriminator": {"propertyName": "kind"},
            },
            "seen": {
                "type": "array",
                "items": {
                    "oneOf": [{"$ref": "#/$defs/Fire"}, {"$ref": "#/$defs/Flood"}],
                    "discriminator": {"propertyName": "kind"},
                },
            },
            "file": {"type": "string", "contentEncoding": "base64"},
            "tree": {"$ref": "#/$defs/Node"},
        },
        "id",
        "what",
        "seen",
    ),
    "Fire": closed(
        {"kind": {"type": "string", "enum": ["fire", "smoke"]}, "heat": {"type": "integer"}, "note": NAME},
        "kind",
        "heat",
    ),
    "Flood": closed(
        {"kind": {"type": "string", "const": "flood"}, "level": {"type": "integer"}, "ford": {"type": "boolean"}},
        "kind",
        "level",
    ),
    "Node": NODE,
}
CHOSEN_ROWS = {
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: what.kind, here: loai}
        - {canonical: what.heat, here: giaTri, when: {canonical: what.kind, is: [fire, smoke]}}
        - {canonical: what.level, here: giaTri, when: {canonical: what.kind, is: [flood]}, as: text}
        - {canonical: what.note, here: ghiChu}
        - {canonical: what.ford, here: quaDuoc, as: boolean-01}
        - {canonical: "seen[].kind", here: "ds[].loai"}
        - {canonical: "seen[].heat", here: "ds[].nhiet"}
        - {canonical: "seen[].note", here: "ds[].ghiChu"}
        - {canonical: "seen[].level", here: "ds[].muc"}
        - {canonical: "seen[].ford", here: "ds[].quaDuoc"}
        - {canonical: file, here: tep}
        - {canonical: tree.name, here: cay.ten}
        - {canonical: tree.count, here: cay.dem}
      drops: [tree.parts]
    """,
    "xml-a": """
        - {canonical: id, here: "@ma"}
        - {canonical: what.heat, here: d:GiaTri, when: {canonical: what.kind, is: [fire, smoke]}}
        - {canonical: what.level, here: d:GiaTri, when: {canonical: what.kind, is: [flood]}}
        - {canonical: what.note, here: d:GhiChu}
        - {canonical: what.ford, here: d:QuaDuoc}
        - {canonical: what.kind, here: d:Loai}
        - {canonical: "seen[].kind", here: "d:Ds[]/@loai"}
        - {canonical: "seen[].heat", here: "d:Ds[]/d:GiaTri", when: {canonical: "seen[].kind", is: [fire, smoke]}}
        - {canonical: "seen[].level", here: "d:Ds[]/d:GiaTri", when: {canonical: "seen[].kind", is: [flood]}}
        - {canonical: "seen[].note", here: "d:Ds[]/d:GhiChu"}
        - {canonical: "seen[].ford", here: "d:Ds[]/@quaDuoc"}
        - {canonical: file, here: d:Tep}
        - {canonical: tree.name, here: d:Cay/d:Ten}
        - {canonical: tree.count, here: d:Cay/d:Dem}
      drops: [tree.parts]
    """,
}


@pytest.fixture(scope="module")
def chosen() -> CompiledContract:
    return contract(of(CHOSEN), CHOSEN_ROWS)


@LAWS
@given(data=st.data())
def test_tables_keep_the_laws_for_branches_of_a_choice(
    chosen: CompiledContract, values_of: Any, data: st.DataObject
) -> None:
    assert laws(chosen, data.draw(values_of(chosen, "Thing"))) == 2


def test_bytes_may_be_broken_over_lines_in_xml(chosen: CompiledContract) -> None:
    raw = '<d:T xmlns:d="urn:d" ma="1"><d:Tep>\n QUJD\n REVG </d:Tep><d:GiaTri>5</d:GiaTri><d:Loai>flood</d:Loai></d:T>'
    assert read(chosen, "xml-a", raw.encode()) == {
        "id": "1",
        "what": {"kind": "flood", "level": 5},
        "seen": [],
        "file": "QUJDREVG",
    }
    assert found(lambda: read(chosen, "json-a", b'{"ma":"1","loai":"flood","giaTri":"5","tep":"QUJD\\n"}')) == [
        ("tep", "file", "pattern")
    ]


def test_a_table_names_every_branch_and_what_leads_back() -> None:
    findings = refused_table(of(DEFS), {"json-a": "- {canonical: id, here: ma}\n- {canonical: maybe.op, here: loai}"})
    assert {each.canonical for each in findings} >= {
        "maybe.value",
        "maybe.raw",
        "tree.name",
        "tree.parts[].name",
        "tree.parts[].parts",
        "rule.op",
        "file",
    }
    findings = refused_table(
        of(CHOSEN),
        {
            "json-a": CHOSEN_ROWS["json-a"].replace(
                '"seen[].level", here: "ds[].muc"', '"seen[].note", here: "ds[].muc"'
            )
        },
    )
    assert any(each.canonical == "seen[].level" for each in findings)

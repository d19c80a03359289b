"""One value, every face: over generated schemas and messages XSD, JSON Schema, OpenAPI and both decoders take or refuse
together.

Where a face takes a form that the decoder refuses, the form is on the published list, and each entry of the list is
proved here.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure, Theirs
from contracts.canonical.model import Array, Choice, RecursiveRef, Struct, Type
from contracts.compiled.contract import CompiledContract
from contracts.faces import openapi, samples, xsd
from contracts.faces.foreign.differences import DIFFERENCES
from contracts.faces.schema import schema_json
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml
from tests.contracts.conftest import structs
from tests.contracts.generating import CONTRACT, built, contracts

MANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


class Faces:
    """The faces of a contract, as a stranger's tools read them."""

    def __init__(self, compiled: CompiledContract, message: str = "Message") -> None:
        self.codec, self.message = compiled.codec("canonical"), message
        self.xsd = etree.XMLSchema(etree.fromstring(xsd.xsd(compiled)))
        served = {**json.loads(schema_json(compiled)), "$ref": f"#/$defs/{message}"}
        self.schema = jsonschema_rs.Draft202012Validator(served, validate_formats=True)
        self.remarks = jsonschema_rs.Draft202012Validator(served, validate_formats=False)
        components = openapi.openapi(compiled, "")["components"]["schemas"]
        described = {"$ref": f"#/components/schemas/{message}", "components": {"schemas": components}}
        self.openapi = jsonschema_rs.Draft4Validator(described, validate_formats=True)
        self.openapi_remarks = jsonschema_rs.Draft4Validator(described, validate_formats=False)

    def decodes(self, raw: bytes) -> bool:
        try:
            if raw.startswith(b"<"):
                self.codec.read_xml(self.message, parse_xml(raw))
            else:
                self.codec.read_json(self.message, raw)
        except Failure:
            return False
        return True


def few_of_an_absentable_list(made: Type, value: Any, absentable: bool = False) -> bool:
    """The published difference `few`: XSD cannot ask for more than one item where one nil may stand for the list."""
    made = made.target if isinstance(made, RecursiveRef) else made
    made = made.union if isinstance(made, Choice) else made
    if isinstance(made, Struct) and isinstance(value, dict):
        return any(
            f.name in value and few_of_an_absentable_list(f.type, value[f.name], f.absentable) for f in made.fields
        )
    if isinstance(made, Array) and isinstance(value, list):
        return (
            absentable and len(value) < made.least or any(few_of_an_absentable_list(made.items, each) for each in value)
        )
    return False


@MANY
@given(compiled=contracts(), data=st.data())
def test_faces_take_a_value_together(compiled: CompiledContract, data: st.DataObject) -> None:
    faces = Faces(compiled)
    value = data.draw(structs(compiled.messages["Message"], True))
    valid = compiled.validate("Message", value) == []
    as_json, as_xml = faces.codec.write_json("Message", value), faces.codec.write_xml("Message", value)
    told = {
        "schema": faces.schema.is_valid(value),
        "openapi": faces.openapi.is_valid(value),
        "json": faces.decodes(as_json),
        "xml": faces.decodes(as_xml),
        "xsd": faces.xsd.validate(etree.fromstring(as_xml)),
    }
    if few_of_an_absentable_list(compiled.messages["Message"], value):
        del told["xsd"]
    assert told == dict.fromkeys(told, valid)


@MANY
@given(compiled=contracts(), data=st.data())
def test_valid_messages_pass_every_face(compiled: CompiledContract, data: st.DataObject) -> None:
    faces = Faces(compiled)
    value = data.draw(structs(compiled.messages["Message"], False))
    assert faces.schema.is_valid(value) and faces.openapi.is_valid(value)
    faces.xsd.assertValid(etree.fromstring(faces.codec.write_xml("Message", value)))
    assert faces.codec.read_json("Message", faces.codec.write_json("Message", value)) == value
    assert faces.codec.read_xml("Message", parse_xml(faces.codec.write_xml("Message", value))) == value


@MANY
@given(compiled=contracts())
def test_samples_can_be_made_of_any_schema(compiled: CompiledContract) -> None:
    faces = Faces(compiled)
    for each in samples.generated(compiled):
        if not each.rule:
            assert faces.decodes(each.content), each
            if each.media == "xml":
                faces.xsd.assertValid(etree.fromstring(each.content))
            else:
                value = read_json(each.content)
                assert faces.schema.is_valid(value) and faces.openapi.is_valid(value)
            continue
        with pytest.raises(Theirs) as caught:
            if each.media == "xml":
                faces.codec.read_xml("Message", parse_xml(each.content))
            else:
                faces.codec.read_json("Message", each.content)
        at = each.path.removesuffix(".absent")
        assert any(f.rule == each.rule and f.canonical in ("", each.path, at) for f in caught.value.findings), (
            each,
            caught.value.findings,
        )


# --- the published list -----------------------------------------------------------------------------------------------

NS = 'xmlns="urn:lgsp:contract:made:v1"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
GOOD_XML = (
    f"<Message {NS} "
    f"{XSI}><n>1</n><d>1.5</d><t>2026-02-28T00:00:00Z</t><y>true</y><s>x</s><l>a</l><l>b</l><b>QUJD</b><c>A1</c></Message>"
)
GOOD_JSON = '{"n":1,"d":1.5,"t":"2026-02-28T00:00:00Z","y":true,"s":"x","l":["a","b"],"b":"QUJD","c":"A1"}'
FORMS: dict[str, list[tuple[str, str]]] = {
    "padding": [
        ("<n>1<", "<n> 1<"),
        ("<d>1.5<", "<d>1.5\n<"),
        ("<y>true<", "<y>true <"),
        ("<t>2026", "<t> 2026"),
    ],
    "number": [("<n>1<", "<n>+1<"), ("<n>1<", "<n>01<"), ("<d>1.5<", "<d>.5<"), ("<d>1.5<", "<d>1.<")],
    "boolean": [("<y>true<", "<y>1<"), ("<y>true<", "<y>0<")],
    "nil": [
        ("<s>x<", '<s xsi:nil="true"><'),
        ("<s>x<", '<s absent="none">x<'),
        ("<l>b<", '<l xsi:nil="true" absent="none"><'),
        ("<l>a</l><l>b</l>", '<l xsi:nil="true"/>'),
    ],
    "few": [("<l>b</l>", "")],
    "attributes": [(f"<Message {NS}", f'<Message {NS} xmlns:t="urn:lgsp:contract:made:v1" xsi:type="t:Message"')],
    "instruction": [("<n>1", "<?x y?><n>1")],
    "point": [('"n":1', '"n":1.0'), ('"n":1', '"n":1e2')],
    "twice": [('"n":1', '"n":1,"n":1')],
    "characters": [('"s":"x"', '"s":"x\\u0000"'), ('"s":"x"', '"s":"\\uffff"')],
    "calendar": [('"t":"2026-02-28', '"t":"2026-02-30')],
    "force": [("<c>A1", "<c>C3"), ('"c":"A1"', '"c":"C3"')],
    "digits": [('"n":1', '"n":1' + "0" * 1000), ("<n>1<", "<n>1" + "0" * 1000 + "<")],
}


@pytest.fixture(scope="module")
def faces() -> Faces:
    text = {"type": "string"}
    properties: dict[str, Any] = {
        "n": {"type": "integer"},
        "d": {"type": "number"},
        "t": {"type": "string", "format": "date-time"},
        "y": {"type": "boolean"},
        "s": {**text, "absentable": True},
        "l": {"type": "array", "items": text, "minItems": 2, "absentable": True},
        "b": {**text, "contentEncoding": "base64"},
        "c": {**text, "codes": "bang"},
    }
    message = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return Faces(built({"Message": message}, CONTRACT + "codes_at: t\n"))


def test_the_list_is_whole() -> None:
    assert {each.name for each in DIFFERENCES} == set(FORMS)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.name)
def test_what_is_listed_is_so(difference: Any, faces: Faces) -> None:
    assert faces.decodes(GOOD_XML.encode()) and faces.decodes(GOOD_JSON.encode())
    shown = set()
    for before, after in FORMS[difference.name]:
        good = GOOD_XML if before.startswith("<") else GOOD_JSON
        changed = good.replace(before, after)
        assert changed != good and not faces.decodes(changed.encode()), changed[:200]
        if good is GOOD_XML:
            assert faces.xsd.validate(etree.fromstring(changed)), (changed, faces.xsd.error_log)
            shown.add("XSD")
        else:
            # As a plain tool reads it: the last of two names wins, numbers as they come.
            value = json.loads(changed, parse_float=Decimal)
            assert faces.remarks.is_valid(value), changed[:200]
            shown.add("JSON Schema")
            if faces.openapi_remarks.is_valid(value):
                shown.add("OpenAPI")
    assert shown == set(difference.faces)

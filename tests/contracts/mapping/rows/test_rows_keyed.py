"""Keyed entries and one-way expressions."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, MA, NAME, closed, contract, found, laws, read, refused_table, schema, write

# --- keyed entries ----------------------------------------------------------------------------------------------------

KEYED = schema(
    {
        "id": NAME,
        "parameter": {
            "type": "array",
            "minItems": 1,
            "items": closed({"name": NAME, "value": {"type": "string", "maxLength": 9}}, "name", "value"),
        },
        "sensor": {
            "type": "array",
            "items": closed(
                {"code": {"type": "string", "enum": ["x", "y"]}, "low": {"type": "number"}, "high": {"type": "number"}},
                "code",
                "low",
            ),
        },
    },
    "id",
    "sensor",
)
KEYED_ROWS = {
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: "parameter[].name", here: "thongSo.{}"}
        - {canonical: "parameter[].value", here: "thongSo.{}"}
        - {canonical: "sensor[].code", here: "{}", codes: ma}
        - {canonical: "sensor[].low", here: "{}.thap"}
        - {canonical: "sensor[].high", here: "{}.cao"}
    """,
    "xml-a": """
        - {canonical: id, here: "@ma"}
        - {canonical: "parameter[].name", here: "d:ThongSo/d:{}"}
        - {canonical: "parameter[].value", here: "d:ThongSo/d:{}"}
        - {canonical: "sensor[].code", here: "{}"}
        - {canonical: "sensor[].low", here: "{}/@thap"}
        - {canonical: "sensor[].high", here: "{}/d:Cao"}
    """,
}


@pytest.fixture(scope="module")
def keyed() -> CompiledContract:
    return contract(KEYED, KEYED_ROWS, MA)


@LAWS
@given(data=st.data())
def test_keyed_entries_keep_the_laws(keyed: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(keyed, "Thing"))
    for number, each in enumerate(value.get("parameter", ())):
        if data.draw(st.booleans()):
            each["name"] = f"tên-{number}"
    laws(keyed, value)


def test_keyed_entries_by_hand(keyed: CompiledContract) -> None:
    raw = '{"ma":"1","thongSo":{"mực":"1","b":"2"},"2":{"thap":1},"1":{"thap":2,"cao":3}}'
    value = read(keyed, "json-a", raw.encode())
    assert value == {
        "id": "1", "parameter": [{"name": "mực", "value": "1"}, {"name": "b", "value": "2"}],
        "sensor": [{"code": "y", "low": 1}, {"code": "x", "low": 2, "high": 3}],
    }  # fmt: skip
    assert write(keyed, "json-a", value).decode() == raw
    assert write(keyed, "xml-a", value).decode() == (
        '<d:T xmlns:d="urn:d" ma="1"><d:ThongSo><d:mực>1</d:mực><d:b>2</d:b></d:ThongSo><y '
        'thap="1"></y><x thap="2"><d:Cao>3</d:Cao></x></d:T>'
    )
    assert read(keyed, "xml-a", write(keyed, "xml-a", value)) == value
    assert found(lambda: read(keyed, "json-a", b'{"ma":"1","3":{"thap":1},"thongSo":{"a":5}}')) == [
        ("{}[0]", "sensor[0].code", "code"),
        ("thongSo.{}[0]", "parameter[0].value", "type"),
    ]
    for name in ("hai lần", "ma"):
        value["parameter"] = [{"name": name, "value": ""}, {"name": name, "value": ""}]
        assert found(lambda: write(keyed, "json-a", value), "message.not-expressible")[0][1] == "parameter[].name"


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ('"sensor[].code", here: "{}"', '"sensor[].code", here: "{}.a"', 9, "table"),
        (
            '{canonical: "parameter[].value", here: "thongSo.{}"}',
            '{canonical: "parameter[].value", here: "thongSo.{}.x.{}"}',
            8,
            "table",
        ),
        (
            '{canonical: "parameter[].name", here: "thongSo.{}"}',
            '{canonical: "parameter[].name", here: "thongSo"}',
            7,
            "table",
        ),
    ],
)
def test_keyed_entries_out_of_form_are_refused(old: str, new: str, line: int, rule: str) -> None:
    assert old in KEYED_ROWS["json-a"]
    findings = refused_table(KEYED, {"json-a": KEYED_ROWS["json-a"].replace(old, new, 1)}, MA)
    assert rule in [each.rule for each in findings], findings
    assert line is None or findings


# --- expressions ------------------------------------------------------------------------------------------------------

MADE = schema(
    {"id": NAME, "title": {"type": "string"}, "total": {"type": "number"}, "first": NAME, "last": NAME}, "id", "first"
)
MADE_ROWS = {
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: first, here: ten.dau}
        - {canonical: last, here: ten.cuoi}
        - {canonical: title, jsonata: "$join([ten.dau, ten.cuoi], ' ')"}
        - {canonical: total, jsonata: "$length(ma) / 4"}
        - {here: tomTat, jsonata: "id & ': ' & first"}
    """,
    "xml-a": """
        - {canonical: id, here: "@ma"}
        - {canonical: first, here: d:Ten}
        - {canonical: last, here: d:Ho}
        - {canonical: title, jsonata: "`d:Ten` & '/' & `@ma`"}
        - {canonical: total, jsonata: "$count(*)"}
        - {here: d:DaiCa, jsonata: "$length(first)"}
    """,
}


@pytest.fixture(scope="module")
def made() -> CompiledContract:
    return contract(MADE, MADE_ROWS)


@LAWS
@given(data=st.data())
def test_expressions_leave_the_laws_of_the_other_rows(
    made: CompiledContract, values_of: Any, data: st.DataObject
) -> None:
    laws(made, data.draw(values_of(made, "Thing")))


def test_expressions_by_hand(made: CompiledContract) -> None:
    value = read(made, "json-a", '{"ma":"M12","ten":{"dau":"Cao","cuoi":"Bằng"},"tomTat":"bất kỳ"}'.encode())
    assert value == {"id": "M12", "first": "Cao", "last": "Bằng", "title": "Cao Bằng", "total": Decimal("0.75")}
    assert write(made, "json-a", value).decode() == '{"ma":"M12","ten":{"dau":"Cao","cuoi":"Bằng"},"tomTat":"M12: Cao"}'
    assert b"<d:DaiCa>3</d:DaiCa>" in write(made, "xml-a", value)
    assert read(made, "xml-a", b'<T xmlns="urn:d" ma="1"><Ten>n</Ten></T>')["title"] == "n/1"
    assert "title: one-way: made by an expression when it is read, not written" in made.codec("json-a").losses("Thing")


@pytest.mark.parametrize("expression", ["a.(", "$now()", "$random()", "$eval('1')"])
def test_expressions_that_cannot_be_used_are_refused(expression: str) -> None:
    rows = MADE_ROWS["json-a"].replace("$length(ma) / 4", expression)
    assert [(each.here, each.rule) for each in refused_table(MADE, {"json-a": rows})] == [
        ("systems/json-a.yaml:10", "expression")
    ]


def test_an_expression_that_fails_on_a_message_is_a_finding() -> None:
    compiled = contract(MADE, {"json-a": MADE_ROWS["json-a"].replace("$length(ma) / 4", "ma * 2")})
    assert found(lambda: read(compiled, "json-a", b'{"ma":"x","ten":{"dau":"a"}}')) == [("", "total", "expression")]
    compiled = contract(
        MADE, {"json-a": MADE_ROWS["json-a"].replace("$length(ma) / 4", "($f := function($x){$f($x + 1)}; $f(1))")}
    )
    assert found(lambda: read(compiled, "json-a", b'{"ma":"x","ten":{"dau":"a"}}')) == [("", "total", "expression")]


def test_an_empty_list_stands_in_an_object_that_only_a_joined_value_brings() -> None:
    """A joined value is set when the message is read; then its object must have its required lists."""
    group: dict[str, Any] = {
        "marks": {"type": "array", "minItems": 0, "items": {"$ref": "#/$defs/Mark"}},
        "at": {"type": "string"},
    }
    group["at"] |= {"format": "date-time"}
    thing = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "Thing": closed({"id": {"type": "string"}, "group": {"$ref": "#/$defs/Group"}}, "id"),
            "Group": closed(group, "marks", "at"),
            "Mark": closed({"k": {"type": "string"}, "v": {"type": "string"}}, "k", "v"),
        },
    }
    rows = """
      - {canonical: id, here: id}
      - {canonical: "group.marks[].k", here: "g.marks.{}"}
      - {canonical: "group.marks[].v", here: "g.marks.{}"}
      - {canonical: group.at, here: [g.day, g.hour], join: " ", as: "dd/MM/yyyy HH:mm:ss", zone: "+07:00"}
    """
    made = contract(json.dumps(thing), {"json-a": rows})
    assert laws(made, {"id": "1", "group": {"marks": [], "at": "2000-01-01T00:00:00+07:00"}}) == 1

"""Kinds of row that are more than one field in one place: units, conditions, split and join, keyed entries, expressions, codes in time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure, Finding, Theirs
from contracts.bundle import Bundle
from contracts.compiled import CompiledContract, compile_bundle
from contracts.wire.soap import parse_xml

NAME = {"type": "string", "minLength": 1, "maxLength": 20}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def schema(properties: dict[str, Any], *required: str) -> str:
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"Thing": closed(properties, *required)}})


CONTRACT = """
id: rows
version: 1.0.0
title: {vi: Dòng, en: Rows}
description: {vi: Dòng, en: Rows}
owner_role: centre
legal_basis: [none]
retention_months: 24
operations:
  putThing: {pattern: submit, method: POST, path: /things, request: Thing, answer: Thing, title: {vi: Gửi, en: Put}}
"""


def contract(thing: str, tables: dict[str, str], codes: dict[str, str] | None = None, more: str = "") -> CompiledContract:
    """A contract of one message; `tables` holds the rows of each format, the media first in its name."""
    files = {"contract.yaml": CONTRACT + more, "schema.json": thing}
    for name, rows in tables.items():
        media = name.partition("-")[0]
        head = 'namespaces: {d: "urn:d"}\n' if media == "xml" else ""
        root = "    root: d:T\n" if media == "xml" else ""
        lines = "".join(f"      {line.strip()}\n" for line in rows.strip().splitlines())
        files[f"systems/{name}.yaml"] = f"format: {media}\ntitle: {{vi: A, en: A}}\n{head}messages:\n  Thing:\n{root}    rows:\n{lines}"
    files.update({f"codes/{name}.csv": text for name, text in (codes or {}).items()})
    return compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))


def refused_table(*arguments: Any, **named: Any) -> list[Finding]:
    with pytest.raises(Theirs) as caught:
        contract(*arguments, **named)
    assert caught.value.code == "contract.invalid"
    return list(caught.value.findings)


def write(compiled: CompiledContract, name: str, value: Any) -> bytes:
    codec = compiled.codec(name)
    return codec.write_json("Thing", value) if codec.media == "json" else codec.write_xml("Thing", value)


def read(compiled: CompiledContract, name: str, raw: bytes, at: float | None = None) -> Any:
    codec = compiled.codec(name)
    return codec.read_json("Thing", raw, at) if codec.media == "json" else codec.read_xml("Thing", parse_xml(raw), at)


def found(work: Any, code: str = "message.invalid") -> list[tuple[str, str, str]]:
    with pytest.raises(Theirs) as caught:
        work()
    assert caught.value.code == code, caught.value
    return [(each.here, each.canonical, each.rule) for each in caught.value.findings]


LAWS = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def laws(compiled: CompiledContract, value: Any) -> int:
    """decode(encode(c)) = normal(c), and what came back goes through unchanged; how many formats could carry the value."""
    assert compiled.validate("Thing", value) == []
    carried = 0
    for name, codec in compiled.formats.items():
        if "Thing" not in codec.mapped:
            continue
        try:
            written = write(compiled, name, value)
        except Failure as failure:
            assert failure.code == "message.not-expressible" and failure.findings
            continue
        if codec.media == "xml":
            assert etree.tostring(parse_xml(written), method="c14n", exclusive=True) == written
        back = read(compiled, name, written)
        assert back == codec.normal("Thing", value)
        assert read(compiled, name, write(compiled, name, back)) == back
        carried += 1
    return carried


# --- units ----------------------------------------------------------------------------------------------------------------

UNITS = schema({"id": NAME, "level": {"type": "number"}, "count": {"type": "integer"}, "heat": {"type": "number"}}, "id")
UNIT_ROWS = {
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: level, here: mucNuoc, unit: {factor: "0.01"}}
        - {canonical: count, here: nghin, unit: {factor: 1000}}
        - {canonical: heat, here: nhiet, as: text, unit: {factor: "1", offset: "-273.15"}}
    """,
    "xml-a": """
        - {canonical: id, here: d:Ma}
        - {canonical: level, here: d:Muc/@cm, as: decimal-comma, unit: {factor: "0.01"}}
        - {canonical: count, here: d:Nghin, unit: {factor: 1000}}
        - {canonical: heat, here: d:Nhiet, unit: {factor: "1.6", offset: "-32"}}
    """,
}


@pytest.fixture(scope="module")
def units() -> CompiledContract:
    return contract(UNITS, UNIT_ROWS)


@LAWS
@given(data=st.data())
def test_units_are_exact_both_ways(units: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(units, "Thing"))
    carried = laws(units, value)
    assert carried == 2 or max(len(format(Decimal(value.get(key, 0)), "f")) for key in ("level", "count", "heat")) > 100


def test_a_unit_by_hand(units: CompiledContract) -> None:
    value = read(units, "json-a", b'{"ma":"x","mucNuoc":152.5,"nghin":12.345,"nhiet":"300.15"}')
    assert value == {"id": "x", "level": Decimal("1.525"), "count": 12345, "heat": Decimal("27")}
    assert type(value["count"]) is int and str(value["level"]) == "1.525"
    assert write(units, "json-a", value) == b'{"ma":"x","mucNuoc":152.5,"nghin":12.345,"nhiet":"300.15"}'
    assert '<d:Muc cm="152,5">' in write(units, "xml-a", value).decode()
    assert found(lambda: read(units, "json-a", b'{"ma":"x","nghin":0.0001}')) == [("nghin", "count", "type")]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ('{factor: "3"}', "way back is exact"),
        ('{factor: "0"}', "way back is exact"),
        ("{factor: 0.1}", None),
        ('{factor: "1e3"}', "between quotes"),
        ("{}", "between quotes"),
        ('{faktor: "1"}', "between quotes"),
    ],
)
def test_a_unit_without_an_exact_way_back_is_refused(unit: str, expected: str | None) -> None:
    rows = {"json-a": UNIT_ROWS["json-a"].replace('{factor: "0.01"}', unit)}
    if expected is None:  # YAML's own number is kept as the text that stands there
        assert contract(UNITS, rows)
        return
    findings = refused_table(UNITS, rows)
    assert [(each.here, each.rule) for each in findings] == [("systems/json-a.yaml:7", "unit")] and expected in findings[0].expected


# --- conditions -----------------------------------------------------------------------------------------------------------

KIND = {"type": "string", "enum": ["a", "b", "c"]}
WHEN = schema(
    {
        "kind": KIND,
        "note": NAME,
        "code": {"type": "string", "enum": ["x", "y"]},
        "size": {"type": "integer", "absentable": True},
        "deep": {"type": "boolean"},
        "items": {
            "type": "array",
            "minItems": 1,
            "items": closed({"no": {"type": "integer"}, "own": {"type": "boolean"}, "text": NAME, "mark": NAME}, "no", "own", "text"),
        },
    },
    "kind",
    "code",
    "deep",
)
WHEN_ROWS = {
    "json-a": """
        - {canonical: kind, here: loai}
        - {canonical: note, here: chung, when: {canonical: kind, is: [a]}, default: "không"}
        - {canonical: size, here: chung, when: {canonical: kind, is: [b]}, absent: {unknown: KR}}
        - {canonical: code, here: ma, codes: ma, when: {canonical: kind, is: [a, b]}}
        - {canonical: code, constant: y, when: {canonical: kind, is: [c]}}
        - {canonical: deep, here: sau}
        - {here: co, constant: 7, when: {canonical: deep, is: [true]}}
        - {canonical: "items[].no", here: "ds[].so"}
        - {canonical: "items[].own", here: "ds[].rieng"}
        - {canonical: "items[].text", here: "ds[].chuA", when: {canonical: kind, is: [a]}}
        - {canonical: "items[].text", here: "ds[].chuB", when: {canonical: kind, is: [b, c]}}
        - {canonical: "items[].mark", here: "ds[].dau", when: {canonical: "items[].own", is: [true]}, default: M}
    """,
    "xml-a": """
        - {canonical: kind, here: d:Cuoi/@loai}
        - {canonical: note, here: d:Chung, when: {canonical: kind, is: [a]}}
        - {canonical: size, here: d:Chung, when: {canonical: kind, is: [b, c]}, absent: {unknown: KR, partial: MP, none: KC, not-permitted: KP}}
        - {canonical: code, here: "@ma", codes: ma, when: {canonical: kind, is: [a]}}
        - {canonical: code, here: "@ma", when: {canonical: kind, is: [b, c]}}
        - {canonical: deep, here: d:Sau}
        - {canonical: "items[].no", here: "d:Ds[]/@so"}
        - {canonical: "items[].own", here: "d:Ds[]/@rieng"}
        - {canonical: "items[].text", here: "d:Ds[]/d:Chu"}
        - {canonical: "items[].mark", here: "d:Ds[]/d:Dau", when: {canonical: kind, is: [a, b]}}
    """,
}
MA = {"ma": "code,canonical,vi,en,valid_from,valid_until,replaced_by\n1,x,X,X,,,\n2,y,Y,Y,,,\n"}


@pytest.fixture(scope="module")
def whens() -> CompiledContract:
    return contract(WHEN, WHEN_ROWS, MA)


@LAWS
@given(data=st.data())
def test_conditions_keep_the_laws(whens: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    laws(whens, data.draw(values_of(whens, "Thing")))


def test_conditions_by_hand(whens: CompiledContract) -> None:
    value = read(whens, "json-a", b'{"chung":5,"ma":"2","ds":[{"so":1,"chuB":"t","rieng":true}],"sau":true,"co":7,"loai":"b"}')
    assert value == {
        "kind": "b", "size": 5, "code": "y", "deep": True, "items": [{"no": 1, "own": True, "text": "t", "mark": "M"}],
    }  # fmt: skip
    assert (
        write(whens, "json-a", value)
        == b'{"loai":"b","chung":5,"ma":"2","sau":true,"co":7,"ds":[{"so":1,"rieng":true,"chuB":"t","dau":"M"}]}'
    )
    assert write(whens, "xml-a", value) == (
        b'<d:T xmlns:d="urn:d" ma="y"><d:Cuoi loai="b"></d:Cuoi><d:Chung>5</d:Chung><d:Sau>true</d:Sau>'
        b'<d:Ds rieng="true" so="1"><d:Chu>t</d:Chu><d:Dau>M</d:Dau></d:Ds></d:T>'
    )
    assert found(lambda: read(whens, "json-a", b'{"chung":"c","loai":"c","sau":false,"co":7}')) == [
        ("chung", "", "condition"),
        ("co", "", "condition"),
    ]
    assert found(
        lambda: read(whens, "json-a", b'{"loai":"a","ma":"1","sau":false,"chung":"","ds":[{"so":1,"rieng":false,"chuB":"t"}]}')
    ) == [
        ("ds[0].chuB", "", "condition"),
        ("ds[0].chuB", "items[0].text", "required"),
        ("chung", "note", "length"),
    ]
    value["note"] = "của a"
    assert found(lambda: write(whens, "json-a", value), "message.not-expressible") == [("", "note", "condition")]


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("kind, is: [b]}, absent", "kind, is: [a, b]}, absent", 8, "overlap"),
        ("when: {canonical: kind, is: [b]}, absent", "absent", 8, "overlap"),
        ("code, constant: y, when: {canonical: kind, is: [c]}", "code, constant: y, when: {canonical: kind, is: [b, c]}", 10, "overlap"),
        ("is: [b, c]}}", "is: [b]}}", 16, "required"),
        ("kind, is: [a]}, default", "kind, is: [z]}, default", 7, "when"),
        ("note, here: chung, when: {canonical: kind, is", 'note, here: chung, when: {canonical: "items[].own", is', 7, "when"),
        ("note, here: chung, when: {canonical: kind, is: [a]}", "note, here: chung, when: [a]", 7, "when"),
    ],
)
def test_conditions_that_break_the_laws_are_refused(old: str, new: str, line: int, rule: str) -> None:
    assert old in WHEN_ROWS["json-a"]
    findings = refused_table(WHEN, {"json-a": WHEN_ROWS["json-a"].replace(old, new, 1)}, MA)
    assert (f"systems/json-a.yaml:{line}", rule) in [(each.here, each.rule) for each in findings], findings


# --- split and join -------------------------------------------------------------------------------------------------------

PARTS = schema(
    {
        "street": {"type": "string", "maxLength": 12},
        "ward": NAME,
        "no": {"type": "integer"},
        "sent": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "enum": ["x", "y"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}},
        "nos": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
        "at": {"type": "array", "items": closed({"x": {"type": "number"}, "y": {"type": "number"}}, "x", "y")},
    },
    "street",
    "tags",
    "at",
)
PART_ROWS = {
    "json-a": """
        - {canonical: [street, ward, "no"], here: diaChi, split: ", "}
        - {canonical: sent, here: [ngay, gio], join: " ", as: "dd/MM/yyyy HH:mm:ss", zone: "+07:00"}
        - {canonical: code, here: [nhom, so], join: "-", codes: ma, default: x}
        - {canonical: "tags[]", here: the, split: ";"}
        - {canonical: "nos[]", here: so_s, split: " "}
        - {canonical: ["at[].x", "at[].y"], here: "diem[].toaDo", split: ","}
    """,
    "xml-a": """
        - {canonical: [street, ward, "no"], here: d:DiaChi, split: "|"}
        - {canonical: sent, here: [d:Gui/@ngay, d:Gui/d:Gio], join: "T", as: datetime, zone: "+07:00"}
        - {canonical: code, here: ["@nhom", "d:So"], join: "-", codes: ma}
        - {canonical: "tags[]", here: d:The, split: ";"}
        - {canonical: "nos[]", here: "@so", split: " "}
        - {canonical: ["at[].x", "at[].y"], here: "d:Diem[]/@toaDo", split: ","}
    """,
}
NHOM = {"ma": "code,canonical,vi,en,valid_from,valid_until,replaced_by\nA-1,x,X,X,,,\nB-2,y,Y,Y,,,\n"}


@pytest.fixture(scope="module")
def parts() -> CompiledContract:
    return contract(PARTS, PART_ROWS, NHOM)


@LAWS
@given(data=st.data())
def test_split_and_join_keep_the_laws(parts: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(parts, "Thing"))
    if data.draw(st.booleans()):  # texts that nearly hold a separator
        value["street"] = data.draw(st.text(", |;", max_size=6))
        value["tags"] = data.draw(st.lists(st.text("a;", max_size=2), max_size=3))
    laws(parts, value)


def test_split_and_join_by_hand(parts: CompiledContract) -> None:
    raw = '{"diaChi":"12 Kim Đồng, , 7","ngay":"24/11/2026","gio":"07:30:00","nhom":"B","so":"2","the":"a;","so_s":"1 20","diem":[{"toaDo":"1.50,-2"}]}'
    value = read(parts, "json-a", raw.encode())
    assert value == {
        "street": "12 Kim Đồng", "no": 7, "sent": "2026-11-24T07:30:00+07:00", "code": "y", "tags": ["a", ""], "nos": [1, 20],
        "at": [{"x": Decimal("1.50"), "y": Decimal(-2)}],
    }  # fmt: skip
    assert write(parts, "json-a", value).decode() == raw
    assert found(lambda: read(parts, "json-a", b'{"diaChi":"a, b","ngay":"24/11/2026","the":1,"so_s":"1 x","diem":[{"toaDo":"1"}]}')) == [
        ("diaChi", "street", "format"),
        ("the", "tags", "type"),
        ("so_s", "nos[1]", "type"),
        ("diem[0].toaDo", "at[0].x", "format"),
        ("gio", "sent", "required"),
        ("diem[0].toaDo", "at[0].y", "required"),
    ]
    value["ward"] = "Thục Phán, Cao Bằng"
    assert found(lambda: write(parts, "json-a", value), "message.not-expressible") == [("diaChi", "street", "format")]


# --- keyed entries --------------------------------------------------------------------------------------------------------

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
                {"code": {"type": "string", "enum": ["x", "y"]}, "low": {"type": "number"}, "high": {"type": "number"}}, "code", "low"
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
        '<d:T xmlns:d="urn:d" ma="1"><d:ThongSo><d:mực>1</d:mực><d:b>2</d:b></d:ThongSo><y thap="1"></y><x thap="2"><d:Cao>3</d:Cao></x></d:T>'
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
        ('{canonical: "parameter[].value", here: "thongSo.{}"}', '{canonical: "parameter[].value", here: "thongSo.{}.x.{}"}', 8, "table"),
        ('{canonical: "parameter[].name", here: "thongSo.{}"}', '{canonical: "parameter[].name", here: "thongSo"}', 7, "table"),
    ],
)
def test_keyed_entries_out_of_form_are_refused(old: str, new: str, line: int, rule: str) -> None:
    assert old in KEYED_ROWS["json-a"]
    findings = refused_table(KEYED, {"json-a": KEYED_ROWS["json-a"].replace(old, new, 1)}, MA)
    assert rule in [each.rule for each in findings], findings
    assert line is None or findings


# --- expressions ----------------------------------------------------------------------------------------------------------

MADE = schema({"id": NAME, "title": {"type": "string"}, "total": {"type": "number"}, "first": NAME, "last": NAME}, "id", "first")
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
def test_expressions_leave_the_laws_of_the_other_rows(made: CompiledContract, values_of: Any, data: st.DataObject) -> None:
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
    assert [(each.here, each.rule) for each in refused_table(MADE, {"json-a": rows})] == [("systems/json-a.yaml:10", "expression")]


def test_an_expression_that_fails_on_a_message_is_a_finding() -> None:
    compiled = contract(MADE, {"json-a": MADE_ROWS["json-a"].replace("$length(ma) / 4", "ma * 2")})
    assert found(lambda: read(compiled, "json-a", b'{"ma":"x","ten":{"dau":"a"}}')) == [("", "total", "expression")]
    compiled = contract(MADE, {"json-a": MADE_ROWS["json-a"].replace("$length(ma) / 4", "($f := function($x){$f($x + 1)}; $f(1))")})
    assert found(lambda: read(compiled, "json-a", b'{"ma":"x","ten":{"dau":"a"}}')) == [("", "total", "expression")]


# --- codes in time --------------------------------------------------------------------------------------------------------

DATED = schema(
    {
        "on": {"type": "string", "format": "date-time"},
        "ward": {"type": "string", "codes": "ward"},
        "office": {"type": "string", "enum": ["h1", "h2"]},
        "also": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["h1", "h2"]}},
        "to": {"type": "array", "minItems": 1, "items": closed({"office": {"type": "string", "enum": ["h1", "h2"]}}, "office")},
    },
    "ward",
    "office",
)
DATED_CODES = {
    "ward": "code,vi,en,valid_from,valid_until,replaced_by\n001,Cũ,Old,2000-01-01,2025-06-30,101\n101,Mới,New,2025-07-01,,\n",
    "so": "code,canonical,vi,en,valid_from,valid_until,replaced_by\n"
    "1,h1,Cũ,Old,2000-01-01,2025-06-30,10\n10,h1,Mới,New,2025-07-01,,\n2,h2,Hai,Two,2000-01-01,,\n",
}
DATED_ROWS = {
    "json-a": """
        - {canonical: "on", here: luc}
        - {canonical: ward, here: xa}
        - {canonical: office, here: so, as: integer, codes: so}
        - {canonical: "also[]", here: "ds[]", codes: so}
        - {canonical: "to[].office", here: "den[].so", codes: so}
    """,
    "xml-a": """
        - {canonical: "on", here: "@luc"}
        - {canonical: ward, here: d:Xa}
        - {canonical: office, here: d:So, codes: so}
        - {canonical: "also[]", here: "d:Ds[]", codes: so}
        - {canonical: "to[].office", here: "d:Den[]/@so", codes: so}
    """,
}


@pytest.fixture(scope="module")
def in_time() -> CompiledContract:
    return contract(DATED, DATED_ROWS, DATED_CODES, 'codes_at: "on"\n')


@LAWS
@given(data=st.data())
def test_codes_in_time_keep_the_laws(in_time: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(in_time, "Thing"))
    if "on" in value:
        value["on"] = data.draw(st.sampled_from(["2024-05-01T00:00:00Z", "2025-06-30T23:59:59+07:00", "2025-07-01T00:00:00+07:00"]))
    if in_time.validate("Thing", value) == []:
        laws(in_time, value)


def test_a_code_that_has_ended_is_refused_and_its_successor_named(in_time: CompiledContract) -> None:
    late = b'{"luc":"2026-01-01T00:00:00+07:00","xa":"001","so":1,"ds":["1","10"],"den":[{"so":"2"},{"so":"1"}]}'
    with pytest.raises(Theirs) as caught:
        read(in_time, "json-a", late)
    assert [(each.here, each.rule) for each in caught.value.findings] == [("so", "code"), ("ds[0]", "code"), ("den[1].so", "code")]
    assert caught.value.findings[0].expected == "10, its successor; this code ended on 2025-06-30"
    right = late.replace(b'"so":1,', b'"so":10,').replace(b'"1","10"', b'"10"').replace(b'{"so":"1"}', b'{"so":"10"}')
    with pytest.raises(Theirs) as caught:
        read(in_time, "json-a", right)
    assert [(each.here, each.canonical, each.expected[:3]) for each in caught.value.findings] == [("xa", "ward", "101")]
    early = late.replace(b"2026-01-01", b"2024-01-01").replace(b'"1","10"', b'"2"')
    value = read(in_time, "json-a", early)
    assert value["office"] == "h1" and write(in_time, "json-a", value).count(b'"so":1,') == 1
    # Without a time of its own, the message is of the day on which it is received; where none is told, none is asked for.
    bare = b'{"xa":"001","so":1}'
    assert read(in_time, "json-a", bare) == {"ward": "001", "office": "h1"}
    assert found(lambda: read(in_time, "json-a", bare, 1_767_200_000.0)) == [("so", "office", "code")]
    assert read(in_time, "json-a", bare, 1_704_067_200.0)["office"] == "h1"
    canonical = in_time.codec("canonical")
    assert found(lambda: canonical.read_json("Thing", b'{"ward":"001","office":"h1"}', 1_767_200_000.0)) == [("ward", "ward", "code")]
    # 2025-07-01 begins in Vietnam at 17:00 of the day before.
    assert canonical.read_json("Thing", b'{"ward":"001","office":"h1"}', 1_751_302_799.0)
    assert found(lambda: canonical.read_json("Thing", b'{"ward":"001","office":"h1"}', 1_751_302_800.0))

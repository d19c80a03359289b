"""Units, conditions, split and join: rows that say how values are written, or when, or several in one place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, MA, NAME, closed, contract, found, laws, read, refused_table, schema, write

# --- units ------------------------------------------------------------------------------------------------------------

UNITS = schema(
    {"id": NAME, "level": {"type": "number"}, "count": {"type": "integer"}, "heat": {"type": "number"}}, "id"
)
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
    assert [(each.here, each.rule) for each in findings] == [
        ("systems/json-a.yaml:7", "unsupported" if "way back" in expected else "unit")
    ] and expected in findings[0].expected


# --- conditions -------------------------------------------------------------------------------------------------------

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
            "items": closed(
                {"no": {"type": "integer"}, "own": {"type": "boolean"}, "text": NAME, "mark": NAME}, "no", "own", "text"
            ),
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
    """,  # noqa: E501
}


@pytest.fixture(scope="module")
def whens() -> CompiledContract:
    return contract(WHEN, WHEN_ROWS, MA)


@LAWS
@given(data=st.data())
def test_conditions_keep_the_laws(whens: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    laws(whens, data.draw(values_of(whens, "Thing")))


def test_conditions_by_hand(whens: CompiledContract) -> None:
    value = read(
        whens, "json-a", b'{"chung":5,"ma":"2","ds":[{"so":1,"chuB":"t","rieng":true}],"sau":true,"co":7,"loai":"b"}'
    )
    assert value == {
        "kind": "b",
        "size": 5,
        "code": "y",
        "deep": True,
        "items": [{"no": 1, "own": True, "text": "t", "mark": "M"}],
    }
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
        lambda: read(
            whens, "json-a", b'{"loai":"a","ma":"1","sau":false,"chung":"","ds":[{"so":1,"rieng":false,"chuB":"t"}]}'
        )
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
        (
            "code, constant: y, when: {canonical: kind, is: [c]}",
            "code, constant: y, when: {canonical: kind, is: [b, c]}",
            10,
            "overlap",
        ),
        ("is: [b, c]}}", "is: [b]}}", 16, "required"),
        ("kind, is: [a]}, default", "kind, is: [z]}, default", 7, "when"),
        (
            "note, here: chung, when: {canonical: kind, is",
            'note, here: chung, when: {canonical: "items[].own", is',
            7,
            "when",
        ),
        ("note, here: chung, when: {canonical: kind, is: [a]}", "note, here: chung, when: [a]", 7, "when"),
    ],
)
def test_conditions_that_break_the_laws_are_refused(old: str, new: str, line: int, rule: str) -> None:
    assert old in WHEN_ROWS["json-a"]
    findings = refused_table(WHEN, {"json-a": WHEN_ROWS["json-a"].replace(old, new, 1)}, MA)
    assert (f"systems/json-a.yaml:{line}", rule) in [(each.here, each.rule) for each in findings], findings


# --- split and join ---------------------------------------------------------------------------------------------------

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
    raw = (
        '{"diaChi":"12 Kim Đồng, , '
        '7","ngay":"24/11/2026","gio":"07:30:00","nhom":"B","so":"2","the":"a;","so_s":"1 '
        '20","diem":[{"toaDo":"1.50,-2"}]}'
    )
    value = read(parts, "json-a", raw.encode())
    assert value == {
        "street": "12 Kim Đồng",
        "no": 7,
        "sent": "2026-11-24T07:30:00+07:00",
        "code": "y",
        "tags": ["a", ""],
        "nos": [1, 20],
        "at": [{"x": Decimal("1.50"), "y": Decimal(-2)}],
    }
    assert write(parts, "json-a", value).decode() == raw
    assert found(
        lambda: read(
            parts, "json-a", b'{"diaChi":"a, b","ngay":"24/11/2026","the":1,"so_s":"1 x","diem":[{"toaDo":"1"}]}'
        )
    ) == [
        ("diaChi", "street", "format"),
        ("the", "tags", "type"),
        ("so_s", "nos[1]", "type"),
        ("diem[0].toaDo", "at[0].x", "format"),
        ("gio", "sent", "required"),
        ("diem[0].toaDo", "at[0].y", "required"),
    ]
    value["ward"] = "Thục Phán, Cao Bằng"
    assert found(lambda: write(parts, "json-a", value), "message.not-expressible") == [("diaChi", "street", "format")]

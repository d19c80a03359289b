"""Lists that are no members: a message that is a list, lists in lists, places in a list; constants in a list."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, NAME, closed, contract, found, laws, read, refused_table, schema, write

NUMBER = {"type": "number"}


def many(items: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": items} | ({"minItems": least} if least else {})


# --- a message that is a list -----------------------------------------------------------------------------------------

READINGS = schema({"readings": many(closed({"at": NAME, "value": NUMBER, "notes": many(NAME)}, "at")), "kind": NAME})
READING_ROWS = {
    "json-a": """
        - {canonical: "readings[].at", here: "[].luc"}
        - {canonical: "readings[].value", here: "[].giaTri"}
        - {canonical: "readings[].notes[]", here: "[].ghiChu[]"}
        - {here: "[].loai", constant: Property}
        - {canonical: kind, constant: nuoc}
    """
}


@pytest.fixture(scope="module")
def readings() -> CompiledContract:
    return contract(READINGS, READING_ROWS)


@LAWS
@given(data=st.data())
def test_a_message_that_is_a_list(readings: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(readings, "Thing")) | {"kind": "nuoc"}
    assert laws(readings, value) == 1
    assert json.loads(write(readings, "json-a", value)).__class__ is list


def test_such_a_message_by_hand(readings: CompiledContract) -> None:
    raw = b'[{"luc":"a","giaTri":1.5,"loai":"Property"},{"luc":"b","ghiChu":["x"],"loai":"Property"}]'
    value = read(readings, "json-a", raw)
    assert value == {
        "readings": [{"at": "a", "value": Decimal("1.5")}, {"at": "b", "notes": ["x"]}],
        "kind": "nuoc",
    }
    assert write(readings, "json-a", value) == raw
    assert read(readings, "json-a", b"[]") == {"kind": "nuoc"} and write(readings, "json-a", {"kind": "nuoc"}) == b"[]"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{}", [("", "readings", "type")]),
        (b'[{"luc":"a","loai":"Other"}]', [("[0].loai", "", "constant")]),
        (b'[{"luc":"a"}]', [("[0].loai", "", "required")]),
        (b'[{"luc":"a","loai":"Property"},{"loai":"Property"}]', [("[1].luc", "readings[1].at", "required")]),
        (b'[{"luc":"a","loai":"Property","la":1}]', [("[0].la", "", "unknown")]),
        (b"[[]]", [("[0]", "readings[0]", "type")]),
    ],
)
def test_what_such_a_message_may_not_be(
    readings: CompiledContract, raw: bytes, expected: list[tuple[str, str, str]]
) -> None:
    assert found(lambda: read(readings, "json-a", raw)) == expected


# --- places in a list, lists in lists: GeoJSON ------------------------------------------------------------------------

POINT = closed({"long": NUMBER, "lat": NUMBER, "height": NUMBER}, "long", "lat")
SHAPE = schema(
    {
        "name": NAME,
        "centre": POINT,
        "rings": many(closed({"points": many(POINT)}, "points")),
        "row": many(closed({"no": {"type": "integer"}}, "no"), 0),
    },
    "name",
    "row",
)
SHAPE_ROWS = {
    "json-a": """
        - {canonical: name, here: ten}
        - {canonical: centre.long, here: "tam.coordinates[0]"}
        - {canonical: centre.lat, here: "tam.coordinates[1]"}
        - {canonical: centre.height, here: "tam.coordinates[2]"}
        - {here: tam.type, constant: Point}
        - {canonical: "rings[].points[].long", here: "vung.coordinates[][][0]"}
        - {canonical: "rings[].points[].lat", here: "vung.coordinates[][][1]"}
        - {canonical: "rings[].points[].height", here: "vung.coordinates[][][2]"}
        - {here: vung.type, constant: Polygon}
        - {canonical: "row[].no", here: "day[][0]"}
    """
}


@pytest.fixture(scope="module")
def shape() -> CompiledContract:
    return contract(SHAPE, SHAPE_ROWS)


@LAWS
@given(data=st.data())
def test_places_and_lists_in_lists(shape: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    assert laws(shape, data.draw(values_of(shape, "Thing"))) == 1


def test_geojson_by_hand(shape: CompiledContract) -> None:
    raw = (
        b'{"ten":"x","tam":{"coordinates":[106.25,22.66],"type":"Point"},'
        b'"vung":{"coordinates":[[[1,2],[3,4,5]],[[6,7]]],"type":"Polygon"},"day":[[1],[2]]}'
    )
    value = read(shape, "json-a", raw)
    assert value == {
        "name": "x",
        "centre": {"long": Decimal("106.25"), "lat": Decimal("22.66")},
        "rings": [
            {"points": [{"long": 1, "lat": 2}, {"long": 3, "lat": 4, "height": 5}]},
            {"points": [{"long": 6, "lat": 7}]},
        ],
        "row": [{"no": 1}, {"no": 2}],
    }
    assert write(shape, "json-a", value) == raw


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (b'"tam":{"coordinates":[1,2,3,4],"type":"Point"}', [("tam.coordinates", "", "length")]),
        (b'"tam":{"coordinates":{},"type":"Point"}', [("tam.coordinates", "", "type")]),
        (b'"tam":{"coordinates":[1,"2"],"type":"Point"}', [("tam.coordinates[1]", "centre.lat", "type")]),
        (b'"tam":{"coordinates":[1,null],"type":"Point"}', [("tam.coordinates[1]", "centre.lat", "type")]),
        (b'"tam":{"coordinates":[1],"type":"Point"}', [("tam.coordinates[1]", "centre.lat", "required")]),
        (
            b'"vung":{"coordinates":[[[1,2],[3,true]]],"type":"Polygon"}',
            [("vung.coordinates[0][1][1]", "rings[0].points[1].lat", "type")],
        ),
        (b'"vung":{"coordinates":[{}],"type":"Polygon"}', [("vung.coordinates[0]", "rings[0].points", "type")]),
    ],
)
def test_what_geojson_may_not_be(shape: CompiledContract, part: bytes, expected: list[tuple[str, str, str]]) -> None:
    assert found(lambda: read(shape, "json-a", b'{"ten":"x","day":[],' + part + b"}")) == expected


def test_a_gap_between_places_cannot_be_written() -> None:
    compiled = contract(
        schema({"a": NUMBER, "b": NUMBER}), {"json-a": '- {canonical: a, here: "p[0]"}\n- {canonical: b, here: "p[1]"}'}
    )
    assert write(compiled, "json-a", {"a": 1}) == b'{"p":[1]}' and write(compiled, "json-a", {}) == b"{}"
    wrong = found(lambda: write(compiled, "json-a", {"b": 1}), "message.not-expressible")
    assert wrong == [("p", "a", "required")]


def test_an_ignored_place_at_the_end_is_read_over() -> None:
    table = '- {canonical: a, here: "p[0]"}\n    ignores: ["p[1]"]'
    compiled = contract(schema({"a": NUMBER}, "a"), {"json-a": table})
    assert read(compiled, "json-a", b'{"p":[1,{"x":[]}]}') == read(compiled, "json-a", b'{"p":[1]}') == {"a": 1}
    assert write(compiled, "json-a", {"a": 1}) == b'{"p":[1]}'


@pytest.mark.parametrize(
    ("rows", "got"),
    [
        ('- {canonical: a, here: "p[1]"}\n- {canonical: b, here: q}', "places that no row names"),
        ('- {canonical: a, here: "p[0]"}\n- {canonical: b, here: p.q}', "a list and something else in one place"),
        ('- {canonical: a, here: "p[0]"}\n- {canonical: b, here: "p[0]"}', "a place bound twice"),
        ('- {canonical: a, here: "p[00]"}\n- {canonical: b, here: q}', "a path out of form"),
        (
            '- {canonical: a, here: "p[1]"}\n- {canonical: b, here: q}\n    ignores: ["p[0]"]',
            "an ignored place before a mapped one",
        ),
        ('- {canonical: a, here: "[0]"}\n- {canonical: b, here: q}', "a list and something else in one place"),
        (
            '- {canonical: a, here: p}\n- {canonical: b, here: q}\n- {here: "r[].s", constant: x}',
            "a constant in a list that no row fills",
        ),
        ('- {canonical: a, here: "[]"}\n- {canonical: b, here: q}', "another number of []"),
    ],
)
def test_what_a_table_may_not_say(rows: str, got: str) -> None:
    assert got in [each.got for each in refused_table(schema({"a": NUMBER, "b": NUMBER}), {"json-a": rows})]


# --- constants in a list ----------------------------------------------------------------------------------------------

ITEMS = schema({"items": many(closed({"name": NAME, "parts": many(closed({"no": NAME}, "no"))}, "name"))}, "items")
ITEM_ROWS = {
    "json-a": """
        - {canonical: "items[].name", here: "ds[].ten.value"}
        - {here: "ds[].ten.type", constant: Property}
        - {canonical: "items[].parts[].no", here: "ds[].phan[].so"}
        - {here: "ds[].phan[].loai", constant: 7}
    """,
    "xml-a": """
        - {canonical: "items[].name", here: "d:Muc[]/d:Ten"}
        - {here: "d:Muc[]/@loai", constant: SERVICE}
        - {canonical: "items[].parts[].no", here: "d:Muc[]/d:Phan[]/d:So"}
        - {here: "d:Muc[]/d:Phan[]/d:Loai", constant: x}
    """,
}


@LAWS
@given(data=st.data())
def test_constants_in_lists(values_of: Any, data: st.DataObject) -> None:
    compiled = contract(ITEMS, ITEM_ROWS)
    value = data.draw(values_of(compiled, "Thing"))
    assert laws(compiled, value) == 2
    for each in json.loads(write(compiled, "json-a", value))["ds"]:
        assert each["ten"]["type"] == "Property" and all(part["loai"] == 7 for part in each.get("phan", ()))


# --- what is ignored and repeats --------------------------------------------------------------------------------------


def test_an_ignored_element_may_repeat_where_the_table_says_so() -> None:
    table = "- {canonical: a, here: d:A}\n    ignores: [IGNORED]"
    twice = b'<d:T xmlns:d="urn:d"><d:K/><d:A>1</d:A><d:K><d:X/></d:K></d:T>'
    thing = schema({"a": NUMBER}, "a")
    once, many_ = (contract(thing, {"xml": table.replace("IGNORED", each)}) for each in ("d:K", '"d:K[]"'))
    assert read(many_, "xml", twice) == {"a": 1}
    assert [each[2] for each in found(lambda: read(once, "xml", twice))] == ["repeated"]


# --- presence ---------------------------------------------------------------------------------------------------------

FLAGS = schema(
    {"a": {"type": "boolean"}, "b": {"type": "boolean"}, "in": closed({"c": {"type": "boolean"}, "d": NAME}, "d")}, "a"
)
FLAG_ROWS = {
    "xml-a": """
        - {canonical: a, here: d:Co, presence: true}
        - {canonical: b, here: d:Them/d:Hai, presence: true}
        - {canonical: in.c, here: d:Trong/d:Ba, presence: true}
        - {canonical: in.d, here: d:Trong/d:Ten}
    """
}


@LAWS
@given(data=st.data())
def test_presence_of_an_empty_element(values_of: Any, data: st.DataObject) -> None:
    compiled = contract(FLAGS, FLAG_ROWS)
    assert laws(compiled, data.draw(values_of(compiled, "Thing"))) == 1


def test_presence_by_hand() -> None:
    compiled = contract(FLAGS, FLAG_ROWS)
    assert read(compiled, "xml-a", b'<d:T xmlns:d="urn:d"><d:Co/></d:T>') == {"a": True, "b": False}
    assert read(compiled, "xml-a", b'<d:T xmlns:d="urn:d"/>') == {"a": False, "b": False}
    assert write(compiled, "xml-a", {"a": False}) == b'<d:T xmlns:d="urn:d"></d:T>'
    assert found(lambda: read(compiled, "xml-a", b'<d:T xmlns:d="urn:d"><d:Co>1</d:Co></d:T>')) == [
        ("d:T/d:Co", "a", "type")
    ]
    assert compiled.codec("xml-a").losses("Thing")


@pytest.mark.parametrize(
    "row",
    [
        "{canonical: a, here: '@co', presence: true}",
        "{canonical: a, here: d:A, presence: false}",
        "{canonical: a, here: d:A, presence: true, default: true}",
        "{canonical: in.d, here: d:A, presence: true}",
    ],
)
def test_presence_that_cannot_be(row: str) -> None:
    assert any(each.got.startswith("presence") for each in refused_table(FLAGS, {"xml-a": f"- {row}"}))

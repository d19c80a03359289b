"""Null and xsi:nil as items of lists, in places of a list, and in place of a group."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import (
    LAWS,
    NAME,
    closed,
    contract,
    face,
    found,
    laws,
    read,
    refused_table,
    schema,
    write,
)

UNIT = closed({"name": NAME, "note": NAME}, "name")
LEVEL = {"type": "number", "absentable": True}
NIL = schema(
    {
        "tags": {"type": "array", "minItems": 1, "items": NAME},
        "units": {"type": "array", "minItems": 1, "items": UNIT},
        "values": {"type": "array", "minItems": 1, "items": closed({"value": {"type": "number"}})},
        "levels": {"type": "array", "minItems": 1, "items": closed({"value": LEVEL}, "value")},
        "who": UNIT,
        "long": {"type": "number"},
        "lat": {"type": "number"},
        "height": {"type": "number"},
    }
)
WORDS = "absent: {unknown: null, none: KC, partial: MP, not-permitted: KP}"
ROWS = {
    "json-a": f"""
        - {{canonical: "tags[]", here: "the[]", missing: [null, ""]}}
        - {{canonical: "units[].name", here: "donVi[].ten"}}
        - {{canonical: "units[].note", here: "donVi[].ghiChu"}}
        - {{canonical: "units[]", here: "donVi[]", missing: [null]}}
        - {{canonical: "values[].value", here: "so[]", missing: [null]}}
        - {{canonical: "levels[].value", here: "muc[]", {WORDS}}}
        - {{canonical: who.name, here: nguoi.ten}}
        - {{canonical: who.note, here: nguoi.ghiChu}}
        - {{canonical: who, here: nguoi, missing: [null, ""]}}
        - {{canonical: long, here: "viTri[0]", missing: [null]}}
        - {{canonical: lat, here: "viTri[1]", missing: [null]}}
        - {{canonical: height, here: "viTri[2]"}}
    """,
    "xml-a": f"""
        - {{canonical: "tags[]", here: "d:The[]", missing: [null, ""]}}
        - {{canonical: "units[].name", here: "d:DonVi[]/d:Ten"}}
        - {{canonical: "units[].note", here: "d:DonVi[]/@ghiChu"}}
        - {{canonical: "units[]", here: "d:DonVi[]", missing: [null]}}
        - {{canonical: "values[].value", here: "d:DaySo/d:So[]", missing: [null]}}
        - {{canonical: "levels[].value", here: "d:Muc[]", {WORDS}}}
        - {{canonical: who.name, here: d:Nguoi/d:Ten}}
        - {{canonical: who.note, here: d:Nguoi/d:GhiChu}}
        - {{canonical: who, here: d:Nguoi, missing: [null]}}
        - {{canonical: long, here: d:KinhDo, missing: [null]}}
        drops: [lat, height]
    """,
}


@pytest.fixture(scope="module")
def nil() -> CompiledContract:
    return contract(NIL, ROWS)


@LAWS
@given(data=st.data())
def test_nil_items_keep_the_laws(nil: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    laws(nil, data.draw(values_of(nil, "Thing")))


VALUE = {
    "tags": ["a", "b"],
    "units": [{"name": "A"}],
    "values": [{"value": Decimal("1.5")}, {}, {"value": 2}],
    "levels": [{"value": {"absent": "unknown"}}, {"value": 3}, {"value": {"absent": "none"}}],
    "lat": 2,
}


def test_nil_items_by_hand_in_json(nil: CompiledContract) -> None:
    raw = (
        b'{"the":["a",null,"","b"],"donVi":[null,{"ten":"A"}],"so":[1.5,null,2],"muc":[null,3,"KC"],'
        b'"nguoi":null,"viTri":[null,2,null]}'
    )
    face(nil, "json-a")(raw.replace(b"2,null]", b"2]"))
    assert read(nil, "json-a", raw.replace(b"2,null]", b"2]")) == VALUE
    assert found(lambda: read(nil, "json-a", raw)) == [("viTri[2]", "height", "type")]
    assert write(nil, "json-a", VALUE) == (
        b'{"the":["a","b"],"donVi":[{"ten":"A"}],"so":[1.5,null,2],"muc":[null,3,"KC"],"viTri":[null,2]}'
    )
    assert found(lambda: read(nil, "json-a", b'{"donVi":[null,{"ten":"A"},null,{"ten":1}]}')) == [
        ("donVi[1].ten", "units[1].name", "type")
    ]


def test_nil_items_by_hand_in_xml(nil: CompiledContract) -> None:
    none = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
    raw = (
        f'<d:T xmlns:d="urn:d"><d:The>a</d:The><d:The {none}></d:The><d:The/><d:The>b</d:The>'
        f"<d:DonVi {none}/><d:DonVi><d:Ten>A</d:Ten></d:DonVi>"
        f"<d:DaySo><d:So>1.5</d:So><d:So {none}></d:So><d:So>2</d:So></d:DaySo>"
        f"<d:Muc {none}></d:Muc><d:Muc>3</d:Muc><d:Muc>KC</d:Muc><d:Nguoi {none}/><d:KinhDo {none}/></d:T>"
    ).encode()
    face(nil, "xml-a")(raw)
    value = {name: item for name, item in VALUE.items() if name != "lat"}
    assert read(nil, "xml-a", raw) == value
    assert write(nil, "xml-a", value).decode() == (
        '<d:T xmlns:d="urn:d"><d:The>a</d:The><d:The>b</d:The><d:DonVi><d:Ten>A</d:Ten></d:DonVi>'
        f"<d:DaySo><d:So>1.5</d:So><d:So {none}></d:So><d:So>2</d:So></d:DaySo>"
        f"<d:Muc {none}></d:Muc><d:Muc>3</d:Muc><d:Muc>KC</d:Muc></d:T>"
    )
    for wrong in (f"<d:The {none}>x</d:The>", f'<d:DonVi {none} ghiChu="x"/>', f"<d:So {none}/>"):
        assert found(lambda wrong=wrong: read(nil, "xml-a", f'<d:T xmlns:d="urn:d">{wrong}</d:T>'.encode()))


def test_what_is_read_over_is_listed_as_a_loss(nil: CompiledContract) -> None:
    assert {
        "tags[]: an item that is null or '' is read over",
        "units[]: an item that is null is read over",
    } <= set(nil.codec("json-a").losses("Thing"))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('"so[]", missing: [null]', '"so[]"', "unsupported"),
        ('"so[]", missing: [null]', '"so[]", missing: [""]', "unsupported"),
        ('"donVi[]", missing: [null]', '"donVi[]", missing: [null, "-"]', "missing"),
        ('"donVi[]", missing: [null]', '"donVi", missing: [null]', "missing"),
        ('"donVi[]", missing: [null]', '"the[]", missing: [null]', "missing"),
        ('the[]", missing: [null, ""]', 'the[]", missing: ["a"]', "missing"),
        ('nguoi, missing: [null, ""]', "nguoi, missing: [1]", "missing"),
    ],
)
def test_words_for_nil_items_out_of_form_are_refused(old: str, new: str, rule: str) -> None:
    assert old in ROWS["json-a"]
    assert rule in [each.rule for each in refused_table(NIL, {"json-a": ROWS["json-a"].replace(old, new)})]

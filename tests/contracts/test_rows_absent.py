"""Empty, nil, null and missing are four things, and a table says what each of them means; times and dates with and without zone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lgsp_test_rows import LAWS, MA, NAME, contract, found, laws, read, refused_table, schema, write

from contracts.compiled import CompiledContract

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
ABSENT = schema(
    {
        "id": {"type": "string", "maxLength": 9},
        "note": {"type": "string", "maxLength": 9},
        "name": {**NAME, "minLength": 2},
        "size": {"type": "integer", "absentable": True},
        "code": {"type": "string", "enum": ["x", "y"], "absentable": True},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "sent": {"type": "string", "format": "date-time"},
    },
    "id",
    "size",
)
ROWS = {
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: note, here: ghiChu, missing: [null]}
        - {canonical: name, here: ten, missing: [null, "", "-"]}
        - {canonical: size, here: co, absent: {unknown: null, none: "", partial: MP, not-permitted: KP}}
        - {canonical: code, here: nhom, codes: ma, absent: {unknown: null}, missing: [""]}
        - {canonical: day, here: ngay, as: date, missing: [null]}
        - {canonical: at, here: luc, as: datetime, zone: "+07:00", missing: [""]}
        - {canonical: sent, here: gui, as: datetime}
    """,
    "xml-a": """
        - {canonical: id, here: d:Ma}
        - {canonical: note, here: d:GhiChu, missing: [null]}
        - {canonical: name, here: "@ten", missing: ["", "-"]}
        - {canonical: size, here: d:Co, absent: {unknown: null, none: "", partial: MP, not-permitted: KP}}
        - {canonical: code, here: d:Trong/d:Nhom, codes: ma, absent: {unknown: null}, missing: [""]}
        - {canonical: day, here: d:Ngay, as: date, missing: [null, ""]}
        - {canonical: at, here: d:Luc, as: datetime, zone: "+07:00"}
        - {canonical: sent, here: d:Gui}
    """,
}


@pytest.fixture(scope="module")
def absent() -> CompiledContract:
    return contract(ABSENT, ROWS, MA)


@LAWS
@given(data=st.data())
def test_words_for_absence_and_for_nothing_keep_the_laws(absent: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(absent, "Thing"))
    assert laws(absent, value) == 2


def test_empty_null_and_missing_in_json(absent: CompiledContract) -> None:
    value = read(absent, "json-a", b'{"ma":"","ghiChu":"","ten":"-","co":null,"nhom":"","ngay":null,"luc":"2026-11-24T07:00:00"}')
    assert value == {"id": "", "note": "", "size": {"absent": "unknown"}, "at": "2026-11-24T07:00:00+07:00"}
    assert write(absent, "json-a", value) == b'{"ma":"","ghiChu":"","co":null,"luc":"2026-11-24T07:00:00+07:00"}'
    assert read(absent, "json-a", b'{"ma":"1","ghiChu":null,"co":""}') == {"id": "1", "size": {"absent": "none"}}
    assert found(lambda: read(absent, "json-a", b'{"ma":null,"co":1,"gui":"2026-11-24T07:00:00","ghiChu":null}')) == [
        ("ma", "id", "type"),
        ("gui", "sent", "format"),
    ]


def test_empty_nil_and_missing_in_xml(absent: CompiledContract) -> None:
    raw = (
        f'<d:T xmlns:d="urn:d" {XSI} ten="-"><d:Ma/><d:GhiChu xsi:nil="true"/><d:Co xsi:nil="1"></d:Co><d:Trong><d:Nhom/></d:Trong>'
        "<d:Ngay>2026-11-24+07:00</d:Ngay><d:Luc> 2026-11-24T07:00:00Z </d:Luc></d:T>"
    )
    value = read(absent, "xml-a", raw.encode())
    assert value == {"id": "", "size": {"absent": "unknown"}, "day": "2026-11-24", "at": "2026-11-24T07:00:00Z"}
    value["code"] = {"absent": "unknown"}
    assert write(absent, "xml-a", value).decode() == (
        f'<d:T xmlns:d="urn:d"><d:Ma></d:Ma><d:Co {XSI} xsi:nil="true"></d:Co><d:Trong><d:Nhom {XSI} xsi:nil="true"></d:Nhom></d:Trong>'
        "<d:Ngay>2026-11-24</d:Ngay><d:Luc>2026-11-24T07:00:00Z</d:Luc></d:T>"
    )
    for wrong in ('xsi:nil="true">5', 'xsi:nil="false">', 'xsi:nil="true" x="1">'):
        faults = found(lambda wrong=wrong: read(absent, "xml-a", f'<d:T xmlns:d="urn:d" {XSI}><d:Ma/><d:Co {wrong}</d:Co></d:T>'.encode()))
        assert faults[0][1:] == ("size", "unknown")
    assert found(lambda: read(absent, "xml-a", f'<d:T xmlns:d="urn:d" {XSI}><d:Ma xsi:nil="true"/><d:Co>1</d:Co></d:T>'.encode())) == [
        ("d:T/d:Ma/@nil", "id", "unknown")
    ]


@pytest.mark.parametrize(
    ("media", "old", "new", "rule"),
    [
        ("json-a", 'missing: [null, "", "-"]', 'missing: ["abc"]', "missing"),
        ("json-a", "missing: [null]", 'missing: [""]', "missing"),
        ("json-a", "missing: [null]", "missing: null", "missing"),
        ("json-a", "here: ma}", "here: ma, missing: [null]}", "missing"),
        ("json-a", 'none: ""', "none: null", "absent"),
        ("xml-a", 'missing: ["", "-"]', "missing: [null]", "absent"),
    ],
)
def test_words_that_could_be_values_are_refused(media: str, old: str, new: str, rule: str) -> None:
    assert old in ROWS[media]
    assert rule in [each.rule for each in refused_table(ABSENT, {media: ROWS[media].replace(old, new, 1)}, MA)]

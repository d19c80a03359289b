"""Empty, nil, null and missing are four things, and a table says what each of them means; times and dates with and
without zone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, MA, NAME, closed, contract, found, laws, read, refused_table, schema, write

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
def test_words_for_absence_and_for_nothing_keep_the_laws(
    absent: CompiledContract, values_of: Any, data: st.DataObject
) -> None:
    value = data.draw(values_of(absent, "Thing"))
    assert laws(absent, value) == 2


def test_empty_null_and_missing_in_json(absent: CompiledContract) -> None:
    value = read(
        absent, "json-a", b'{"ma":"","ghiChu":"","ten":"-","co":null,"nhom":"","ngay":null,"luc":"2026-11-24T07:00:00"}'
    )
    assert value == {"id": "", "note": "", "size": {"absent": "unknown"}, "at": "2026-11-24T07:00:00+07:00"}
    assert write(absent, "json-a", value) == b'{"ma":"","ghiChu":"","co":null,"luc":"2026-11-24T07:00:00+07:00"}'
    assert read(absent, "json-a", b'{"ma":"1","ghiChu":null,"co":""}') == {"id": "1", "size": {"absent": "none"}}
    assert found(lambda: read(absent, "json-a", b'{"ma":null,"co":1,"gui":"2026-11-24T07:00:00","ghiChu":null}')) == [
        ("ma", "id", "type"),
        ("gui", "sent", "format"),
    ]


def test_empty_nil_and_missing_in_xml(absent: CompiledContract) -> None:
    raw = (
        f'<d:T xmlns:d="urn:d" {XSI} ten="-"><d:Ma/><d:GhiChu xsi:nil="true"/><d:Co '
        'xsi:nil="1"></d:Co><d:Trong><d:Nhom/></d:Trong>'
        "<d:Ngay>2026-11-24+07:00</d:Ngay><d:Luc> 2026-11-24T07:00:00Z </d:Luc></d:T>"
    )
    value = read(absent, "xml-a", raw.encode())
    assert value == {"id": "", "size": {"absent": "unknown"}, "day": "2026-11-24", "at": "2026-11-24T07:00:00Z"}
    value["code"] = {"absent": "unknown"}
    assert write(absent, "xml-a", value).decode() == (
        f'<d:T xmlns:d="urn:d"><d:Ma></d:Ma><d:Co {XSI} xsi:nil="true"></d:Co><d:Trong><d:Nhom {XSI} '
        'xsi:nil="true"></d:Nhom></d:Trong>'
        "<d:Ngay>2026-11-24</d:Ngay><d:Luc>2026-11-24T07:00:00Z</d:Luc></d:T>"
    )
    for wrong in ('xsi:nil="true">5', 'xsi:nil="false">', 'xsi:nil="true" x="1">'):
        faults = found(
            lambda wrong=wrong: read(
                absent, "xml-a", f'<d:T xmlns:d="urn:d" {XSI}><d:Ma/><d:Co {wrong}</d:Co></d:T>'.encode()
            )
        )
        assert faults[0][1:] == ("size", "unknown")
    assert found(
        lambda: read(absent, "xml-a", f'<d:T xmlns:d="urn:d" {XSI}><d:Ma xsi:nil="true"/><d:Co>1</d:Co></d:T>'.encode())
    ) == [("d:T/d:Ma/@nil", "id", "unknown")]


@pytest.mark.parametrize(
    ("media", "old", "new", "rule"),
    [
        ("json-a", 'missing: [null, "", "-"]', 'missing: ["abc"]', "missing"),
        ("json-a", "missing: [null]", 'missing: [""]', "missing"),
        ("json-a", "missing: [null]", "missing: null", "missing"),
        ("json-a", "here: ma}", "here: ma, missing: [null]}", "missing"),
        ("json-a", 'none: ""', "none: null", "absent"),
        ("xml-a", 'missing: ["", "-"]', "missing: [null]", "unsupported"),
    ],
)
def test_words_that_could_be_values_are_refused(media: str, old: str, new: str, rule: str) -> None:
    assert old in ROWS[media]
    assert rule in [each.rule for each in refused_table(ABSENT, {media: ROWS[media].replace(old, new, 1)}, MA)]


GROUPS = schema(
    {
        "id": NAME,
        "who": {**closed({"name": NAME, "unit": NAME, "age": {"type": "integer"}}), "absentable": True},
        "list": {
            "type": "array",
            "minItems": 1,
            "items": closed({"x": NAME, "in": {**closed({"y": NAME}), "absentable": True}}, "x"),
            "absentable": True,
        },
        "tags": {"type": "array", "minItems": 1, "items": NAME, "absentable": True},
    },
    "id",
    "who",
)
ALL = "absent: {unknown: null, none: KC, partial: MP, not-permitted: KP}"
GROUP_ROWS = {
    "json-a": f"""
        - {{canonical: id, here: ma}}
        - {{canonical: who.name, here: nguoi.ten}}
        - {{canonical: who.age, here: nguoi.tuoi}}
        - {{canonical: who.unit, here: donVi, default: cái}}
        - {{here: nguoi.loai, constant: 1}}
        - {{canonical: who, here: lyDo.vi, {ALL}}}
        - {{canonical: "list[].x", here: "ds.muc[].x"}}
        - {{canonical: "list[].in.y", here: "ds.muc[].trong.y"}}
        - {{canonical: list, here: ds.muc, {ALL}}}
        - {{canonical: "list[].in", here: "ds.muc[].trong", absent: {{unknown: "", none: "-"}}}}
        - {{canonical: "tags[]", here: "the[]"}}
        - {{canonical: tags, here: the, {ALL}}}
    """,
    "xml-a": f"""
        - {{canonical: id, here: d:Ma}}
        - {{canonical: who, here: d:Nguoi, {ALL}}}
        - {{canonical: who.name, here: d:Nguoi/d:Ten}}
        - {{canonical: who.age, here: d:Nguoi/@tuoi}}
        - {{canonical: who.unit, here: d:Nguoi/d:DonVi/d:Ten}}
        - {{canonical: "list[].x", here: "d:Muc[]/@x"}}
        - {{canonical: "list[].in.y", here: "d:Muc[]/d:Trong/d:Y"}}
        - {{canonical: list, here: d:Muc, {ALL}}}
        - {{canonical: "list[].in", here: "d:Muc[]/d:Trong", absent: {{unknown: null}}}}
        - {{canonical: "tags[]", here: "d:The[]"}}
        - {{canonical: tags, here: d:The, absent: {{unknown: null}}}}
    """,
}


@pytest.fixture(scope="module")
def groups() -> CompiledContract:
    return contract(GROUPS, GROUP_ROWS)


@LAWS
@given(data=st.data())
def test_words_for_whole_groups_keep_the_laws(groups: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(groups, "Thing"))
    assert laws(groups, value) == 2


def test_groups_by_hand(groups: CompiledContract) -> None:
    value = read(groups, "json-a", b'{"ma":"1","lyDo":{"vi":"KP"},"ds":{"muc":null},"the":"MP"}')
    assert value == {
        "id": "1",
        "who": {"absent": "not-permitted"},
        "list": {"absent": "unknown"},
        "tags": {"absent": "partial"},
    }
    assert write(groups, "json-a", value) == b'{"ma":"1","lyDo":{"vi":"KP"},"ds":{"muc":null},"the":"MP"}'
    assert write(groups, "xml-a", {**value, "tags": {"absent": "unknown"}}).decode() == (
        f'<d:T xmlns:d="urn:d"><d:Ma>1</d:Ma><d:Nguoi>KP</d:Nguoi><d:Muc {XSI} '
        f'xsi:nil="true"></d:Muc><d:The {XSI} xsi:nil="true"></d:The></d:T>'
    )
    both = b'{"ma":"1","nguoi":{"ten":"a","loai":1},"lyDo":{"vi":"KP"}}'
    assert found(lambda: read(groups, "json-a", both)) == [("lyDo.vi", "who", "repeated")]
    raw = f'<d:T xmlns:d="urn:d"><d:Ma>1</d:Ma><d:Nguoi>KP</d:Nguoi><d:Muc {XSI} xsi:nil="true"/><d:Muc x="1"/></d:T>'
    assert found(lambda: read(groups, "xml-a", raw.encode())) == [("d:T/d:Muc[2]", "list", "repeated")]
    raw = f'<d:T xmlns:d="urn:d"><d:Ma>1</d:Ma><d:Nguoi>KP</d:Nguoi><d:Muc x="1"/><d:Muc {XSI} xsi:nil="true"/></d:T>'
    assert found(lambda: read(groups, "xml-a", raw.encode())) == [("d:T/d:Muc[2]", "list", "repeated")]


@pytest.mark.parametrize(
    ("media", "old", "new", "rule"),
    [
        (
            "json-a",
            f"{{canonical: who, here: lyDo.vi, {ALL}}}",
            "{canonical: who, here: lyDo.vi, absent: {unknown: K}}",
            "absent",
        ),
        ("xml-a", "here: d:The, absent: {unknown: null}", "here: d:The, absent: {unknown: K}", "absent"),
        (
            "xml-a",
            'here: "d:Muc[]/d:Trong", absent: {unknown: null}',
            'here: "d:Muc[]/d:Trong", absent: {unknown: ""}',
            "absent",
        ),
        ("json-a", "{canonical: tags, here: the,", '{canonical: tags, here: "the[]",', "absent"),
        ("json-a", 'here: "ds.muc[].trong", absent', "here: trong, absent", "absent"),
    ],
)
def test_words_for_groups_that_could_be_the_group_are_refused(media: str, old: str, new: str, rule: str) -> None:
    assert old in GROUP_ROWS[media]
    assert rule in [each.rule for each in refused_table(GROUPS, {media: GROUP_ROWS[media].replace(old, new, 1)})]

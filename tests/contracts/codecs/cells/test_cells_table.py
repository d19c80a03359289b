"""Tables of CSV and XLSX in a contract made for them: the laws, findings by line and column, and what the loader
refuses."""

from __future__ import annotations

import io
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Failure, Theirs
from contracts.codecs.cells.codec import CellCodec
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from tests.contracts.rowsmaking import HEAD

ROW = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 20},
        "count": {"type": "integer"},
        "ratio": {"type": "number", "absentable": True},
        "share": {"type": "number"},
        "on": {"type": "boolean"},
        "off": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "iso": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "note": {"type": "string"},
        "word": {"type": "string"},
        "who": {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 1}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "extra": {"type": "string"},
    },
    "required": ["id", "kind", "word"],
    "additionalProperties": False,
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "Row": ROW,
        "Rows": {
            "type": "object",
            "properties": {
                "version": {"type": "string", "enum": ["1"]},
                "rows": {"type": "array", "minItems": 1, "maxItems": 4, "items": {"$ref": "#/$defs/Row"}},
            },
            "required": ["version", "rows"],
            "additionalProperties": False,
        },
    },
}
CONTRACT = (
    HEAD
    + """  putRow: {pattern: submit, method: POST, path: /row, request: Row, answer: Row, title: {vi: Gửi, en: Put}}
  putRows: {pattern: submit, method: POST, path: /rows, request: Rows, answer: Row, partial: accept, title: {vi: Gửi, en: Put}}
"""  # noqa: E501
)
LINES = """
      - {canonical: "@id", here: Mã số}
      - {canonical: "@count", here: Số lượng}
      - {canonical: "@ratio", here: "Tỷ lệ (%)", as: decimal-comma, absent: {unknown: KXD, none: "-", partial: MP, not-permitted: KDP}}
      - {canonical: "@share", here: Phần}
      - {canonical: "@on", here: Bật}
      - {canonical: "@off", here: Tắt, as: boolean-01}
      - {canonical: "@day", here: Ngày, as: dd/MM/yyyy}
      - {canonical: "@iso", here: Ngày ISO}
      - {canonical: "@at", here: "Lúc", as: "yyyy/MM/dd HH:mm:ss", zone: "+07:00"}
      - {canonical: "@kind", here: Loại, codes: loai}
      - {canonical: "@note", here: Ghi chú}
      - {canonical: "@word", here: Từ, default: ""}
      - {canonical: "@who.name", here: Người. Tên}
      - {here: Phiên bản, constant: "1.2"}
"""  # noqa: E501
CODES = "code,canonical,vi,en,valid_from,valid_until,replaced_by\n01,a,A,A,,,\n02,b,B,B,,,\n"


def table(head: str) -> str:
    one = LINES.replace("@", "")
    many = (
        LINES.replace("@", "rows[].").replace('      - {here: Phiên bản, constant: "1.2"}\n', "")
        + '      - {canonical: version, constant: "1"}\n'
    )
    return f"""
title: {{vi: B, en: B}}
{head}
messages:
  Row:
    rows: {one}
    drops: [extra]
    ignores: [STT]
  Rows:
    each: rows[]
    rows: {many}
    drops: ["rows[].extra"]
"""


HEADS = {
    "csv-a": "format: csv",
    "csv-b": 'format: csv\ndelimiter: ";"\nencoding: utf-16\nheader_row: 3',
    "csv-c": 'format: csv\ndelimiter: "\\t"\nencoding: windows-1258',
    "xlsx-a": "format: xlsx",
    "xlsx-b": "format: xlsx\nsheet: Số liệu\nheader_row: 2",
}


def files(**systems: str) -> dict[str, bytes]:
    made = {
        "contract.yaml": CONTRACT,
        "schema.json": json.dumps(SCHEMA),
        "codes/loai.csv": CODES,
        **{f"systems/{name}.yaml": text for name, text in systems.items()},
    }
    return {path: text.encode() for path, text in made.items()}


@pytest.fixture(scope="module")
def compiled() -> CompiledContract:
    return compile_bundle(Bundle.of(files(**{name: table(head) for name, head in HEADS.items()})))


def codec_of(compiled: CompiledContract, name: str) -> CellCodec:
    codec = compiled.codec(name)
    assert isinstance(codec, CellCodec)
    return codec


@pytest.mark.parametrize("name", list(HEADS))
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_decode_of_encode_is_the_value_but_for_the_listed_losses(
    name: str, compiled: CompiledContract, values_of: Any, data: st.DataObject
) -> None:
    codec = codec_of(compiled, name)
    message = data.draw(st.sampled_from(["Row", "Rows"]))
    values = data.draw(st.lists(values_of(compiled, message), min_size=1, max_size=1 if message == "Rows" else 3))
    try:
        raw = codec.write_cells(message, values)
    except Failure as failure:
        assert failure.code == "message.not-expressible"
        assert (
            failure.findings[0].rule == "range"
            or name == "csv-c"
            and failure.findings[0].expected == "characters of windows-1258"
        )
        return
    back = codec.read_cells(message, raw)
    assert back == [codec.normal(message, value) for value in values]
    assert codec.write_cells(message, back) == codec.write_cells(
        message, codec.read_cells(message, codec.write_cells(message, back))
    )


def header(compiled: CompiledContract, message: str = "Row") -> str:
    return codec_of(compiled, "csv-a").write_cells(message, []).decode("utf-8-sig").strip()


def csv(compiled: CompiledContract, *lines: str) -> bytes:
    return "\r\n".join([header(compiled), *lines, ""]).encode()


GOOD = 'A1,5,"12,5",0.1,true,1,31/12/2026,2026-12-31,2026/11/24 08:30:00,01,,,Nông Văn Dền,1.2'
VALUE = {
    "id": "A1",
    "count": 5,
    "ratio": Decimal("12.5"),
    "share": Decimal("0.1"),
    "on": True,
    "off": True,
    "day": "2026-12-31",
    "iso": "2026-12-31",
    "at": "2026-11-24T08:30:00+07:00",
    "kind": "a",
    "word": "",
    "who": {"name": "Nông Văn Dền"},
}


def test_each_finding_names_line_and_column(compiled: CompiledContract) -> None:
    codec = codec_of(compiled, "csv-a")
    raw = csv(
        compiled,
        GOOD,
        ",5,,,,,,,,01,,,,1.2",
        "",
        'A2,"năm","1.5",,,,31-12-2026,,,03,"hai\r\ndòng",,,1.3',
        GOOD.replace("A1", "007"),
        ",,,,,,,,,,,,,",
        GOOD + ",thừa",
    )
    lines = codec.read_lines("Row", raw)
    assert [(line.number, line.value is None) for line in lines] == [
        (2, False),
        (3, True),
        (5, True),
        (7, False),
        (9, True),
    ]
    assert lines[0].value == VALUE and lines[3].value == VALUE | {"id": "007"}
    found = {
        line.number: [(each.here, each.canonical, each.rule) for each in line.findings]
        for line in lines
        if line.findings
    }
    assert found == {
        3: [("Mã số", "id", "required")],
        5: [
            ("Số lượng", "count", "type"),
            ("Tỷ lệ (%)", "ratio", "type"),
            ("Ngày", "day", "format"),
            ("Loại", "kind", "code"),
            ("Phiên bản", "", "constant"),
        ],
        9: [("", "", "unknown")],
    }
    with pytest.raises(Theirs) as refused:
        codec.read_cells("Row", raw)
    assert refused.value.findings[0].here == "line 3: Mã số" and refused.value.facts["count"] == 7
    assert not any("năm" in str(each) for each in refused.value.findings), "a finding never quotes a value"


def test_findings_in_a_list_bear_the_number_of_the_item(compiled: CompiledContract) -> None:
    codec = codec_of(compiled, "csv-a")
    good = GOOD.rpartition(",")[0]
    raw = "\n".join([header(compiled, "Rows"), good, good.replace("A1", ""), good.replace("0.1", "x")]).encode()
    lines = codec.read_lines("Rows", raw)
    assert [[each.canonical for each in line.findings] for line in lines] == [[], ["rows[1].id"], ["rows[2].share"]]
    assert codec.joined("Rows", [line.value for line in lines if line.value]) == {"version": "1", "rows": [VALUE]}
    for many in ([], [VALUE] * 5):
        with pytest.raises(Theirs) as refused:
            codec.joined("Rows", many)
        assert [each.canonical for each in refused.value.findings] == ["rows"]


@pytest.mark.parametrize(
    ("change", "rule", "title"),
    [
        (lambda head: head + ",Lạ", "unknown", "line 1: Lạ"),
        (lambda head: head.replace("Loại", "Mã số"), "repeated", "line 1: Mã số"),
        (lambda head: head.replace("Mã số,", ""), "required", "line 1: Mã số"),
        (lambda head: "", "file", ""),
    ],
)
def test_a_header_that_does_not_fit_is_refused_once(
    compiled: CompiledContract, change: Any, rule: str, title: str
) -> None:
    with pytest.raises(Theirs) as refused:
        codec_of(compiled, "csv-a").read_lines(
            "Row", (change(header(compiled)) + "\n" + GOOD if change("x") else "").encode()
        )
    assert (title, rule) in [(each.here, each.rule) for each in refused.value.findings]


def test_columns_in_any_order_in_any_normal_form_and_ignored_ones(compiled: CompiledContract) -> None:
    import unicodedata

    head = unicodedata.normalize("NFD", "STT;Loại;Mã số;Phiên bản;;").replace(";", ",")
    raw = f"{head}\n1,02,0007,1.2,,\n".encode()
    assert codec_of(compiled, "csv-a").read_cells("Row", raw) == [{"id": "0007", "kind": "b", "word": ""}]


def workbook(compiled: CompiledContract, **cells: Any) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    titles = header(compiled).split(",")
    sheet.append(titles)
    for title, value in {
        "Mã số": "A1",
        "Loại": "01",
        "Phiên bản": "1.2",
        **{key.replace("_", " "): each for key, each in cells.items()},
    }.items():
        sheet.cell(2, titles.index(title) + 1, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("title", "value", "meant"),
    [
        ("Mã_số", "0012", ("id", "0012")),
        ("Mã_số", 12, None),  # what was typed as 0012 is a number by now: nobody can tell
        ("Loại", 1, None),
        ("Số_lượng", 12, ("count", 12)),
        ("Số_lượng", 12.0, ("count", 12)),
        ("Số_lượng", 12.5, None),
        ("Số_lượng", "12", ("count", 12)),
        ("Số_lượng", True, None),
        ("Số_lượng", datetime(2026, 3, 4), None),  # 3-4, as Excel likes to understand it
        ("Phần", 612.45, ("share", Decimal("612.45"))),
        ("Bật", True, ("on", True)),
        ("Tắt", 0, ("off", False)),
        ("Tắt", False, ("off", False)),
        ("Ngày", datetime(2026, 12, 31), ("day", "2026-12-31")),
        ("Ngày", "31/12/2026", ("day", "2026-12-31")),
        ("Ngày", 46387, None),  # a number that is not shown as a date is no date
        ("Ngày_ISO", datetime(2026, 12, 31), ("iso", "2026-12-31")),
        ("Lúc", datetime(2026, 11, 24, 8, 30, 15), ("at", "2026-11-24T08:30:15+07:00")),
        ("Ghi_chú", "=A1", None),
    ],
)
def test_a_cell_of_a_workbook_is_taken_only_as_what_its_column_is(
    compiled: CompiledContract, title: str, value: Any, meant: tuple[str, Any] | None
) -> None:
    line = codec_of(compiled, "xlsx-a").read_lines("Row", workbook(compiled, **{title: value}))[0]
    if meant is None:
        assert (
            line.value is None and line.findings[0].here == title.replace("_", " ") and line.findings[0].rule == "type"
        )
    else:
        assert line.value is not None and line.value[meant[0]] == meant[1]


def test_a_system_of_tables_is_told_so_at_a_door(compiled: CompiledContract) -> None:
    with pytest.raises(Theirs) as refused:
        compiled.codec("csv-a").read_json("Row", b"{}")
    assert refused.value.code == "message.wrong-media" and refused.value.facts["expected"] == "CSV"
    with pytest.raises(Theirs) as refused:
        codec_of(compiled, "csv-a").read_lines("Nothing", b"")
    assert refused.value.code == "message.wrong-media"


def test_too_many_lines_are_refused(compiled: CompiledContract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.codecs.cells.codec.MAX_LINES", 2)
    codec = codec_of(compiled, "csv-a")
    assert len(codec.read_lines("Row", csv(compiled, GOOD, GOOD))) == 2
    with pytest.raises(Theirs) as refused:
        codec.read_lines("Row", csv(compiled, GOOD, GOOD, GOOD))
    assert refused.value.findings[0].here == "line 4"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("format: csv", "format: csv\nencoding: latin-1", "one of utf-8"),
        ("format: csv", "format: csv\ndelimiter: x", "one of"),
        ("format: csv", "format: csv\nheader_row: 0", "the number of the line with the titles"),
        ("format: csv", "format: csv\nsheet: a", "one of delimiter"),
        ("each: rows[]", "each: rows", "the message's list"),
        ("each: rows[]", "each: version", "the message's list"),
        ('{canonical: "rows[].count", here: Số lượng}', "{canonical: version, here: Số lượng}", "a field of rows[]"),
        ("here: Số lượng", "here: =Số lượng", "not beginning with"),
        ("here: Số lượng", "here: Phần", "one row a place"),
        (', default: ""', "", 'minLength 1 in the schema, or default: "" on the row'),
        ("here: Mã số", "here: Mã số, default: x", "a row for a required field"),
        ('      - {canonical: "note", here: Ghi chú}\n', "", "a row, or its path under drops"),
        ("ignores: [STT]", "ignores: STT", "titles of columns"),
    ],
)
def test_the_loader_names_what_is_wrong_with_a_table(old: str, new: str, expected: str) -> None:
    text = table(HEADS["csv-a"])
    if expected == "a row for a required field":  # no other column is always there
        text = text.replace("codes: loai}", "codes: loai, default: a}").replace(
            '      - {here: Phiên bản, constant: "1.2"}\n', ""
        )
    assert old in text
    with pytest.raises(Theirs) as caught:
        compile_bundle(Bundle.of(files(bang=text.replace(old, new))))
    found = [each for each in caught.value.findings if expected in each.expected]
    assert found and all(each.here.startswith("systems/bang.yaml:") for each in found), caught.value.findings


def test_what_a_table_loses_is_said(compiled: CompiledContract) -> None:
    losses = codec_of(compiled, "csv-c").losses("Row")
    assert "note: an empty text becomes missing" in losses
    assert "word: a missing value becomes ''" in losses
    assert "note: text becomes NFC, in the characters of windows-1258" in losses
    assert any("binary double" in loss for loss in codec_of(compiled, "xlsx-a").losses("Row"))
    assert not any("binary double" in loss for loss in codec_of(compiled, "csv-a").losses("Row"))

"""Rows of every kind in tables of lines: units, conditions, split and join, words for nothing, codes in force; held to
the laws."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Failure, Theirs
from contracts.codecs.cells.codec import CellCodec
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle

WORD = {"type": "string", "pattern": "^[A-Za-z0-9 ]{1,12}$"}
ITEM = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 20},
        "kind": {"type": "string", "enum": ["rain", "level"]},
        "height": {"type": "number"},
        "depth": {"type": "number"},
        "street": WORD,
        "ward": WORD,
        "sent": {"type": "string", "format": "date-time"},
        "area": {"type": "string", "codes": "khu-vuc"},
        "count": {"type": "integer"},
    },
    "required": ["id", "kind"],
    "additionalProperties": False,
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "Items": {
            "type": "object",
            "properties": {"items": {"type": "array", "minItems": 1, "maxItems": 9, "items": {"$ref": "#/$defs/Item"}}},
            "required": ["items"],
            "additionalProperties": False,
        },
        "Item": ITEM,
    },
}
CONTRACT = """
id: items
version: 1.0.0
title: {vi: Mục, en: Items}
description: {vi: Mục, en: Items}
owner_role: centre
legal_basis: [none]
retention_months: 24
operations:
  putItems: {pattern: submit, method: POST, path: /items, request: Items, answer: Items, title: {vi: Gửi, en: Put}}
  putItem: {pattern: submit, method: POST, path: /item, request: Item, answer: Item, title: {vi: Gửi, en: Put}}
"""
ROWS = """
      - {canonical: "@id", here: Mã}
      - {canonical: "@kind", here: Loại}
      - {canonical: "@height", here: Trị số, unit: {factor: "0.01"}, when: {canonical: "@kind", is: [level]}}
      - {canonical: "@depth", here: Trị số, when: {canonical: "@kind", is: [rain]}}
      - {canonical: ["@street", "@ward"], here: Địa chỉ, split: ", "}
      - {canonical: "@sent", here: [Ngày, Giờ], join: " ", as: dd/MM/yyyy HH:mm, zone: "+07:00"}
      - {canonical: "@area", here: Khu vực}
      - {canonical: "@count", here: Số, missing: ["-", "không"]}
"""
CODES = "code,vi,en,valid_from,valid_until,replaced_by\nA,A,A,2020-01-01,2025-06-30,B\nB,B,B,2025-07-01,,\n"


def table(head: str) -> bytes:
    many, one = ROWS.replace("@", "items[]."), ROWS.replace("@", "")
    text = (
        f"title: {{vi: B, en: B}}\n{head}\nmessages:\n  Items:\n    each: items[]\n    rows: {many}\n  "
        f"Item:\n    rows: {one}"
    )
    return text.encode()


@pytest.fixture(scope="module")
def compiled() -> CompiledContract:
    files = {
        "contract.yaml": CONTRACT.encode(),
        "schema.json": json.dumps(SCHEMA).encode(),
        "codes/khu-vuc.csv": CODES.encode(),
    }
    heads = {
        "systems/bang-csv.yaml": table('format: csv\ndelimiter: ";"'),
        "systems/bang-xlsx.yaml": table("format: xlsx"),
    }
    return compile_bundle(Bundle.of(files | heads))


def codec_of(compiled: CompiledContract, name: str) -> CellCodec:
    codec = compiled.codec(name)
    assert isinstance(codec, CellCodec)
    return codec


@pytest.mark.parametrize("name", ["bang-csv", "bang-xlsx"])
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_the_laws_hold_for_every_kind(
    name: str, compiled: CompiledContract, values_of: Any, data: st.DataObject
) -> None:
    codec = codec_of(compiled, name)
    message = data.draw(st.sampled_from(["Items", "Item"]))
    value = data.draw(values_of(compiled, message))
    try:
        raw = codec.write_cells(message, [value])
    except Failure as failure:
        assert failure.code == "message.not-expressible", failure
        assert failure.findings[0].here in ("", "Trị số", "Địa chỉ", "Ngày", "Giờ", "Ngày, Giờ", "Số"), failure.findings
        return
    back = codec.read_cells(message, raw)
    assert back == [codec.normal(message, value)]
    assert codec.read_cells(message, codec.write_cells(message, back)) == back


HEADER = "Mã;Loại;Trị số;Địa chỉ;Ngày;Giờ;Khu vực;Số\n"


def test_each_kind_reads_what_stands_in_its_column(compiled: CompiledContract) -> None:
    raw = HEADER + "1;level;1250;Kim Dong, Thuc Phan;24/11/2026;08:30;B;-\n2;rain;12.5;;;;;7\n"
    (value,) = codec_of(compiled, "bang-csv").read_cells("Items", raw.encode())
    assert value["items"] == [
        {"id": "1", "kind": "level", "height": Decimal("12.50"), "street": "Kim Dong", "ward": "Thuc Phan",
         "sent": "2026-11-24T08:30:00+07:00", "area": "B"},
        {"id": "2", "kind": "rain", "depth": Decimal("12.5"), "count": 7},
    ]  # fmt: skip


def test_findings_of_every_kind_bear_the_title(compiled: CompiledContract) -> None:
    raw = HEADER + "1;level;x;Kim Dong;24/11/2026;lúc tám giờ;C;y\n2;rain;;;24/11/2026;;;\n"
    lines = codec_of(compiled, "bang-csv").read_lines("Items", raw.encode())
    for line in lines:
        assert line.value is None
        assert all(not finding.here.startswith(("c", "lines")) for finding in line.findings), line.findings
    assert {finding.here for finding in lines[0].findings} >= {"Trị số", "Địa chỉ", "Khu vực", "Số"}
    assert {finding.canonical for finding in lines[0].findings} >= {
        "items[0].height",
        "items[0].area",
        "items[0].count",
    }
    assert all(finding.canonical.startswith("items[1].") for finding in lines[1].findings)


def test_a_code_out_of_force_is_refused_in_its_line_with_its_successor(compiled: CompiledContract) -> None:
    codec = codec_of(compiled, "bang-csv")
    raw = (HEADER + "1;rain;;;;;B;\n2;rain;;;;;A;\n").encode()
    assert len(codec.read_cells("Items", raw)[0]["items"]) == 2, "without a time nothing is asked"
    lines = codec.read_lines("Items", raw, 1_795_503_600.0)
    assert [line.value is None for line in lines] == [False, True]
    (finding,) = lines[1].findings
    assert (finding.here, finding.canonical, finding.rule) == (
        "Khu vực",
        "items[1].area",
        "code",
    ) and "B" in finding.expected
    with pytest.raises(Theirs):
        codec.read_cells("Items", raw, 1_795_503_600.0)


def test_an_expression_has_no_place_in_a_table_of_lines() -> None:
    rows = ROWS.replace("@", "") + '      - {canonical: "id", jsonata: "Mã"}\n'
    text = f"title: {{vi: B, en: B}}\nformat: csv\nmessages:\n  Item:\n    rows: {rows}"
    files = {
        "contract.yaml": CONTRACT.encode(),
        "schema.json": json.dumps(SCHEMA).encode(),
        "codes/khu-vuc.csv": CODES.encode(),
    }
    with pytest.raises(Theirs) as caught:
        compile_bundle(Bundle.of(files | {"systems/bang.yaml": text.encode()}))
    assert any("a line has columns" in found.expected for found in caught.value.findings)

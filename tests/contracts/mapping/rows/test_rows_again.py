"""Rows for what leads back to itself: a list whose items stand as those of a list above it, as deep as a message
goes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, MA, NAME, closed, contract, found, laws, read, refused_table, write

UNIT = closed(
    {
        "name": {**NAME, "pattern": "^[^/]+$"},
        "kind": {"type": "string", "enum": ["x", "y"]},
        "size": {"type": "number", "absentable": True},
        "since": {"type": "string", "format": "date"},
        "units": {"type": "array", "items": {"$ref": "#/$defs/Unit"}},
        "notes": {
            "type": "array",
            "minItems": 1,
            "items": closed(
                {"k": {**NAME, "pattern": "^[a-z]+$"}, "v": NAME, "no": {"type": "integer"}}, "k", "v", "no"
            ),
        },
    },
    "name",
    "kind",
    "units",
)
SCHEMA = json.dumps(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "Thing": closed({"id": NAME, "units": {"type": "array", "items": {"$ref": "#/$defs/Unit"}}}, "id", "units"),
            "Unit": UNIT,
        },
    }
)
ROWS = {
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: "units[].name", here: "w.ds[].ten"}
        - {canonical: "units[].kind", here: "w.ds[].loai", as: integer, codes: ma}
        - {canonical: "units[].size", here: "w.ds[].co", when: {canonical: "units[].kind", is: [x]}, unit: {factor: "0.1"}}
        - {canonical: "units[].since", here: "w.ds[].co", when: {canonical: "units[].kind", is: [y]}, as: dd/MM/yyyy}
        - {canonical: "units[].notes[].k", here: "w.ds[].ghi[].k"}
        - {canonical: ["units[].notes[].v", "units[].notes[].no"], here: "w.ds[].ghi[].v", split: "/"}
        - {canonical: "units[].units[]", here: "w.ds[].duoi.ds[]", again: "units[]"}
    """,  # noqa: E501
    "xml-a": """
        - {canonical: id, here: "@ma"}
        - {canonical: "units[].name", here: "d:W/e:Ds[]/@e:ten"}
        - {canonical: "units[].kind", here: "d:W/e:Ds[]/@loai", codes: ma}
        - {canonical: "units[].size", here: "d:W/e:Ds[]/d:Co", absent: {unknown: null, none: "-", partial: MP, not-permitted: KP}}
        - {canonical: "units[].since", here: ["d:W/e:Ds[]/d:Nam", "d:W/e:Ds[]/d:Ngay"], join: "-", as: yyyy-MMdd}
        - {canonical: "units[].notes[].k", here: "d:W/e:Ds[]/d:Ghi[]/@k"}
        - {canonical: "units[].notes[].v", here: "d:W/e:Ds[]/d:Ghi[]/text()"}
        - {canonical: "units[].notes[].no", here: "d:W/e:Ds[]/d:Ghi[]/@no"}
        - {canonical: "units[].units[]", here: "d:W/e:Ds[]/d:Duoi/f:Ds[]", again: "units[]"}
    """,  # noqa: E501
}


def made(rows: dict[str, str] = ROWS) -> CompiledContract:
    return contract(SCHEMA, rows, MA, spaces='namespaces: {d: "urn:d", e: "urn:e", f: "urn:f"}\n')


@pytest.fixture(scope="module")
def again() -> CompiledContract:
    return made()


@LAWS
@given(data=st.data())
def test_what_leads_back_keeps_the_laws(again: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(again, "Thing"))
    laws(again, value)


def test_as_deep_as_a_message_goes(again: CompiledContract) -> None:
    value: dict[str, Any] = {"name": "e", "kind": "x", "size": Decimal("0.5"), "units": []}
    for name in "dcba":
        value = {
            "name": name,
            "kind": "y",
            "since": "2026-11-24",
            "units": [value, {"name": name * 2, "kind": "x", "units": []}],
        }
    value = {"id": "1", "units": [value]}
    assert laws(again, value) == 2
    written = write(again, "xml-a", value).decode()
    assert (
        written.count("<f:Ds") == 8
        and written.count('xmlns:f="urn:f"') == 2
        and read(again, "xml-a", written.encode()) == value
    )
    assert b'"co":5' in write(again, "json-a", value)
    wrong = write(again, "json-a", value).replace(b'"co":5', b'"co":"5"')
    deep = "units[0].units[0].units[0].units[0].units[0]"
    here = "w.ds[0].duoi.ds[0].duoi.ds[0].duoi.ds[0].duoi.ds[0]"
    assert found(lambda: read(again, "json-a", wrong)) == [(f"{here}.co", f"{deep}.size", "type")]
    wrong = written.encode().replace(b">0.5<", b">x<")
    assert found(lambda: read(again, "xml-a", wrong))[0][1:] == (f"{deep}.size", "type")
    wrong = written.encode().replace(b' e:ten="e"', b"")
    assert found(lambda: read(again, "xml-a", wrong))[0][1:] == (f"{deep}.name", "required")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (', again: "units[]"', ', again: "units[].notes[]"'),
        (', again: "units[]"', ', again: "nope[]"'),
        ('"w.ds[].duoi.ds[]", again', '"w.ds[].duoi.ds", again'),
        ('"w.ds[].duoi.ds[]", again', '"w.ds[].ghi[]", again'),
        ('{canonical: "units[].kind", is: [y]}', "{canonical: id, is: [y]}"),
    ],
)
def test_rows_that_do_not_lead_back_so_are_refused(old: str, new: str) -> None:
    assert old in ROWS["json-a"]
    findings = refused_table(SCHEMA, {"json-a": ROWS["json-a"].replace(old, new, 1)}, MA)
    assert {"table", "overlap"} & {each.rule for each in findings}

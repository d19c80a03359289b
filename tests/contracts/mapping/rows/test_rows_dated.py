"""Codes that are in force for a time only, in a format and in the canonical schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, closed, contract, found, laws, read, schema, write

# --- codes in time ----------------------------------------------------------------------------------------------------

DATED = schema(
    {
        "on": {"type": "string", "format": "date-time"},
        "ward": {"type": "string", "codes": "ward"},
        "office": {"type": "string", "enum": ["h1", "h2"]},
        "also": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["h1", "h2"]}},
        "to": {
            "type": "array",
            "minItems": 1,
            "items": closed({"office": {"type": "string", "enum": ["h1", "h2"]}}, "office"),
        },
    },
    "ward",
    "office",
)
DATED_CODES = {
    "ward": "code,vi,en,valid_from,valid_until,replaced_by\n001,Cũ,Old,2000-01-01,2025-06-30,101\n101,Mới,New,2025-07-01,,\n",  # noqa: E501
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
        value["on"] = data.draw(
            st.sampled_from(["2024-05-01T00:00:00Z", "2025-06-30T23:59:59+07:00", "2025-07-01T00:00:00+07:00"])
        )
    if in_time.validate("Thing", value) == []:
        laws(in_time, value)


def test_a_code_that_has_ended_is_refused_and_its_successor_named(in_time: CompiledContract) -> None:
    late = b'{"luc":"2026-01-01T00:00:00+07:00","xa":"001","so":1,"ds":["1","10"],"den":[{"so":"2"},{"so":"1"}]}'
    with pytest.raises(Theirs) as caught:
        read(in_time, "json-a", late)
    assert [(each.here, each.rule) for each in caught.value.findings] == [
        ("so", "code"),
        ("ds[0]", "code"),
        ("den[1].so", "code"),
    ]
    assert caught.value.findings[0].expected == "10, its successor; this code ended on 2025-06-30"
    right = late.replace(b'"so":1,', b'"so":10,').replace(b'"1","10"', b'"10"').replace(b'{"so":"1"}', b'{"so":"10"}')
    with pytest.raises(Theirs) as caught:
        read(in_time, "json-a", right)
    assert [(each.here, each.canonical, each.expected[:3]) for each in caught.value.findings] == [("xa", "ward", "101")]
    early = late.replace(b"2026-01-01", b"2024-01-01").replace(b'"1","10"', b'"2"')
    value = read(in_time, "json-a", early)
    assert value["office"] == "h1" and write(in_time, "json-a", value).count(b'"so":1,') == 1
    # Without a time of its own, the message is of the day on which it is received; where none is told, none is asked
    # for.
    bare = b'{"xa":"001","so":1}'
    assert read(in_time, "json-a", bare) == {"ward": "001", "office": "h1"}
    assert found(lambda: read(in_time, "json-a", bare, 1_767_200_000.0)) == [("so", "office", "code")]
    assert read(in_time, "json-a", bare, 1_704_067_200.0)["office"] == "h1"
    canonical = in_time.codec("canonical")
    assert found(lambda: canonical.read_json("Thing", b'{"ward":"001","office":"h1"}', 1_767_200_000.0)) == [
        ("ward", "ward", "code")
    ]
    # 2025-07-01 begins in Vietnam at 17:00 of the day before.
    assert canonical.read_json("Thing", b'{"ward":"001","office":"h1"}', 1_751_302_799.0)
    assert found(lambda: canonical.read_json("Thing", b'{"ward":"001","office":"h1"}', 1_751_302_800.0))

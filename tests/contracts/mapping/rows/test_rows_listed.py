"""Lists that have each value of a field once, with positions in their place, as SDMX-JSON has them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, MA, NAME, closed, contract, found, laws, read, refused_table, schema, write

CODE = {"type": "string", "enum": ["x", "y"]}
DAY = {"type": "string", "format": "date"}
FLAT = schema(
    {
        "values": {
            "type": "array",
            "items": closed(
                {"indicator": CODE, "area": NAME, "day": DAY, "value": {"type": "number"}, "status": NAME},
                "indicator",
                "area",
                "day",
            ),
        }
    },
    "values",
)
FLAT_ROWS = {
    "json-a": """
        - {here: "dims[0].id", constant: INDICATOR}
        - {canonical: "values[].indicator", here: "dims[0].values[].id", distinct: true, codes: ma}
        - {here: "dims[1].id", constant: AREA}
        - {canonical: "values[].area", here: "dims[1].values[].id", distinct: true}
        - {here: "dims[2].id", constant: TIME}
        - {canonical: "values[].day", here: "dims[2].values[].id", distinct: true, as: dd/MM/yyyy}
        - {canonical: "values[].status", here: "statuses[]", distinct: true}
        - {canonical: ["values[].indicator", "values[].area", "values[].day"], here: "dataSets[0].observations.{}", index: ":"}
        - {canonical: "values[].value", here: "dataSets[0].observations.{}.v"}
        - {canonical: "values[].status", here: "dataSets[0].observations.{}.s", index: true}
        ignores: ["dims[0].values[].name", "dims[1].values[].name", meta]
    """,  # noqa: E501
    "xml-a": """
        - {canonical: "values[].day", here: "d:Ngay[]", distinct: true}
        - {canonical: "values[].indicator", here: "d:ChiTieu[]/@ma", distinct: true, codes: ma}
        - {canonical: "values[].status", here: "d:TinhTrang[]/d:Ma", distinct: true}
        - {canonical: ["values[].day", "values[].indicator"], here: "d:SoLieu[]/@o", index: "-"}
        - {canonical: "values[].area", here: "d:SoLieu[]/d:DiaBan"}
        - {canonical: "values[].value", here: "d:SoLieu[]/d:GiaTri"}
        - {canonical: "values[].status", here: "d:SoLieu[]/d:TT", index: true}
    """,
}


@pytest.fixture(scope="module")
def flat() -> CompiledContract:
    return contract(FLAT, FLAT_ROWS, MA)


@LAWS
@given(data=st.data())
def test_positions_keep_the_laws(flat: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(flat, "Thing"))
    for number, each in enumerate(value["values"]):  # so that no two have one key
        if data.draw(st.booleans()):
            each["area"] = f"{number}"
    laws(flat, value)


def test_positions_by_hand(flat: CompiledContract) -> None:
    raw = (
        '{"dims":[{"id":"INDICATOR","values":[{"id":"2"},{"id":"1"}]},{"id":"AREA","values":[{"id":"CB"}]},'
        '{"id":"TIME","values":[{"id":"31/12/2025"},{"id":"31/12/2026"}]}],"statuses":["A"],'
        '"dataSets":[{"observations":{"0:0:0":{"v":12.5,"s":0},"1:0:1":{"v":13}}}]}'
    )
    value = read(flat, "json-a", raw.encode())
    assert value == {
        "values": [
            {"indicator": "y", "area": "CB", "day": "2025-12-31", "value": Decimal("12.5"), "status": "A"},
            {"indicator": "x", "area": "CB", "day": "2026-12-31", "value": 13},
        ]
    }
    assert write(flat, "json-a", value).decode() == raw
    assert write(flat, "xml-a", value).decode() == (
        '<d:T xmlns:d="urn:d"><d:Ngay>2025-12-31</d:Ngay><d:Ngay>2026-12-31</d:Ngay><d:ChiTieu ma="2"></d:ChiTieu>'
        '<d:ChiTieu ma="1"></d:ChiTieu><d:TinhTrang><d:Ma>A</d:Ma></d:TinhTrang><d:SoLieu o="0-0"><d:DiaBan>CB'
        "</d:DiaBan><d:GiaTri>12.5</d:GiaTri><d:TT>0</d:TT></d:SoLieu>"
        '<d:SoLieu o="1-1"><d:DiaBan>CB</d:DiaBan><d:GiaTri>13</d:GiaTri></d:SoLieu></d:T>'
    )
    assert read(flat, "xml-a", write(flat, "xml-a", value)) == value


def test_a_list_below_its_positions_with_other_members_and_unused_values(flat: CompiledContract) -> None:
    """The order of members says nothing, and a format names more values than a message uses."""
    named = {"id": "1", "name": {"vi": "Một"}}
    message = {
        "meta": {},
        "dataSets": [{"observations": {"0:1:0": {}}}],
        "dims": [
            {"id": "INDICATOR", "values": [named]},
            {"id": "AREA", "values": [{"id": "unused"}, {"id": "CB"}]},
            {"id": "TIME", "values": [{"id": "01/02/2026"}]},
        ],
    }
    assert read(flat, "json-a", json.dumps(message).encode()) == {
        "values": [{"indicator": "x", "area": "CB", "day": "2026-02-01"}]
    }


@pytest.mark.parametrize(
    ("key", "value", "rule", "canonical"),
    [
        ("0:0:9", "{}", "range", "values[0].day"),
        ("0:0", "{}", "format", "values[0].indicator"),
        ("0:0:00", "{}", "format", "values[0].indicator"),
        ("0:0:-1", "{}", "format", "values[0].indicator"),
        ("0:0:٠", "{}", "format", "values[0].indicator"),
        ("0:0:0", '{"s":0}', "range", "values[0].status"),
        ("0:0:0", '{"s":"0"}', "format", "values[0].status"),
        ("0:1:0", "{}", "range", "values[0].area"),
    ],
)
def test_positions_that_name_no_value_are_refused(
    flat: CompiledContract, key: str, value: str, rule: str, canonical: str
) -> None:
    raw = (
        '{"dims":[{"id":"INDICATOR","values":[{"id":"2"}]},{"id":"AREA","values":[{"id":"CB"},{"name":"CB"}]},'
        f'{{"id":"TIME","values":[{{"id":"31/12/2025"}}]}}],"dataSets":[{{"observations":{{"{key}":{value}}}}}]}}'
    )
    assert ("dataSets[0].observations", canonical, rule) in [
        (here.partition(".{}")[0], *more) for here, *more in found(lambda: read(flat, "json-a", raw.encode()))
    ]


DEEP = schema(
    {
        "series": {
            "type": "array",
            "items": closed(
                {
                    "area": NAME,
                    "kind": NAME,
                    "observations": {
                        "type": "array",
                        "items": closed({"year": NAME, "value": {"type": "number"}}, "year", "value"),
                    },
                },
                "area",
                "kind",
                "observations",
            ),
        }
    },
    "series",
)
DEEP_ROWS = """
    - {canonical: "series[].observations[].year", here: "years[]", distinct: true}
    - {canonical: ["series[].area", "series[].kind"], here: "series.{}", split: ":"}
    - {canonical: "series[].observations[].year", here: "series.{}.observations.{}", index: true}
    - {canonical: "series[].observations[].value", here: "series.{}.observations.{}[0]"}
    ignores: ["series.{}.observations.{}[1]"]
"""


@LAWS
@given(data=st.data())
def test_series_of_observations_keep_the_laws(values_of: Any, data: st.DataObject) -> None:
    deep = contract(DEEP, {"json-a": DEEP_ROWS})
    value = data.draw(values_of(deep, "Thing"))
    for number, each in enumerate(value["series"]):
        each["area"] = f"{number}{each['area']}"[:20]
        for year, one in enumerate(each["observations"]):
            one["year"] = f"{2020 + year}"
    laws(deep, value)


def test_series_of_observations_by_hand() -> None:
    deep = contract(DEEP, {"json-a": DEEP_ROWS})
    raw = b'{"years":["2025","2026"],"series":{"A:B":{"observations":{"0":[12.5],"1":[13,null]}}}}'
    value = read(deep, "json-a", raw)
    assert value == {
        "series": [
            {
                "area": "A",
                "kind": "B",
                "observations": [{"year": "2025", "value": Decimal("12.5")}, {"year": "2026", "value": 13}],
            }
        ]
    }
    assert write(deep, "json-a", value) == raw.replace(b",null", b"")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (', index: ":"', ', index: "1"', "table"),
        (', index: ":"', ", index: true", "table"),
        ("dims[2].values[].id", "dims[2].values.id", "table"),
        ('{canonical: "values[].area", here: "dims[1].values[].id", distinct: true}', "", "table"),
        (
            '- {canonical: "values[].status", here: "dataSets[0].observations.{}.s", index: true}',
            "",
            "table",
        ),
        ("distinct: true, as: dd/MM/yyyy", "distinct: yes please", "table"),
        (
            '"values[].value", here: "dataSets[0].observations.{}.v"',
            '"values[].value", here: "dataSets[0].observations.{}.v", when: {canonical: "values[].indicator", is: [x]}',
            "unsupported",
        ),
        ("dims[1].values[].id", "dims[0].values[].id", "overlap"),
    ],
)
def test_positions_out_of_form_are_refused(old: str, new: str, rule: str) -> None:
    rows = FLAT_ROWS["json-a"]
    assert old in rows
    rows = "\n".join(line for line in rows.replace(old, new, 1).splitlines() if line.strip() not in ("", "-"))
    assert rule in [each.rule for each in refused_table(FLAT, {"json-a": rows}, MA)]


def test_a_position_cannot_be_the_name_of_an_element() -> None:
    rows = FLAT_ROWS["xml-a"].replace('"d:SoLieu[]/@o"', '"d:{}"').replace("d:SoLieu[]", "d:{}")
    assert "unsupported" in [each.rule for each in refused_table(FLAT, {"xml-a": rows}, MA)]

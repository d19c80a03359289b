"""Open lists: codes of a table, and codes of other lists as they stand; attributes that are read over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import LAWS, contract, found, laws, read, refused_table, schema, write

UNIT = {"type": "string", "codes": "unit", "others": "^[A-Za-z0-9.]{1,12}$"}
OPEN = schema({"unit": UNIT, "also": {"type": "array", "minItems": 1, "items": UNIT}}, "unit")
CODES = {
    "unit": "code,theirs,vi,en,valid_from,valid_until,replaced_by\nH1,00.H1,Tỉnh,Province,,,\n"
    "H1.2,02.H1,Sở,Office,2025-07-01,,\nH1.1,01.H1,Sở cũ,Former office,,2025-06-30,H1.2\n",
}
ROWS = {
    "json-a": """
        - {canonical: unit, here: don_vi, codes: unit.theirs, others: true}
        - {canonical: "also[]", here: "ds[]", codes: unit.theirs, others: true}
    """,
    "xml-a": """
        - {canonical: unit, here: d:DonVi/@ma, codes: unit.theirs, others: true}
        - {canonical: "also[]", here: "d:Ds[]", codes: unit.theirs, others: true}
        ignores: [d:DonVi/@loai, "d:DonVi/@d:nguon"]
    """,
}
DAY = 1_790_000_000.0  # 2026-09-21
UNITS = st.sampled_from(["H1", "H1.2", "00.H2", "G22", "28.22.H17", "x"])


@pytest.fixture(scope="module")
def open_list() -> CompiledContract:
    return contract(OPEN, ROWS, CODES)


@LAWS
@given(value=st.fixed_dictionaries({"unit": UNITS}, optional={"also": st.lists(UNITS, min_size=1, max_size=3)}))
def test_codes_of_the_table_are_translated_and_others_stay(open_list: CompiledContract, value: dict[str, str]) -> None:
    assert laws(open_list, value) == 2


@pytest.mark.parametrize(("theirs", "ours"), [("02.H1", "H1.2"), ("28.22.H17", "28.22.H17"), ("G22", "G22")])
def test_what_is_read(theirs: str, ours: str, open_list: CompiledContract) -> None:
    xml = f'<d:T xmlns:d="urn:d"><d:DonVi loai="x" d:nguon="y" ma="{theirs}"/></d:T>'.encode()
    assert read(open_list, "xml-a", xml, DAY) == {"unit": ours}
    assert b"loai" not in write(open_list, "xml-a", {"unit": ours})


@pytest.mark.parametrize("theirs", ["99.H1", "H1.9", "H1", "01.H1"])
def test_an_unknown_or_former_code_of_the_own_list_is_refused(theirs: str, open_list: CompiledContract) -> None:
    """Also one in the order of the other system, and in the canonical form."""
    assert found(lambda: read(open_list, "json-a", b'{"don_vi": "%s"}' % theirs.encode(), DAY)) == [
        ("don_vi", "unit", "code")
    ]
    if theirs != "H1":
        assert found(lambda: read(open_list, "canonical", b'{"unit": "%s"}' % theirs.encode(), DAY)) == [
            ("unit", "unit", "code")
        ]


def test_what_would_be_read_as_another_code_is_not_written(open_list: CompiledContract) -> None:
    with pytest.raises(Theirs) as caught:
        write(open_list, "json-a", {"unit": "02.H1"})
    assert caught.value.code == "message.not-expressible"


def test_what_the_loader_refuses() -> None:
    thing = schema({"unit": {"type": "string", "codes": "unit"}, "kind": {"type": "string"}}, "unit", "kind")
    findings = refused_table(
        thing,
        {
            "json-a": """
                - {canonical: unit, here: a, codes: unit.theirs, others: true}
                - {canonical: kind, here: b, others: true}
            """
        },
        CODES,
    )
    assert [(each.canonical, each.rule) for each in findings] == [("unit", "code"), ("kind", "code")]
    findings = refused_table(
        schema({"unit": {"type": "string"}}, "unit"),
        {"xml-a": '- {canonical: unit, here: "d:A/@ma"}\nignores: [d:A/@ma, d:B/@loai]'},
    )
    assert [each.rule for each in findings] == ["overlap", "path"]

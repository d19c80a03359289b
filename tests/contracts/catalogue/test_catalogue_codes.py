"""One table of agency codes for the province: two orders, dates and successors, shared by contracts and frozen into
their bundles."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.canonical.code_tables import other_orders, read_codes
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.folder.source_locations import Findings

FOLDERS = {folder.parent.name: folder for folder in catalogue_folders()}
SHARED = FOLDERS["camera-event"].parents[1] / "_codes"
AGENCIES = list(csv.DictReader((SHARED / "agency.csv").open(encoding="utf-8", newline="")))
HEAD = "code,qcvn102,vi,en,valid_from,valid_until,replaced_by\n"
USERS = ["camera-event", "dossier-status", "official-document"]


def test_both_orders_name_the_same_place_in_the_tree() -> None:
    """H14.5.2 is 000.02.05.H14: the province last, three levels before it, filled up with zeros."""
    for row in AGENCIES:
        assert re.fullmatch(r"[A-Z0-9.]{1,35}", row["code"]) and re.fullmatch(
            r"[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.H14", row["qcvn102"]
        )
        province, *levels = row["code"].split(".")
        if row["code"] == "H14.0":  # the centre, which 000.00.00.H14 cannot name
            assert row["qcvn102"] == "000.00.50.H14"
            continue
        one, two, three, root = row["qcvn102"].split(".")
        assert (root, int(three), int(two), int(one)) == (province, *([int(each) for each in levels] + [0, 0, 0])[:3])


def test_every_ended_agency_leads_to_one_in_force() -> None:
    by_code = {row["code"]: row for row in AGENCIES}
    ended = [row for row in AGENCIES if row["valid_until"]]
    assert {"2025-02-28", "2025-06-30"} == {row["valid_until"] for row in ended}  # departments, then districts
    for row in ended:
        successor = by_code[row["replaced_by"]]
        assert not successor["valid_until"] and successor["valid_from"] <= "2025-07-01"


def test_the_sandbox_agencies_stand_in_the_table() -> None:
    """What a grant or a route calls H14.5 is what a message calls so."""
    province = yaml.safe_load((Path(__file__).parents[3] / "gateway/sandbox/province.yaml").read_text("utf-8"))
    named = {row["code"]: row["vi"] for row in AGENCIES if not row["valid_until"]}
    assert {agency["code"]: agency["name"]["vi"] for agency in province["agencies"]}.items() <= named.items()


@pytest.mark.parametrize("name", USERS)
def test_the_table_is_frozen_into_each_bundle(name: str) -> None:
    bundle = Bundle.from_folder(FOLDERS[name])
    assert bundle.files["codes/agency.csv"] == (SHARED / "agency.csv").read_bytes()
    assert not (FOLDERS[name] / "codes" / "agency.csv").exists()
    tables = compile_bundle(Bundle.from_bytes(bundle.to_bytes())).tables
    assert tables["agency"].codes == tuple(row["code"] for row in AGENCIES)
    assert [(row.code, row.canonical) for row in tables["agency.qcvn102"].rows] == [
        (row["qcvn102"], row["code"]) for row in AGENCIES
    ]


def test_another_table_is_another_bundle(tmp_path: Path) -> None:
    """A folder elsewhere takes the table beside it; where there is none, that of the catalogue; what was unpacked keeps
    its own."""
    first = Bundle.from_folder(FOLDERS["camera-event"])
    elsewhere = tmp_path / "camera-event" / "v1"
    for path, raw in first.files.items():
        if path != "codes/agency.csv":
            (elsewhere / path).parent.mkdir(parents=True, exist_ok=True)
            (elsewhere / path).write_bytes(raw)
    assert Bundle.from_folder(elsewhere) == first
    newer = (
        SHARED / "agency.csv"
    ).read_bytes() + "H14.33,000.00.33.H14,Ủy ban nhân dân xã Bế Văn Đàn,Be Van Dan commune,2025-07-01,,\n".encode()
    (tmp_path / "_codes").mkdir()
    (tmp_path / "_codes" / "agency.csv").write_bytes(newer)
    second = Bundle.from_folder(elsewhere)
    assert second.digest != first.digest and "H14.33" in compile_bundle(second).tables["agency"].codes
    (elsewhere / "codes" / "agency.csv").write_bytes(first.files["codes/agency.csv"])
    assert Bundle.from_folder(elsewhere) == first


def test_a_shared_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    files = dict(Bundle.from_folder(FOLDERS["camera-event"]).files)
    files["contract.yaml"] = files["contract.yaml"].replace(b"[agency, area]", b"[agency, area, no-such]")
    with pytest.raises(Theirs) as caught:
        compile_bundle(Bundle.of(files))
    line = files["contract.yaml"].decode().split("shared_codes")[0].count("\n") + 1
    assert [(each.here, each.canonical) for each in caught.value.findings] == [
        (f"contract.yaml:{line}", "shared_codes")
    ]


@pytest.mark.parametrize(
    ("rows", "line", "got"),
    [
        ("A,1,a,A,,,\nB,1,b,B,,,\n", 3, "a code twice in the column qcvn102"),
        ("A,1,a,A,,2025-06-30,C\nB,2,b,B,,,\n", 2, "a successor that is not in the table"),
        ("A,1,a,A,2025-07-01,2025-06-30,\n", 2, "an end before its beginning"),
        ("A,1,a,A,,2025-02-30,\n", 2, "the day '2025-02-30'"),
    ],
)
def test_faults_of_a_table_have_their_line(rows: str, line: int, got: str) -> None:
    findings = Findings()
    read_codes("codes/agency.csv", (HEAD + rows).encode(), findings)
    assert [(each.here, each.got) for each in findings.items] == [(f"codes/agency.csv:{line}", got)]


def test_columns_that_are_no_order() -> None:
    for head in (
        "code,QCVN,vi,en,valid_from,valid_until,replaced_by",
        "code,canonical,qcvn102,vi,en,valid_from,valid_until,replaced_by",
    ):
        findings = Findings()
        assert (
            read_codes("codes/agency.csv", (head + "\n").encode(), findings) is None
            and findings.items[0].here == "codes/agency.csv:1"
        )


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=1, max_size=10))
def test_the_other_order_has_the_same_dates_and_its_own_successors(made: list[tuple[bool, bool, int]]) -> None:
    rows = ""
    for number, (ended, has_other, to) in enumerate(made):
        successor = f"C{to}" if ended and to < len(made) and not made[to][0] else ""
        rows += f"C{number},{f'x-{number}' if has_other else ''},tên,name,2020-07-22,{'2025-02-28' if ended else ''},{successor}\n"  # noqa: E501
    findings = Findings()
    table = read_codes("codes/agency.csv", (HEAD + rows).encode(), findings)
    assert table is not None and findings.items == []
    (other,) = other_orders(table)
    assert other.name == "agency.qcvn102" and len(other.rows) == sum(has_other for _, has_other, _ in made)
    for row in other.rows:
        ours = next(each for each in table.rows if each.code == row.canonical)
        assert (row.valid_from, row.valid_until) == (ours.valid_from, ours.valid_until)
        theirs = [each.code for each in other.rows if each.canonical == ours.replaced_by]
        assert row.replaced_by == (theirs[0] if theirs else "")


def test_a_code_is_taken_up_to_its_last_day_and_its_successor_named_after(
    catalogue: dict[str, CompiledContract],
) -> None:
    codec = catalogue["camera-event/v1"].codec("vms-json")
    sample = (FOLDERS["camera-event"] / "samples/vms-json/CameraEvent.khoi-rung-phia-oac.json").read_bytes()

    def at(day: bytes) -> bytes:
        return (
            sample.replace(b"20261118143207", day).replace(b"000.01.02.H14", b"000.00.14.H14").replace(b"01726", b"04")
        )

    assert codec.read_json("CameraEvent", at(b"20250228235959"))["operator"] == "H14.14"
    assert findings_of(lambda: codec.read_json("CameraEvent", at(b"20250301000000"))) == [
        ("camera.donVi", "operator", "code", "000.00.05.H14, its successor; this code ended on 2025-02-28")
    ]
    # In the canonical form, by its own order of codes.
    canonical = catalogue["camera-event/v1"].codec("canonical")
    value = codec.read_json("CameraEvent", sample) | {"operator": "H14.14"}
    assert findings_of(lambda: canonical.read_json("CameraEvent", canonical.write_json("CameraEvent", value))) == [
        ("operator", "operator", "code", "H14.5, its successor; this code ended on 2025-02-28")
    ]


def findings_of(work: Any) -> list[tuple[str, str, str, str]]:
    with pytest.raises(Theirs) as caught:
        work()
    assert caught.value.code == "message.invalid"
    return [(each.here, each.canonical, each.rule, each.expected) for each in caught.value.findings]

"""Seeded faults: in `bad/` each folder is the good contract `none` with one fault, and `where.txt` says what has to name it.

`where.txt` holds the place (file and line; for a sample, file and path in it) and the rule of the finding.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from contracts.proof.check import check
from gateway.cli.contract.versions import contract_check as command

BAD = Path(__file__).with_name("bad")
FAULTS = sorted(path.parent.name for path in BAD.glob("*/where.txt"))


def test_the_contract_without_a_fault_is_proved() -> None:
    report = check(BAD / "none" / "v1")
    assert report.ok, report.findings
    assert any(each.startswith("Level: the laws hold for") for each in report.proved)
    assert (
        "dai-xml Level: observer: the reason for an absence (unknown, partial, none, not-permitted) is lost"
        in report.losses
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_named_with_its_place(name: str) -> None:
    where, _, rule = (BAD / name / "where.txt").read_text("utf-8").strip().rpartition(" ")
    report = check(BAD / name / "v1")
    assert not report.ok
    assert (where, rule) in [(each.here, each.rule) for each in report.findings], report.findings
    assert all(each.expected for each in report.findings if each.here == where), "what to do"


def test_the_command_names_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(FAULTS) >= 50
    with pytest.raises((typer.Exit, SystemExit)):
        command(BAD, True)
    result = json.loads(capsys.readouterr().out)
    assert [each["ok"] for each in result["contracts"]].count(True) == 1 and not result["ok"]
    assert all(each["findings"] for each in result["contracts"] if not each["ok"])

"""Seeded faults: each patch in `bad/` makes one fault in a good contract, and says which finding has to name it.

The finding is told by its place (file and line; for a sample, file and path in it) and its rule.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer

from contracts.proof.check import check
from gateway.cli.contract.versions import contract_check as command
from tests.contracts import seeded

FAULTS = seeded.names()


def test_the_contract_without_a_fault_is_proved() -> None:
    report = check(seeded.BASE / "v1")
    assert report.ok, report.findings
    assert any(each.startswith("Level: the laws hold for") for each in report.proved)
    assert (
        "dai-xml Level: observer: the reason for an absence (unknown, partial, none, not-permitted) is lost"
        in report.losses
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_named_with_its_place(name: str, tmp_path: Path) -> None:
    fault = seeded.read(name)
    report = check(seeded.build(name, tmp_path))
    assert not report.ok
    assert (fault.at, fault.rule) in [(each.here, each.rule) for each in report.findings], report.findings
    assert all(each.expected for each in report.findings if each.here == fault.at), "what to do"


def test_the_command_names_every_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(FAULTS) >= 50
    shutil.copytree(seeded.BASE, tmp_path / "no-fault")
    for name in FAULTS:
        seeded.build(name, tmp_path / name)
    with pytest.raises((typer.Exit, SystemExit)):
        command(tmp_path, True)
    result = json.loads(capsys.readouterr().out)
    assert len(result["contracts"]) == len(FAULTS) + 1
    assert [each["ok"] for each in result["contracts"]].count(True) == 1 and not result["ok"]
    assert all(each["findings"] for each in result["contracts"] if not each["ok"])

"""`lgsp contract deadline`: the arithmetic of a deadline, minute by minute."""

from __future__ import annotations

import json
from typing import Any

from contracts.folder.bundle import catalogue_folders
from tests.commandline import lgsp

FOLDERS = {folder.parts[-2]: folder for folder in catalogue_folders()}


def ask(contract: str, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(lgsp("contract", "deadline", str(FOLDERS[contract]), *words, "--json").out)
    return told


def test_a_deadline_over_tet_names_each_stretch() -> None:
    told = ask("field-report", "--state", "sent", "--from", "2026-02-13T15:00:00+07:00")
    assert (told["due"], told["minutes"], told["hours"]) == ("2026-02-23T09:30+07:00", 210, "office")
    stretches = told["stretches"]
    assert sum(each["minutes"] for each in stretches if each["counted"]) == 210
    assert [each["from"] for each in stretches[1:]] == [each["until"] for each in stretches[:-1]]
    holidays = {each["words"]["en"] for each in stretches if each["why"] == "holiday"}
    assert "holiday: Lunar New Year" in holidays and len(holidays) == 5


def test_an_alert_runs_through_the_night() -> None:
    told = ask("incident-alert", "--from", "2026-11-27T02:00:00+07:00")
    assert (told["due"], len(told["stretches"])) == ("2026-11-28T02:00+07:00", 2)


def test_what_has_no_deadline_says_what_has_one() -> None:
    for contract, words, code, said in (
        ("field-report", ("--state", "done"), "no-deadline", "sent"),
        ("indicator", (), "no-workflow", "workflow.yaml"),
    ):
        told = lgsp("contract", "deadline", str(FOLDERS[contract]), *words, "--json")
        assert told.code == 2 and code in told.out + told.err and said in told.out + told.err

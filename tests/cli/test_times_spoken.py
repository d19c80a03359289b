"""Times in words are those of Vietnam, with their offset; programs get UTC."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cli.client import my_calls, transfers
from gateway.machines import acts
from gateway.settings import Settings
from tests import commandline

UTC, VIETNAM = "2026-11-30T23:30:19.526Z", "2026-12-01T06:30+07:00"


def test_an_invitation_of_a_machine(sandbox: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SimpleNamespace(expires=UTC, protected=False, write=lambda file: None)
    monkeypatch.setattr(acts, "invite", lambda *_words: made)
    words = ("machine", "invite", "two", f"--out={tmp_path / 'two.json'}", f"--data={sandbox.data}")
    said = commandline.lgsp(*words).out
    assert VIETNAM in said and UTC not in said
    assert json.loads(commandline.lgsp(*words, "--json").out)["until"] == UTC


def test_a_vendors_own_calls() -> None:
    call = {"id": "1", "at": UTC, "outcome": "ok", "contract": "indicator/v1", "operation": "getValue", "code": None}
    assert my_calls._listed({"calls": [call], "next": None}) == [f"1  {VIETNAM}  ok         indicator/v1 getValue"]
    shown: dict[str, Any] = {"call": "1", "checks": [], "refusal": None, "signatureBase": ""}
    assert my_calls._shown({**call, **shown})[0] == f"1  {VIETNAM}  indicator/v1 getValue"


def test_a_systems_own_transfers() -> None:
    tries = [{"try": 1, "at": UTC, "failure": "provider.down"}]
    shown = transfers._details({"transfer": "1", "received": UTC, "failedTries": tries})
    assert VIETNAM in shown[0] and shown[1] == f"  try 1  {VIETNAM}  provider.down"
    assert transfers._line({"transfer": "1"}).startswith("1  –  ")

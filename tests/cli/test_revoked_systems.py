"""A system whose keys are revoked or have ended cannot call, and every view says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.database import open_engine
from gateway.registry.snapshot import load_snapshot
from gateway.settings import Settings
from tests import commandline


@pytest.fixture
def sandbox(sandbox: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(sandbox.data, tmp_path / "data")
    return replace(sandbox, data=tmp_path / "data")


def lgsp(settings: Settings, *words: str, ends: int = 0) -> dict[str, Any]:
    ended = commandline.lgsp(*words, "--data", str(settings.data), "--json")
    assert ended.code == ends, ended.out
    told: dict[str, Any] = json.loads(ended.out)
    return told


def ready(settings: Settings, at: float | None = None) -> dict[str, str]:
    with open_engine(settings.database_url).connect() as connection:
        return dict(load_snapshot(connection).readiness(time.time() if at is None else at))


def test_all_keys_of_a_system_go_with_one_reason_in_one_entry(sandbox: Settings) -> None:
    assert set(ready(sandbox).values()) == {"ready"}
    with sqlite3.connect(sandbox.data / "lgsp.db") as base:
        ((before,),) = base.execute("select max(id) from log_pending")
    told = lgsp(sandbox, "registry", "revoke", "y-te", "--all", "--reason", "keyCompromise")
    assert told["revoked"] == [f"y-te.{key}-1" for key in ("encrypt", "sign", "sign-rsa", "tls")]
    assert told["reason"] == "keyCompromise"
    with sqlite3.connect(sandbox.data / "lgsp.db") as base:
        (entry,) = (json.loads(raw) for (raw,) in base.execute("select entry from log_pending where id > ?", (before,)))
        assert {each["fields"][0] for each in entry["facts"]["changes"]} == {"keyCompromise"}
        assert len(entry["facts"]["changes"]) == 4
    assert lgsp(sandbox, "registry", "revoke", "y-te", "--all", "--reason", "superseded")["revoked"] == []
    unknown = lgsp(sandbox, "registry", "revoke", "khong-co", "--all", "--reason", "superseded", ends=2)
    assert unknown["error"]["code"] == "registry.unknown"
    without = lgsp(sandbox, "registry", "revoke", "y-te", "--reason", "keyCompromise", ends=2)
    assert "lgsp registry revoke y-te --all --reason keyCompromise" in without["error"]["next"]


def test_every_view_says_that_it_cannot_call(sandbox: Settings) -> None:
    lgsp(sandbox, "registry", "revoke", "y-te", "--all", "--reason", "keyCompromise")
    lgsp(sandbox, "registry", "revoke", "mot-cua.sign-1", "--reason", "superseded")
    assert ready(sandbox)["mot-cua"] == "ready", "it has another key to sign with"
    lgsp(sandbox, "registry", "revoke", "mot-cua.sign-rsa-1", "--reason", "superseded")
    lgsp(sandbox, "registry", "revoke", "do-thi.encrypt-1", "--reason", "superseded")
    shown = {each["id"]: each["ready"] for each in lgsp(sandbox, "registry", "show")["systems"]}
    assert {name for name, state in shown.items() if state != "ready"} == {"y-te", "mot-cua"}
    text = commandline.lgsp("registry", "show", "--data", str(sandbox.data)).out
    (line,) = [each for each in text.splitlines() if each.startswith("y-te ")]
    assert "cannot call: keys revoked / không gọi được: khóa đã thu hồi" in line
    findings = {each["code"]: each["facts"] for each in lgsp(sandbox, "doctor")["findings"]}
    assert findings["systems.revoked"] == {"systems": "mot-cua, y-te"}
    assert ready(sandbox, time.time() + 400 * 86_400)["do-thi"] == "ended"

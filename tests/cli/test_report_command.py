"""`lgsp report`: made once and used again, listed, shown, written as a file; and what is no report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cli import report
from gateway.journal.database import open_engine
from gateway.settings import Settings
from tests import commandline
from tests.reports import seeding
from tests.scorecards import seeding as traffic


@pytest.fixture(scope="module")
def month(sandbox: Settings) -> Settings:
    engine = open_engine(sandbox.database_url)
    traffic.seed(engine, 300)
    seeding.complete(engine, 300)
    return sandbox


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "time", SimpleNamespace(time=lambda: seeding.NOW))


def asked(month: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("report", *words, "--data", str(month.data), "--json")
    return ended.code, json.loads(ended.out)


def test_a_report_is_made_once_and_given_out_again(
    month: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "september.pdf"
    code, first = asked(month, "make", "--month", "2026-09", "--format", "pdf", "--out", str(file))
    raw = file.read_bytes()
    assert code == 0 and raw.startswith(b"%PDF") and first["from"] == "2026-09-01" and first["edition"] == 1
    assert f"/{first['report']}/proof.json#sha256=" in first["proof"]
    assert asked(month, "make", "--month", "2026-09", "--format", "pdf", "--out", str(file)) == (0, first)
    assert file.read_bytes() == raw
    figures = tmp_path / "figures.json"
    code, shown = asked(month, "show", first["report"], "--format", "json", "--out", str(figures))
    assert code == 0 and shown["sha256"] == first["sha256"]
    assert [each["id"] for each in json.loads(figures.read_bytes())["sections"]][:2] == ["connections", "exchange"]
    text = commandline.lgsp("report", "show", first["report"], "--data", str(month.data), "--language", "en").out
    assert "II. The gateway accepted" in text
    monkeypatch.setattr(report, "time", SimpleNamespace(time=lambda: seeding.NOW + 60))
    code, own = asked(month, "make", "--month", "2026-09", "--agency", "H14.3", "--out", str(tmp_path / "own.pdf"))
    assert code == 0 and own["agency"] == "H14.3"
    code, told = asked(month, "list")
    assert code == 0 and [each["report"] for each in told["reports"]] == [own["report"], first["report"]]


@pytest.mark.parametrize(
    ("words", "ends", "code"),
    [
        (("make", "--month", "2026-11"), 2, "bad-period"),
        (("make", "--from", "2026-09-01"), 2, "bad-period"),
        (("make", "--month", "2026-09", "--agency", "H14.33"), 2, "unknown-agency"),
        (("make", "--month", "2026-09", "--out", "/proc/x/y.pdf"), 2, "not-written"),
        (("show", "nobody"), 2, "report.unknown"),
    ],
)
def test_what_is_no_report(month: Settings, words: tuple[str, ...], ends: int, code: str) -> None:
    ended, told = asked(month, *words)
    assert ended == ends and told["error"]["code"] == code

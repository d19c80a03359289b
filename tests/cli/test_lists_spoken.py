"""Lists and the verification speak the language that `LGSP_LANG` names, in Vietnam's times; both if it names none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contracts.base.times import rfc3339
from contracts.base.words import read
from gateway.cli.audit import labels
from gateway.cli.common import casework
from gateway.settings import Settings
from tests import commandline

LISTS: dict[tuple[str, ...], tuple[str, str]] = {
    ("queue", "list"): ("0 in the queue, 0 in doubt", "0 trong hàng đợi, 0 chưa rõ kết quả"),
    ("watch", "list"): ("no alarms", "không có cảnh báo"),
    ("case", "list"): ("nothing is in this list", "danh sách trống"),
    ("handling", "list"): ("nothing is in this list", "danh sách trống"),
    ("sandbox", "list"): ("none", "chưa có"),
}
VERIFY = Path(labels.__file__).resolve().parents[2] / "audit" / "verify"


def told(monkeypatch: pytest.MonkeyPatch, sandbox: Settings, language: str, *words: str) -> str:
    monkeypatch.setenv("LGSP_LANG", language)
    code, out, err = commandline.lgsp(*words, "--data", str(sandbox.data))
    assert code in (0, 1) and not err, err
    return out.strip()


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_an_empty_list(monkeypatch: pytest.MonkeyPatch, sandbox: Settings, command: tuple[str, ...]) -> None:
    english, vietnamese = LISTS[command]
    assert told(monkeypatch, sandbox, "en", *command) == english
    assert told(monkeypatch, sandbox, "vi", *command) == vietnamese
    assert told(monkeypatch, sandbox, "", *command) == f"{english} / {vietnamese}"


def test_the_verification_names_what_it_counted(monkeypatch: pytest.MonkeyPatch, sandbox: Settings) -> None:
    english = told(monkeypatch, sandbox, "en", "audit", "verify")
    vietnamese = told(monkeypatch, sandbox, "vi", "audit", "verify")
    assert "  registry rows: " in english and "rows held against the log, transfers: 0" in english, english
    assert "  hàng của sổ đăng ký: " in vietnamese and "hàng đối chiếu với nhật ký, giao dịch: 0" in vietnamese
    assert not re.search(r"\b(rows|entries|log of)\b", vietnamese.partition("note:")[0]), vietnamese


def test_every_kind_that_is_counted_has_words() -> None:
    kinds = {
        kind for path in VERIFY.rglob("*.py") for kind in re.findall(r'\.count\(\s*"([^"]+)"', path.read_text("utf-8"))
    }
    assert len(kinds) > 25 and sorted(kinds - set(read(Path(labels.__file__).with_name("labels.yaml")))) == []


def test_moments_of_handlings_and_cases_are_those_of_vietnam(monkeypatch: pytest.MonkeyPatch) -> None:
    due = rfc3339(1_796_011_200.0)
    handling = {"handling": "h", "agency": "H14.22", "state": "new", "kind": [], "area": [], "due": due}
    case = {"id": "c", "kind": "task", "sender": "a", "receivers": ["b"], "state": "open", "due": due, "subject": "s"}
    monkeypatch.setenv("LGSP_LANG", "vi")
    first = casework.handling_line({**handling, "ended": False, "overdue": True})
    second = casework.case_line({**case, "overdue": True})
    for line in (first, second):
        assert "2026-11-30T11:00+07:00" in line and "QUÁ HẠN" in line and "OVERDUE" not in line, line

"""`lgsp scorecard`: one system with its arithmetic, all of them, and days that no card can be of."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cli import scorecard
from gateway.journal.database import open_engine
from gateway.registry.snapshot import load_snapshot
from gateway.scorecards.cards import cards
from gateway.settings import Settings
from tests import commandline
from tests.scorecards import seeding

MONTH = ("--from", "2026-09-01", "--until", "2026-09-30")


@pytest.fixture(scope="module")
def month(sandbox: Settings) -> Settings:
    seeding.seed(open_engine(sandbox.database_url), 300)
    return sandbox


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorecard, "time", SimpleNamespace(time=lambda: seeding.NOW))


def asked(month: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("scorecard", *words, "--data", str(month.data), "--json")
    return ended.code, json.loads(ended.out)


def test_it_says_what_the_journal_says(month: Settings) -> None:
    with open_engine(month.database_url).connect() as connection:
        snapshot = load_snapshot(connection)
        made = cards(connection, snapshot, snapshot.systems.values(), seeding.DATES, seeding.NOW)
    code, told = asked(month, *MONTH)
    assert code == 0
    assert {each["system"]: each for each in told["scorecards"]} == {
        card.system.id: json.loads(json.dumps(card.to_json())) for card in made
    }
    code, one = asked(month, "do-thi", *MONTH)
    assert code == 0 and one["scorecards"] == [each for each in told["scorecards"] if each["system"] == "do-thi"]
    card = next(each for each in made if each.system.id == "do-thi")
    best = card.score.best
    assert best is not None and card.score.value is not None
    text = commandline.lgsp("scorecard", "do-thi", *MONTH, "--data", str(month.data)).out
    for each in card.score.parts[:2]:
        points = f"{each.points / 10:.1f} of {each.possible / 10:.1f} points"
        assert f"{each.share.numerator} / {each.share.denominator}  {points}" in text
    assert "timeliness    weight  15  not judged: no-frequency" in text
    assert f"mend {best.part}, gain {best.gain / 10:.1f} points" in text
    lines = commandline.lgsp("scorecard", *MONTH, "--data", str(month.data)).out.splitlines()
    assert len(lines) == len(made) and any(f"H14.3/do-thi  mend {best.part}" in line for line in lines)


def test_one_day(month: Settings) -> None:
    code, told = asked(month, "do-thi", "--day", "2026-09-10")
    (card,) = told["scorecards"]
    assert code == 0 and (card["from"], card["until"], len(card["days"])) == ("2026-09-10", "2026-09-10", 1)
    assert card["score"] == card["days"][0]["score"] and "failed" in card["days"][0]["hours"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--day", "2026-10-21"), "bad-days"),
        (("--from", "x"), "bad-days"),
        (("--from", "2026-01-01", "--until", "2026-09-01"), "bad-days"),
        (("--day", "2026-09-10", "--until", "2026-09-10"), "bad-days"),
        (("do-th", "--day", "2026-09-10"), "unknown-system"),
    ],
)
def test_what_is_no_card(month: Settings, words: tuple[str, ...], code: str) -> None:
    ended, told = asked(month, *words)
    assert ended == 2 and told["error"]["code"] == code

"""Scorecards as pages, by program and at the command line: the same figures, and to an agency its own alone."""

from __future__ import annotations

import json
import time

import pytest

from gateway.console.roles import Role
from gateway.console.work import scorecards
from gateway.scorecards.cards import Card, cards
from gateway.scorecards.scoring import PARTS
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.scorecards import seeding

QUERY = "from=2026-09-01&until=2026-09-30"


@pytest.fixture
def month(people: Desk) -> Desk:
    people.moved = seeding.NOW - time.time()
    seeding.seed(people.world.engine, 400)
    return people


def cards_of(desk: Desk) -> dict[str, Card]:
    with desk.world.engine.connect() as connection:
        snapshot = desk.world.services.registry.snapshot
        made = cards(connection, snapshot, snapshot.systems.values(), seeding.DATES, desk.now())
    return {card.system.id: card for card in made}


async def test_page_and_operation_show_the_same_arithmetic(month: Desk) -> None:
    card = cards_of(month)["so-lieu"]
    script = Script(month, "minh", Role.OPERATOR)
    told = (await script.get("readScorecard", query=f"?{QUERY}", system="so-lieu"))["scorecard"]
    assert told == json.loads(json.dumps(card.to_json()))
    assert sum(each["points"] for each in told["parts"]) == pytest.approx(told["score"])
    assert [each["part"] for each in told["parts"]] == list(PARTS)
    listed = (await script.get("listScorecards", query=f"?{QUERY}"))["scorecards"]
    assert told in listed and len(listed) == len(month.world.services.registry.snapshot.systems)
    lan = await month.signed_in("lan", Role.OFFICER)
    page = (await lan.get(f"/console/scorecards/so-lieu?{QUERY}")).body.decode()
    shown = Reader(page.encode()).text
    assert f"{card.score.value}" in shown and "no contract declares" not in shown
    assert "style=" not in page and page.count("<svg") >= 3
    do_thi = cards_of(month)["do-thi"]
    best = do_thi.score.best
    assert best is not None
    shown = Reader((await lan.get(f"/console/scorecards/do-thi?{QUERY}")).body).text
    assert "Mend this first" in shown and f"It gains {best.gain / 10} points" in " ".join(shown.split())
    assert "no contract declares when its data are due" in shown
    every = Reader((await lan.get(f"/console/scorecards?{QUERY}")).body).text
    assert f"Answers: +{best.gain / 10} points" in " ".join(every.split())


async def test_an_agency_sees_its_own_and_the_centre_all(month: Desk) -> None:
    mine = await month.signed_in("lan", Role.AGENCY, agency="H14.3")
    page = Reader((await mine.get(f"/console/scorecards?{QUERY}")).body).text
    assert "H14.3/do-thi" in page and "H14.4" not in page
    assert (await mine.get("/console/scorecards/do-thi")).status == 200
    assert (await mine.get("/console/scorecards/kinh-te")).status == 404
    assert (await mine.get("/console/scorecards/nobody")).status == 404
    script = Script(month, "hoa", Role.AGENCY, agency="H14.3")
    listed = (await script.get("listScorecards", query=f"?{QUERY}"))["scorecards"]
    assert {each["agency"] for each in listed} == {"H14.3"}
    watch = await month.signed_in("tam", Role.CENTRE, agency="H14.0")
    assert (await watch.get("/console/scorecards/kinh-te")).status == 200
    other = await month.signed_in("binh", Role.CENTRE, agency="H14.3")
    assert (await other.get("/console/scorecards/kinh-te")).status == 404


async def test_days_that_no_card_can_be_of(month: Desk) -> None:
    lan = await month.signed_in("lan", Role.AUDITOR)
    for query in ("from=2026-10-21&until=2026-10-21", "from=x", "until=2026-02-30", "from=2026-01-01&until=2026-09-01"):
        assert (await lan.get(f"/console/scorecards?{query}")).status == 400, query
        assert (await lan.get(f"/console/scorecards/do-thi?{query}")).status == 400, query
    assert (await lan.get("/console/scorecards/do-thi?until=2026-10-20")).status == 200


async def test_figures_are_computed_once_a_minute_for_all(month: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def counting(*arguments: object) -> list[Card]:
        asked.append(month.now())
        return cards(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scorecards, "cards", counting)
    lan = await month.signed_in("lan", Role.OFFICER)
    for path in ("", "/do-thi", "/kinh-te"):
        assert (await lan.get(f"/console/scorecards{path}?{QUERY}")).status == 200
    assert len(asked) == 1
    assert (await lan.get("/console/scorecards/do-thi?from=2026-09-02&until=2026-09-30")).status == 200
    assert len(asked) == 2
    month.moved += scorecards.SECONDS + 1
    assert (await lan.get(f"/console/scorecards?{QUERY}")).status == 200
    assert len(asked) == 3

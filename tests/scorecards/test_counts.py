"""The figures of scorecards against a recount from their definitions, on a month with an outage, gaps, late data,
corrections, repeats and refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.scorecards.cards import Card, Dates, cards
from gateway.scorecards.scoring import PARTS
from tests.journal.databases import KINDS, migrated
from tests.registry.making import filled, province
from tests.scorecards import seeding
from tests.scorecards.recount import VIETNAM, Shares, recount
from tests.size import FULL

NUMBER = 200_000 if FULL else 3_000  # in two months
OLD = seeding.NOW - 100 * 86_400


@pytest.fixture(scope="module", params=KINDS)
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = migrated(request.param, tmp_path_factory.mktemp("month"))
    filled(engine, province(seeding.DOCUMENT), [], OLD)
    assert seeding.seed(engine, NUMBER) > NUMBER * 0.8
    yield engine
    engine.dispose()


def judged(engine: Engine, dates: Dates = seeding.DATES) -> tuple[list[Card], Snapshot]:
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
        return cards(connection, snapshot, snapshot.systems.values(), dates, seeding.NOW), snapshot


def together(shares: Shares, system: str, dates: Dates, part: str) -> tuple[int, int]:
    days = [dates.first + timedelta(days=day) for day in range(dates.number)]
    some = [shares[system, day, part] for day in days]
    return sum(good for good, _ in some), sum(of for _, of in some)


def test_each_part_is_what_its_definition_says(month: Engine) -> None:
    made, _ = judged(month)
    with month.connect() as connection:
        shares, rules, hours = recount(connection, datetime.fromtimestamp(seeding.NOW, VIETNAM))
    dates, seen = seeding.DATES, set[str]()
    earlier = Dates(dates.first - timedelta(days=dates.number), dates.first - timedelta(days=1))
    for card in made:
        system = card.system.id
        for number, part in enumerate(PARTS):
            share = card.score.parts[number].share
            assert (share.numerator, share.denominator) == together(shares, system, dates, part), (system, part)
            past = card.before.parts[number].share
            assert (past.numerator, past.denominator) == together(shares, system, earlier, part), (system, part)
            for day in card.days:
                share = day.score.parts[number].share
                assert [share.numerator, share.denominator] == shares[system, day.date, part], (system, day.date, part)
            seen |= {part} if 0 < share.numerator else set()
        broken: Counter[Any] = sum((rules[system, day.date] for day in card.days), Counter())
        assert card.counts.refused == broken
        for day in card.days:
            for hour, state in enumerate(day.hours):
                marks = hours.get((system, day.date, hour), set())
                assert state == ("heard" if "heard" in marks else "failed" if marks else "silent"), (system, day.date)
    assert seen == {*PARTS}  # the seed tried each part


def test_the_month_has_what_makes_scores_differ(month: Engine) -> None:
    made = {card.system.id: card for card in judged(month)[0]}
    sensor = {each.part: each.share for each in made["quan-trac"].score.parts}
    for part in ("timeliness", "freshness", "completeness", "validity", "duplication", "corrections"):
        assert 0 < sensor[part].numerator < sensor[part].denominator, part
    outage = next(day for day in made["do-thi"].days if day.date.day == 10).score.parts[0].share
    assert outage.denominator - outage.numerator >= 12
    figures = made["so-lieu"].counts.expected
    assert [(each.contract, each.in_time) for each in figures] == [("indicator/v1", True)]
    assert made["dieu-hanh"].score.value is None and made["dieu-hanh"].score.best is None


def test_days_do_not_change_with_the_span_that_they_are_asked_in(month: Engine) -> None:
    whole = {card.system.id: card for card in judged(month)[0]}
    first = seeding.DATES.first + timedelta(days=8)
    for card in judged(month, Dates(first, first + timedelta(days=3)))[0]:
        wide = {day.date: day for day in whole[card.system.id].days}
        assert [wide[day.date] for day in card.days] == list(card.days)


def test_the_number_of_queries_does_not_grow_with_messages(month: Engine) -> None:
    def queries(dates: Dates) -> int:
        asked: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            asked.append(statement)

        with month.connect() as connection:
            snapshot = load_snapshot(connection)
            event.listen(month, "before_cursor_execute", note)
            try:
                cards(connection, snapshot, snapshot.systems.values(), dates, seeding.NOW)
            finally:
                event.remove(month, "before_cursor_execute", note)
        return len(asked)

    day = Dates(seeding.DATES.first, seeding.DATES.first)
    few, many = queries(day), queries(seeding.DATES)
    assert many <= few + 60 and many < 250  # bisections of feeds are a little longer


def test_a_row_that_is_no_entry_stops_nothing(month: Engine) -> None:
    with month.begin() as connection:
        transfer = connection.scalar(text("SELECT min(transfer) FROM log_entry WHERE phase = 'refusal'"))
        broken = {"entry": b"\xff{", "transfer": transfer}
        whole = connection.scalar(text("SELECT entry FROM log_entry WHERE transfer = :transfer"), broken)
        update = text("UPDATE log_entry SET entry = :entry WHERE transfer = :transfer")
        connection.execute(update, broken)
    try:
        assert judged(month)[0]
    finally:
        with month.begin() as connection:
            connection.execute(update, {"entry": bytes(whole), "transfer": transfer})

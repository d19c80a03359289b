"""The scorecards of a month, recomputed by SQL that knows the tables alone: shares of each day, and the score.

The month has gaps, late data, corrections, repeats, refusals and an outage; in full size it has 100,000 transfers.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

from gateway.registry.snapshot import load_snapshot
from gateway.scorecards.cards import Card, cards
from gateway.scorecards.scoring import PARTS
from tests.journal.databases import migrated
from tests.registry.making import filled, province
from tests.scorecards import seeding
from tests.size import FULL

SQL = Path(__file__).with_name("month.sql").read_text("utf-8")
NUMBER = 200_000 if FULL else 3_000  # in two months
POINTS = {
    "availability": 15, "answers": 10, "timeliness": 15, "freshness": 10, "completeness": 20, "validity": 20,
    "duplication": 5, "corrections": 5,
}  # fmt: skip
LEAST = {
    "availability": 30, "answers": 20, "timeliness": 1, "freshness": 20, "completeness": 1, "validity": 20,
    "duplication": 20, "corrections": 20,
}  # fmt: skip
TIMED = {"timeliness", "freshness", "completeness"}
Share = tuple[int, int]


def tenths(shares: dict[str, Share]) -> int | None:
    """The score from its definition in the guide: weights scaled to 1,000 tenths, the largest remainders first."""
    judged = {part: points for part, points in POINTS.items() if shares.get(part, (0, 0))[1] >= LEAST[part]}
    if not judged:
        return None
    total = sum(judged.values())
    possible = {part: 1000 * points // total for part, points in judged.items()}
    remainders = sorted(judged, key=lambda part: -(1000 * judged[part] % total))
    for part in remainders[: 1000 - sum(possible.values())]:
        possible[part] += 1
    return sum(possible[part] * shares[part][0] // shares[part][1] for part in judged)


def test_the_cards_of_a_month_are_what_sql_says(tmp_path: Path) -> None:
    engine = migrated("sqlite", tmp_path)
    filled(engine, province(seeding.DOCUMENT), [], seeding.NOW - 100 * 86_400)
    seeding.seed(engine, NUMBER)
    dates, told = seeding.DATES, defaultdict[str, dict[tuple[str, str], Share]](dict)
    days = [(dates.first + timedelta(days=each)).isoformat() for each in range(dates.number)]
    before = [(dates.first - timedelta(days=each + 1)).isoformat() for each in range(dates.number)]
    with engine.connect() as connection:
        for system, day, part, good, number in connection.exec_driver_sql(SQL, {"now": seeding.NOW}):
            told[system][day, part] = (good, number)
        snapshot = load_snapshot(connection)
        made = {
            each.system.id: each for each in cards(connection, snapshot, snapshot.systems.values(), dates, seeding.NOW)
        }
    engine.dispose()

    def sums(system: str, among: list[str]) -> dict[str, Share]:
        shares = {part: [told[system].get((day, part), (0, 0)) for day in among] for part in PARTS}
        return {part: (sum(one for one, _ in each), sum(all for _, all in each)) for part, each in shares.items()}

    def quarterly(card: Card) -> bool:
        """Its periods are not hours: the SQL does not know them."""
        return card.system.id == "so-lieu"

    compared = set[str]()
    for system, card in made.items():
        for day in card.days:
            for each in day.score.parts:
                if not (quarterly(card) and each.part in TIMED):
                    share = (each.share.numerator, each.share.denominator)
                    assert share == told[system].get((day.date.isoformat(), each.part), (0, 0)), (
                        system,
                        day.date,
                        each,
                    )
                    compared |= {each.part} if share[1] else set()
        if not quarterly(card):
            assert card.score.tenths == tenths(sums(system, days)), system
            assert card.before.tenths == tenths(sums(system, before)), system
            for day in card.days:
                assert day.score.tenths == tenths(sums(system, [day.date.isoformat()])), (system, day.date)
        best = card.score.best
        if best is not None and not quarterly(card):  # mended, the score rises by what was said
            shares = sums(system, days)
            shares[best.part] = (shares[best.part][1], shares[best.part][1])
            assert (tenths(shares) or 0) - (card.score.tenths or 0) == best.gain, system
    assert compared == {*PARTS}
    assert date(2026, 9, 10).isoformat() in days and made["do-thi"].days[9].score.value != 100.0

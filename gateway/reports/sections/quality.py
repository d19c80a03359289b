"""How systems did: their scores of the period and of as many days before (`gateway.scorecards`)."""

from __future__ import annotations

from typing import Final

from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Chart, Column, Fact, Row, Section, Series, Table
from gateway.scorecards.cards import MOST_DAYS, Dates, cards

_COLUMNS: Final = (
    Column("agency", "agency"), Column("system", "system"), Column("score", "tenths"), Column("low", "tenths"),
    Column("high", "tenths"), Column("before", "tenths"),
    Column("mend", "part"), Column("gain", "tenths"), Column("due"), Column("late"),
)  # fmt: skip
_LOW: Final = 700


def draw(drawing: Drawing) -> Section | None:
    period = drawing.wanted.period
    if period.days > MOST_DAYS:
        return None
    systems = [each for each in drawing.snapshot.systems.values() if drawing.has(each.agency)]
    made = cards(drawing.connection, drawing.snapshot, systems, Dates(period.first, period.last), drawing.now)
    judged = [card for card in made if card.score.tenths is not None]
    judged.sort(key=lambda card: (card.score.tenths or 0, card.system.name))
    rows: list[Row] = []
    for card in judged:
        best, (low, high) = card.score.best, card.score.interval or (None, None)
        rows.append(
            (
                card.system.agency,
                card.system.id,
                card.score.tenths,
                low,
                high,
                card.before.tenths,
                None if best is None else best.part,
                None if best is None else best.gain,
                len(card.counts.expected),
                len(card.late),
            )
        )
    scores = [card.score.tenths or 0 for card in judged]
    facts = (
        Fact("judged", len(judged), "scores"),
        Fact("unjudged", len(made) - len(judged), "scores"),
        Fact("low", sum(score < _LOW for score in scores), "scores"),
        Fact("late", sum(len(card.late) for card in made), "scores"),
    )
    chart = Chart(
        "scores", "bars", "system", tuple(card.system.id for card in judged), (Series("score", tuple(scores)),)
    )
    table = Table.of("scores", "scores", _COLUMNS, rows, total=False)
    return Section("quality", facts, (table,), (chart,) if judged else ())


SECTION = Provider(30, draw)

"""Messages that get handled: how many, how fast, and what is overdue, by agency and contract (article 11.2, 12.2)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sqlalchemy import func, select

from gateway.journal.schema import tables
from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table

_COLUMNS: Final = (
    Column("agency", "agency"), Column("contract", "contract"), Column("opened"), Column("ended"), Column("unended"),
    Column("overdue"), Column("first_hours", "tenths"), Column("end_hours", "tenths"),
)  # fmt: skip
_HOUR: Final = 3600.0
_AGENCY: Final = "agency"  # the party of a step


@dataclass(slots=True)
class _Counts:
    opened: int = 0
    ended: int = 0
    overdue: int = 0
    first: list[float] = field(default_factory=list)  # seconds from the opening to the agency's first step
    whole: list[float] = field(default_factory=list)  # to the end


def draw(drawing: Drawing) -> Section:
    span, table, step = drawing.wanted.period.span, tables.handling.c, tables.handling_step.c
    first = select(step.handling, func.min(step.at).label("at")).where(step.party == _AGENCY).group_by(step.handling)
    steps = first.subquery()
    rows = drawing.connection.execute(
        select(table.agency, table.contract, table.opened, table.entered, table.ended, table.nearest, steps.c.at)
        .select_from(tables.handling.outerjoin(steps, steps.c.handling == table.id))
        .where(table.opened >= span.since, table.opened < span.until)
    )
    counted: dict[tuple[str, str], _Counts] = defaultdict(_Counts)
    for agency, contract, opened, entered, ended, nearest, reacted in rows:
        if not drawing.has(agency):
            continue
        counts = counted[agency, contract]
        counts.opened += 1
        counts.ended += bool(ended)
        counts.overdue += not ended and nearest < drawing.now
        if ended:
            counts.whole.append(entered - opened)
        if reacted is not None:
            counts.first.append(reacted - opened)
    shown: list[Row] = [
        (*key, each.opened, each.ended, each.opened - each.ended, each.overdue, _hours(each.first), _hours(each.whole))
        for key, each in sorted(counted.items())
    ]
    totals = {name: sum(getattr(each, name) for each in counted.values()) for name in ("opened", "ended", "overdue")}
    facts = tuple(Fact(name, number, "handlings") for name, number in totals.items())
    return Section("handlings", facts, (Table.of("agencies", "handlings", _COLUMNS, shown),))


def _hours(seconds: list[float]) -> int | None:
    """The middle one, in tenths of an hour."""
    return round(median(seconds) / _HOUR * 10) if seconds else None


SECTION = Provider(25, draw)

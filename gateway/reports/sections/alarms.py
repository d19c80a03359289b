"""Alarms of the watch over systems that were raised in the period (article 10.3)."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sqlalchemy import select

from gateway.journal.schema import tables
from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table

_COLUMNS: Final = (
    Column("agency", "agency"), Column("system", "system"), Column("alarm", "alarm"), Column("raised"),
    Column("acknowledged"), Column("unended"), Column("alarm_hours", "tenths"),
)  # fmt: skip
_HOUR: Final = 3600.0


def draw(drawing: Drawing) -> Section:
    span, table = drawing.wanted.period.span, tables.alarm.c
    rows = drawing.connection.execute(
        select(table.kind, table.system, table.since, table.ended, table.acknowledged).where(
            table.raised >= span.since, table.raised < span.until
        )
    )
    counted: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for kind, system, since, ended, acknowledged in rows:
        agency = drawing.agency_of(system)
        if drawing.has(agency):
            numbers = counted[agency, system, kind]
            numbers[0] += 1
            numbers[1] += acknowledged is not None
            numbers[2] += ended is None
            numbers[3] += (drawing.now if ended is None else ended) - since
    shown: list[Row] = [
        (*key, int(each[0]), int(each[1]), int(each[2]), round(each[3] / _HOUR * 10))
        for key, each in sorted(counted.items())
    ]
    names = ("raised", "acknowledged", "unended")
    facts = tuple(
        Fact(name, int(sum(each[at] for each in counted.values())), "alarms") for at, name in enumerate(names)
    )
    return Section("alarms", facts, (Table.of("systems", "alarms", _COLUMNS, shown),))


SECTION = Provider(55, draw)

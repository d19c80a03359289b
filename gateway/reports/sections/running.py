"""How the gateway itself ran (article 6.1đ): the entries of its log by kind."""

from __future__ import annotations

from typing import Final

from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table

_COLUMNS: Final = (Column("entry", "entry"), Column("entries"))
_NAMED: Final = (("backups", "backup"), ("drills", "backup-drill"), ("ended", "process-ended"), ("altered", "altered"))


def draw(drawing: Drawing) -> Section:
    entries = drawing.tally.entries
    rows: list[Row] = [(kind, number) for kind, number in sorted(entries.items(), key=lambda each: (-each[1], each[0]))]
    facts = [Fact("entries", entries.total(), "entries")]
    if not drawing.wanted.agency:
        facts += [Fact(id, entries[kind], "entries") for id, kind in _NAMED]
    return Section("running", tuple(facts), (Table.of("entries", "entries", _COLUMNS, rows),))


SECTION = Provider(90, draw)

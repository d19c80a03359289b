"""Draws the figures of a report from one moment of the database, section by section.

A section is one module in `gateway/reports/sections/`. Its `SECTION` says its place and how it is drawn; nothing else
lists the sections.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from contracts.base.words import Words
from contracts.canonical.model import Pattern
from gateway.audit.log.tiles import size_of_log
from gateway.indicators.values import CONTRACT
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.reports import sections
from gateway.reports.figures import Figures, Letter, Log, Names, Section, Table
from gateway.reports.periods import Period
from gateway.reports.tally import Tally, tally
from gateway.settings import Settings

_TABLES: Final = ("indicator", "area")  # of codes, in the contract of indicators


class Wanted(NamedTuple):
    """What a report is of. `agency` is empty for the whole instance."""

    period: Period
    agency: str = ""


Progress = Callable[[int, int], object]  # the steps that are done, of how many


class Terms(NamedTuple):
    """How figures are drawn."""

    edition: int
    now: float
    progress: Progress = lambda step, of: None


@dataclass(frozen=True, slots=True)
class Drawing:
    """What sections are drawn from. `patterns` are those of operations, by contract and name."""

    connection: Connection
    snapshot: Snapshot
    settings: Settings
    wanted: Wanted
    now: float
    tally: Tally
    patterns: dict[tuple[str, str], str]

    def has(self, agency: str) -> bool:
        """Whether the report is of this agency too."""
        return self.wanted.agency in ("", agency)

    def agency_of(self, system: str) -> str:
        known = self.snapshot.systems.get(system)
        return "" if known is None else known.agency


@dataclass(frozen=True, slots=True)
class Provider:
    """The declaration of a section. `draw` returns None if the report has no such section."""

    place: int
    draw: Callable[[Drawing], Section | None]


@cache
def providers() -> tuple[Provider, ...]:
    """The declared sections in their order."""
    declared = []
    for module in pkgutil.iter_modules(sections.__path__, f"{sections.__name__}."):
        section = getattr(import_module(module.name), "SECTION", None)
        if not isinstance(section, Provider):
            raise TypeError(f"{module.name} declares no SECTION")
        declared.append(section)
    return tuple(sorted(declared, key=lambda each: each.place))


def draw(connection: Connection, settings: Settings, wanted: Wanted, terms: Terms) -> Figures:
    """`connection` sees one moment of the database (`gateway.journal.database.snapshot`)."""
    snapshot, span, now = load_snapshot(connection), wanted.period.span, terms.now
    size = size_of_log(connection)
    drawing = Drawing(
        connection=connection,
        snapshot=snapshot,
        settings=settings,
        wanted=wanted,
        now=now,
        tally=tally(connection, span, size, wanted.agency),
        patterns=_patterns(connection, span.ids),
    )
    drawn = tuple(_sections(drawing, terms.progress))
    return Figures(
        first=wanted.period.first.isoformat(),
        last=wanted.period.last.isoformat(),
        agency=wanted.agency,
        edition=terms.edition,
        drawn=rfc3339(now),
        log=Log(settings.origin, size, _past(connection)),
        registry=snapshot.revision,
        letter=_letter(settings, snapshot),
        names=_names(snapshot, wanted, drawn),
        sections=drawn,
    )


def _sections(drawing: Drawing, progress: Progress) -> Iterator[Section]:
    declared = providers()
    for step, provider in enumerate(declared, 1):
        progress(step, len(declared) + 1)
        section = provider.draw(drawing)
        if section is not None:
            yield section


def _patterns(connection: Connection, ids: tuple[str, str]) -> dict[tuple[str, str], str]:
    table = tables.transfer.c
    rows = connection.execute(
        select(table.contract, table.operation, table.pattern).distinct().where(table.id >= ids[0], table.id < ids[1])
    )
    return {(contract, operation): pattern for contract, operation, pattern in rows}


def supplies(drawing: Drawing, contract: str, operation: str) -> bool:
    """Whether the caller supplies the data; in a query the provider does."""
    return drawing.patterns.get((contract, operation)) != Pattern.QUERY


def _past(connection: Connection) -> tuple[tuple[str, int], ...]:
    table = tables.log_origin.c
    rows = connection.execute(select(table.origin, table.size).order_by(table.number))
    return tuple((str(origin), int(size)) for origin, size in rows)


def _letter(settings: Settings, snapshot: Snapshot) -> Letter:
    centre = snapshot.centre()
    return Letter(
        issuer=Words(settings.name, settings.name) if centre is None else centre.name,
        superior=settings.report_superior,
        place=settings.report_place,
        symbol=settings.report_symbol,
        signer=settings.report_signer,
        proof=f"{settings.desk_named}/console/transfers/",
    )


def _names(snapshot: Snapshot, wanted: Wanted, drawn: Iterable[Section]) -> Names:
    """Of the codes that the figures have."""
    codes: dict[str, set[str]] = {kind: set() for kind in Names._fields}
    codes["agency"].add(wanted.agency)
    for section in drawn:
        for table in section.tables:
            _collect(table, codes)
    agencies = {code: agency.name for code in codes["agency"] if (agency := snapshot.agencies.get(code)) is not None}
    systems = {id: system.title for id in codes["system"] if (system := snapshot.systems.get(id)) is not None}
    titles = {name: known.contract.title for name in codes["contract"] if (known := snapshot.contract(name))}
    indicators = snapshot.contract(CONTRACT)
    lists = {} if indicators is None else indicators.tables
    named = {
        kind: {row.code: Words(row.vi, row.en) for row in lists[kind].rows if row.code in codes[kind]}
        for kind in _TABLES
        if kind in lists
    }
    return Names(agencies, systems, titles, *(named.get(kind, {}) for kind in _TABLES))


def _collect(table: Table, codes: dict[str, set[str]]) -> None:
    for at, column in enumerate(table.columns):
        if column.kind in codes:
            codes[column.kind].update(str(row[at]) for row in table.rows if row[at])

"""The figures of a report: typed values, and their canonical JSON (RFC 8785).

Figures are whole numbers: a score is in tenths, times are RFC 3339, a value of an indicator is the text of its decimal
number. Names of agencies, systems, contracts, indicators and areas are kept beside them as they were then.

Invariant: each table and each fact names its query: a definition of `words.yaml` (`query.…`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from contracts.base import jcs
from contracts.base.words import Words

VERSION: Final = 1
# What a column holds. Names are codes, and are shown by the names that the figures keep.
Kind = Literal[
    "number", "tenths", "decimal", "agency", "system", "contract", "error", "entry", "part", "alarm", "time", "text",
    "indicator", "area", "period", "absent", "case",
]  # fmt: skip
NUMERIC: Final = frozenset({"number", "tenths", "decimal"})
Value = str | int | None
Row = tuple[Value, ...]


class Column(NamedTuple):
    id: str
    kind: Kind = "number"


class Fact(NamedTuple):
    """One figure of a section's summary."""

    id: str
    value: int
    query: str


@dataclass(frozen=True, slots=True)
class Table:
    id: str
    query: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row | None = None

    @classmethod
    def of(cls, id: str, query: str, columns: tuple[Column, ...], rows: list[Row], *, total: bool = True) -> Table:
        """With the sums of its numbers below, if `total`."""
        sums: Row = tuple(
            sum(value for row in rows if isinstance(value := row[at], int)) if column.kind == "number" else None
            for at, column in enumerate(columns)
        )
        return cls(id, query, columns, tuple(rows), sums if total and rows else None)


class Series(NamedTuple):
    id: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """`days`: columns, one a label. `bars`: lines, one a label; labels are of `kind`."""

    id: str
    form: Literal["days", "bars"]
    kind: Kind
    labels: tuple[str, ...]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


class Log(NamedTuple):
    """The log as it was read: its origin and size, and the sizes of the logs that ended before it."""

    origin: str
    size: int
    past: tuple[tuple[str, int], ...] = ()


class Names(NamedTuple):
    """Names by code. The last two are those that `Section.names` has."""

    agency: Mapping[str, Words]
    system: Mapping[str, Words]
    contract: Mapping[str, Words]
    indicator: Mapping[str, Words]
    area: Mapping[str, Words]


@dataclass(frozen=True, slots=True)
class Letter:
    """The head and foot of the document, as NĐ 30/2020 asks for them. `proof` is the address of the entry's proof."""

    issuer: Words
    superior: str
    place: str
    symbol: str
    signer: str
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that a report says. `agency` is empty for the whole instance; days are `2026-11-01`."""

    first: str
    last: str
    agency: str
    edition: int
    drawn: str
    log: Log
    registry: int
    letter: Letter
    names: Names
    sections: tuple[Section, ...] = field(default=())

    def encoded(self) -> bytes:
        """Canonical JSON."""
        return jcs.encode({"v": VERSION, **_plain(self)})

    def section(self, id: str) -> Section | None:
        return next((each for each in self.sections if each.id == id), None)


def figures_of(value: Mapping[str, Any]) -> Figures:
    """The figures of their JSON."""
    log, letter, names = value["log"], value["letter"], value["names"]
    return Figures(
        first=value["first"],
        last=value["last"],
        agency=value["agency"],
        edition=value["edition"],
        drawn=value["drawn"],
        log=Log(log["origin"], log["size"], tuple((str(origin), int(size)) for origin, size in log["past"])),
        registry=value["registry"],
        letter=Letter(**{**letter, "issuer": Words(**letter["issuer"])}),
        names=Names(*({code: Words(**each) for code, each in names.get(kind, {}).items()} for kind in Names._fields)),
        sections=tuple(map(_section, value["sections"])),
    )


def _section(value: Mapping[str, Any]) -> Section:
    tables = (
        Table(
            each["id"],
            each["query"],
            tuple(Column(**column) for column in each["columns"]),
            tuple(map(tuple, each["rows"])),
            None if each["total"] is None else tuple(each["total"]),
        )
        for each in value["tables"]
    )
    charts = (
        Chart(
            each["id"],
            each["form"],
            each["kind"],
            tuple(each["labels"]),
            tuple(Series(line["id"], tuple(line["values"])) for line in each["series"]),
        )
        for each in value["charts"]
    )
    return Section(value["id"], tuple(Fact(**fact) for fact in value["facts"]), tuple(tables), tuple(charts))


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value

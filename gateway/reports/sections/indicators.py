"""Values of indicators that fell due in the period: given, late, missing or corrected (articles 6.1c, 11.1).

The report of an agency has the indicators that it owes. Its values are those that it handed in itself; in the report of
the whole instance they are what the centre's grant for the feed shows.
Invariant: numbers count everything; lists have at most `MOST` rows, missing values first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from contracts.compiled.contract import CompiledContract
from gateway.exchange.quotas import GrantQuery, decide
from gateway.feeds.masks import Masks, masks_of
from gateway.indicators.definitions import Definition
from gateway.indicators.figures import Correction, Figure, State
from gateway.indicators.monthly import of_period
from gateway.indicators.store import every
from gateway.indicators.values import CONTRACT, Observation, Source
from gateway.keys.keyring import Keyring
from gateway.registry.parts.grants import FEED
from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table
from gateway.vault.stores import open_vault
from security.transparency import entry

MOST: Final = 300  # rows of a list
_HIDDEN: Final = "not-permitted"
_OWNERS: Final = (
    Column("agency", "agency"), Column("values_due"), Column("given"), Column("late_values"), Column("owed"),
    Column("corrected"),
)  # fmt: skip
_WHICH: Final = (Column("indicator", "indicator"), Column("area", "area"), Column("of_period", "period"))
_OWED: Final = (Column("agency", "agency"), *_WHICH, Column("reason", "absent"))
_VALUES: Final = (*_WHICH, Column("value", "decimal"), Column("unit", "text"))
_CORRECTED: Final = (*_WHICH, Column("old", "decimal"), Column("new", "decimal"), Column("corrected_at", "time"))


@dataclass(slots=True)
class _Found:
    due: list[Figure] = field(default_factory=list)
    owed: list[Figure] = field(default_factory=list)
    corrected: list[tuple[Figure, Correction]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads values. `masks` None: nobody granted the centre anything, so it sees no value."""

    agency: str
    masks: Masks | None

    def value(self, each: Observation | None) -> str | None:
        if each is None or each.value is None or not self._sees(each):
            return None
        return f"{each.value:f}" if not isinstance(each.value, int) else str(each.value)

    def _sees(self, each: Observation) -> bool:
        return each.agency == self.agency if self.agency else self.masks is not None


def draw(drawing: Drawing) -> Section | None:
    """None while no indicator is defined, or if the agency owes none."""
    contract = drawing.snapshot.contract(CONTRACT)
    known = {} if contract is None else _defined(drawing)
    if contract is None or not known:
        return None
    reader = _Reader(drawing.wanted.agency, _masks(drawing, contract))
    found = _read(drawing, known, _source(drawing, contract, reader))
    owing = {each.key for each in found.owed}
    given = [each for each in found.due if each.key not in owing]
    owners: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for each in given:
        _add(owners[each.definition.owner], [1, 1, each.late, 0, 0])
    for each in found.owed:
        _add(owners[each.definition.owner], [1, 0, 0, 1, 0])
    for each, _ in found.corrected:
        owners[each.definition.owner][4] += 1
    rows: list[Row] = [(owner, *numbers) for owner, numbers in sorted(owners.items())]
    owed: list[Row] = [(each.definition.owner, *_key(each), _reason(each)) for each in found.owed]
    values: list[Row] = [(*_key(each), reader.value(each.current), each.definition.unit) for each in given]
    corrected: list[Row] = [
        (*_key(each), reader.value(both.old), reader.value(both.new), both.new.received)
        for each, both in found.corrected
    ]
    totals = [sum(numbers[at] for numbers in owners.values()) for at in range(5)]
    names = ("due", "given", "late", "owed", "corrected")
    facts = tuple(Fact(name, number, "indicators") for name, number in zip(names, totals, strict=True))
    tables = (
        Table.of("owners", "indicators", _OWNERS, rows),
        Table.of("owed", "indicator-lists", _OWED, owed[:MOST], total=False),
        Table.of("values", "indicator-lists", _VALUES, values[:MOST], total=False),
        Table.of("corrected", "indicator-lists", _CORRECTED, corrected[:MOST], total=False),
    )
    return Section("indicators", facts, tables)


def _defined(drawing: Drawing) -> Mapping[str, Sequence[Definition]]:
    """Those that an agency of the report owes, by some version."""
    stored = every(drawing.connection)
    return {code: each for code, each in stored.items() if any(drawing.has(version.owner) for version in each)}


def _read(drawing: Drawing, known: Mapping[str, Sequence[Definition]], source: Source) -> _Found:
    """One indicator at a time, so that no number of them is too many."""
    found, period = _Found(), drawing.wanted.period
    after = period.last + timedelta(days=1)
    for code, versions in known.items():
        reported = of_period(source, {code: versions}, period.first, after, drawing.now)
        found.due += _own(drawing, reported.due)
        withheld = (each for each in reported.owed if each.current is None or each.current.absent != _HIDDEN)
        found.owed += _own(drawing, withheld)
        found.corrected += [each for each in reported.corrected if drawing.has(each[0].definition.owner)]
    return found


def _own(drawing: Drawing, figures: Sequence[Figure] | Iterator[Figure]) -> Iterator[Figure]:
    return (each for each in figures if drawing.has(each.definition.owner))


def _masks(drawing: Drawing, contract: CompiledContract) -> Masks | None:
    """What the centre's grant for the feed shows of values; None without a grant."""
    snapshot, centre = drawing.snapshot, drawing.snapshot.centre()
    if centre is None:
        return None
    allowed = decide(GrantQuery(snapshot, centre.code, contract.contract, FEED, drawing.now))
    decision = allowed.without({grant.id for grant in allowed.limited})
    return None if decision is None else masks_of(snapshot, None, contract, decision)


def _source(drawing: Drawing, contract: CompiledContract, reader: _Reader) -> Source:
    keyring = Keyring(drawing.settings)
    vault = open_vault(drawing.settings, drawing.connection.engine, keyring.at_rest)
    masks = None if reader.agency else reader.masks
    return Source(drawing.connection, vault, contract, partial(entry.keyed, keyring.hash_key()), masks)


def _add(numbers: list[int], more: Sequence[int]) -> None:
    numbers[:] = [old + new for old, new in zip(numbers, more, strict=True)]


def _key(each: Figure) -> tuple[str, str, str]:
    return each.definition.code, each.area, str(each.period)


def _reason(each: Figure) -> str:
    return State.MISSING.value if each.current is None else each.current.absent


SECTION = Provider(27, draw)

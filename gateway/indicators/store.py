"""Stores the versions of definitions in the registry: sealed, logged, with their history.

Invariant: a stored version never changes. Another definition is another version.
Invariant: a new version begins with a period that has not ended yet, so what was reported keeps its definition. Only
  the document that first defines an indicator may tell of earlier versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple

import yaml
from sqlalchemy import Connection, insert, select

from contracts.base.errors import Finding
from gateway.indicators.definitions import Definition, invalid, of_row
from gateway.indicators.periods import day_of
from gateway.journal.schema import tables
from gateway.registry.changes.deciding import listed
from gateway.registry.records import Change
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Act

NOTE: Final = "registry"
_table: Final = tables.indicator


class Defined(NamedTuple):
    """When a version was stored, by whom, and the entry of the log that says so."""

    at: float
    actor: str
    entry: str


def every(connection: Connection) -> dict[str, tuple[Definition, ...]]:
    """The versions of each indicator, oldest first, by code."""
    rows = connection.execute(select(*_table.c).order_by(_table.c.code, _table.c.version))
    known = [of_row(row.code, row.version, json.loads(row.body)) for row in rows]
    return {code: tuple(versions) for code, versions in groupby(known, key=lambda each: each.code)}


def defined(connection: Connection) -> dict[tuple[str, int], Defined]:
    """By code and version."""
    past = tables.registry_history.c
    rows = connection.execute(
        select(past.key, past.since, past.actor, past.entry)
        .where(past.of_table == _table.name, past.content.is_not(None))
        .order_by(past.revision.desc())
    )
    return {tuple(json.loads(row.key)): Defined(row.since, row.actor, row.entry) for row in rows}


def document(known: Mapping[str, Sequence[Definition]]) -> str:
    """YAML that states all versions, to begin a change from."""
    stated = [each.json() for versions in known.values() for each in versions]
    return yaml.safe_dump({"indicators": stated}, allow_unicode=True, sort_keys=False, width=110)


def apply(act: Act, wanted: Sequence[Definition], now: float, by: tuple[str, str]) -> list[Change]:
    """Stores what is new of a checked document, with the entry of the log. `by` is who and why. Raises
    `indicator.invalid`.
    """
    changes = define(act.connection, wanted, now)
    if changes:
        act.note(NOTE, {"changes": listed(changes), "reason": by[1]}, now, actor=by[0])
    return changes


def define(connection: Connection, wanted: Sequence[Definition], now: float) -> list[Change]:
    """Stores what is new; the caller logs it."""
    known = every(connection)
    versions = {each.code: list(known.get(each.code, ())) for each in wanted}
    changes: list[Change] = []
    findings: list[Finding] = []
    for number, each in enumerate(wanted):
        before = versions[each.code]
        if any(each.same(stored) for stored in before):
            continue
        if before and (fault := _fault(number, each, before[-1], now if each.code in known else None)) is not None:
            findings.append(fault)
            continue
        new = replace(each, version=len(before) + 1)
        connection.execute(insert(_table).values(code=new.code, version=new.version, body=new.text()))
        changes.append(Change("indicator", f"{new.code} {new.version}", "added", _fields(before, new)))
        before.append(new)
    if findings:
        raise invalid(findings)
    if changes:
        raise_revision(connection)
    return changes


def _fields(versions: Sequence[Definition], new: Definition) -> tuple[str, ...]:
    """What differs from the version before."""
    if not versions:
        return ()
    old, present = versions[-1].json(), new.json()
    return tuple(name for name in sorted({*old, *present}) if old.get(name) != present.get(name))


def _fault(number: int, each: Definition, newest: Definition, now: float | None) -> Finding | None:
    """Why it cannot follow the newest version. `now` is None for an indicator that was not defined before."""
    if each.first.begin < newest.first.begin:
        expected = f"{newest.first} or later, where the version before begins"
    elif now is not None and each.first.end <= day_of(now):
        expected = "a period that has not ended: earlier ones keep their definition"
    else:
        return None
    return Finding(f"indicators[{number}].from", "", str(each.first), "version", expected)

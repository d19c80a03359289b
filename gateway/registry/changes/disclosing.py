"""Finds personal fields that a version of a contract shows by grants that did not show them before it.

A grant with `*` shows every field of the contract in force, also those that a later version adds. Its officers signed
without knowing them.
Invariant: a field that a grant shows newly, and that either version marks as personal, is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from contracts.codecs.mask import PERSONAL, Leaf
from contracts.compiled.contract import CompiledContract, compile_bundle
from gateway.journal.schema import tables
from gateway.registry.changes.granting import GRANT, grants
from gateway.registry.changes.officers import officers
from gateway.registry.parts.grants import answers, fed, field_faults, requests
from gateway.registry.seals.rows import key_of
from gateway.registry.versions import load
from security.grants.grants import OFFICERS, Grant, digest
from security.transparency.entry import Json


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A field, and the grants and agencies that see it newly."""

    field: str  # `IndicatorValue.responsible.phone`
    personal: str
    grants: tuple[str, ...]
    agencies: tuple[str, ...]

    def facts(self) -> dict[str, Json]:
        return {
            "field": self.field,
            "personal": self.personal,
            "grants": list(self.grants),
            "agencies": list(self.agencies),
        }

    @property
    def seen_by(self) -> str:
        return f"{', '.join(self.grants)}: {', '.join(self.agencies) or '–'}"


def standing(connection: Connection, contract: str, now: float) -> list[Grant]:
    """The grants of a contract that permit something, or will, or do so again when they are resumed."""
    return [
        each
        for each in grants(connection, officers(connection))
        if each.contract == contract and not each.denies and now < each.valid_until and (each.confirmed or each.adopted)
    ]


def disclosures(
    connection: Connection, held: Iterable[Grant], old: CompiledContract, new: CompiledContract
) -> list[Disclosure]:
    """The personal fields that these grants show in the new version and did not show in the old one."""
    found: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {}
    agencies = _agencies(connection)
    for grant in held:
        before, after = _leaves(old, grant), _leaves(new, grant)
        for field, leaf in after.items():
            was = before.get(field)
            mark = leaf.personal or (was.personal if was is not None else None)
            if leaf.shown and not (was is not None and was.shown) and mark is not None:
                found.setdefault(field, (mark, {}))[1][grant.id] = _holders(grant, agencies)
    return [
        Disclosure(field, mark, tuple(by), tuple(sorted({code for codes in by.values() for code in codes})))
        for field, (mark, by) in sorted(found.items())
    ]


def unhidable(held: Iterable[Grant], new: CompiledContract) -> list[tuple[str, str]]:
    """Grant and fault, for each grant that hides personal fields and could not hide one of this version."""
    return [
        (grant.id, fault)
        for grant in held
        if PERSONAL in grant.fields
        for _, fault in field_faults(new, grant.operations, grant.fields, grant.receives)
    ]


def disclosed_since(connection: Connection, now: float) -> list[Disclosure]:
    """What the contracts in force show newly since the grants were signed, by the history of the registry."""
    force, found = tables.contract_in_force, []
    for contract, present in connection.execute(select(force.c.contract, force.c.digest).order_by(force.c.contract)):
        by_version: dict[str, list[Grant]] = {}
        for grant in standing(connection, contract, now):
            then = _in_force_at(connection, contract, _signed(connection, grant))
            if then is not None and then != present:
                by_version.setdefault(then, []).append(grant)
        for then, held in by_version.items():
            old, new = (compile_bundle(load(connection, each)) for each in (then, present))
            found += disclosures(connection, held, old, new)
    return found


_table: Final = tables.registry_history


def _signed(connection: Connection, grant: Grant) -> float:
    """When the grant had the signatures that it needs."""
    approval = tables.approval.c
    given = connection.scalars(
        select(approval.given)
        .where(
            approval.subject == f"{GRANT} {grant.id}",
            approval.digest == digest(grant.canonical()),
            approval.voided.is_(None),
            approval.officer.in_(grant.approved_by),
        )
        .order_by(approval.given)
    ).all()
    return given[OFFICERS - 1] if len(given) >= OFFICERS else grant.valid_from


def _in_force_at(connection: Connection, contract: str, at: float) -> str | None:
    """The digest in force at a time; the first known one for a time before the history."""
    rows = connection.execute(
        select(_table.c.since, _table.c.content)
        .where(_table.c.of_table == tables.contract_in_force.name, _table.c.key == key_of([contract]))
        .where(_table.c.content.is_not(None))
        .order_by(_table.c.revision)
    ).all()
    earlier = [content for since, content in rows if since <= at] or [content for _, content in rows[:1]]
    return str(json.loads(earlier[-1])["digest"]) if earlier else None


def _messages(contract: CompiledContract, grant: Grant) -> set[str]:
    if grant.receives:
        return requests(contract, grant.operations)
    return answers(contract, grant.operations) | fed(contract, grant.operations)


def _leaves(contract: CompiledContract, grant: Grant) -> dict[str, Leaf]:
    return {
        f"{message}.{leaf.path}": leaf
        for message in _messages(contract, grant)
        for leaf in contract.leaves(message, grant.fields)
    }


def _agencies(connection: Connection) -> dict[str, Sequence[str]]:
    return {row.code: json.loads(row.roles) for row in connection.execute(select(tables.agency))}


def _holders(grant: Grant, agencies: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if grant.agency is not None:
        return (grant.agency,)
    return tuple(code for code, roles in agencies.items() if grant.role in roles)

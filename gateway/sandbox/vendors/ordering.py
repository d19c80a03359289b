"""Faults on demand: a vendor orders them for her own calls, an operator for anybody's. Each order is an entry.

What an order says stands in `gateway.delivery.faults`, the kinds in `gateway.sandbox.simulation.faults`.
Invariant: the agency of a vendor's order is her own, whatever she sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from gateway.delivery.faults import Order, Scope, orders, put, reset
from gateway.journal.append import append
from gateway.registry.own_feed import OWN
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import is_tenant
from gateway.sandbox.simulation.faults import KINDS, LONGEST, NONE
from gateway.sandbox.vendors.application import called
from gateway.sandbox.vendors.errors import SANDBOX_FORM, SANDBOX_FULL
from gateway.transfer import entries

KIND: Final = "sandbox-fault"  # the note
MOST: Final = 20  # orders of one agency
MOST_CALLS: Final = 1000
MOST_MINUTES: Final = 1440.0
FIELDS: Final = ("kind", "operation", "system", "agency", "seconds", "calls", "minutes")
_NUMBER: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Orderer:
    """Who orders. `agency`: the tenant whose calls alone it may be; None for an operator."""

    actor: str
    agency: str | None


def read(given: Mapping[str, Any], by: Orderer, snapshot: Snapshot, now: float) -> Order:
    """From a form or a JSON object: `kind`; and, as far as wanted, `operation` (`field-report/v1 createRequest`, or a
    contract alone), `seconds` of the kind, `calls`, `minutes`; of an operator also `system` and `agency`.

    Raises `sandbox.form`.
    """
    kind = _text(given, "kind")
    if kind not in KINDS or kind == NONE:
        raise SANDBOX_FORM(field="kind", why=" | ".join(each for each in KINDS if each != NONE))
    calls = _number(given, "calls", MOST_CALLS)
    if calls != int(calls):
        raise SANDBOX_FORM(field="calls", why="a whole number")
    minutes = _number(given, "minutes", MOST_MINUTES)
    until = now + minutes * 60 if minutes else None
    return Order(
        _scope(given, by, snapshot), kind, _number(given, "seconds", LONGEST), int(calls), until, by.actor, now
    )


def order(connection: Connection, wanted: Order) -> None:
    """Takes the place of an order of the same scope. Raises `sandbox.full`."""
    others = [each for each in orders(connection) if each.scope.agency == wanted.scope.agency]
    if len([each for each in others if each.mark != wanted.mark]) >= MOST:
        raise SANDBOX_FULL(what="faults", most=MOST)
    put(connection, wanted)
    facts = shown(wanted) | {"milliseconds": round(wanted.seconds * 1000)}
    for name in ("seconds", "taken"):  # entries have no fractions
        del facts[name]
    append(connection, [entries.note(KIND, facts, wanted.at, actor=wanted.by)])


def end(connection: Connection, by: Orderer, mark: str | None, now: float) -> list[Order]:
    """Ends one order or all that he may end. Returns what it ended."""
    ended = reset(connection, by.agency, mark)
    if ended:
        facts = {"reset": [each.mark for each in ended], "agency": by.agency or ""}
        append(connection, [entries.note(KIND, facts, now, actor=by.actor)])
    return ended


def listed(connection: Connection, by: Orderer) -> list[Order]:
    return [each for each in orders(connection) if by.agency in (None, each.scope.agency)]


def shown(it: Order) -> dict[str, Any]:
    """As programs get it."""
    return {
        "mark": it.mark,
        "kind": it.kind,
        **it.scope._asdict(),
        "seconds": it.seconds,
        "calls": it.calls,
        "taken": it.taken,
        "until": None if it.until is None else rfc3339(it.until),
        "at": rfc3339(it.at),
    }


def operations(snapshot: Snapshot, agency: str | None) -> list[tuple[str, str]]:
    """(contract, operation) that a simulated system answers: those that the agency may call, or all."""
    held = None if agency is None else {
        (each.contract, name) for each in snapshot.grants(agency) if not each.receives for name in each.operations
    }  # fmt: skip
    every = (
        (name, each) for name in sorted(set(snapshot.contracts) - OWN) for each in called(snapshot.contracts[name])
    )
    return [each for each in every if held is None or each in held]


def _scope(given: Mapping[str, Any], by: Orderer, snapshot: Snapshot) -> Scope:
    contract, _, operation = _text(given, "operation").partition(" ")
    known = operations(snapshot, by.agency)
    if contract and not any(contract == name and operation in ("", each) for name, each in known):
        raise SANDBOX_FORM(field="operation", why="a contract and one of its operations that a provider answers")
    if by.agency is not None:
        for name in ("system", "agency"):
            if given.get(name) and given[name] != by.agency:
                raise SANDBOX_FORM(field=name, why="your own calls alone")
        return Scope(by.agency, "", contract, operation)
    system, agency = _text(given, "system"), _text(given, "agency")
    found = snapshot.systems.get(system)
    if system and (found is None or is_tenant(found.agency) or found.endpoint is None):
        raise SANDBOX_FORM(field="system", why="a system of the sandbox that is called")
    if agency and agency not in snapshot.agencies:
        raise SANDBOX_FORM(field="agency", why="the code of an agency")
    return Scope(agency, system, contract, operation)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str) or len(value) > 200:
        raise SANDBOX_FORM(field=name, why="a text of 1 to 200 characters")
    return value.strip()


def _number(given: Mapping[str, Any], name: str, most: float) -> float:
    value = given.get(name)
    text = "0" if value in (None, "") else str(value).strip()
    if isinstance(value, bool) or _NUMBER.fullmatch(text) is None or float(text) > most:
        raise SANDBOX_FORM(field=name, why=f"0 – {most:.0f}")
    return float(text)

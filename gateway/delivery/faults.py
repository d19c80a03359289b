"""Faults that vendors and operators of a sandbox order for simulated systems: whose calls they hit, and how many.

An order is a row of `instance`, one for each scope; a newer one takes its place. `FaultOrders` looks at them before a
call leaves, and says what the provider shall do wrong (`adapters.model.FAULT_HEADER`).
Invariant: the order of a tenant hits calls of this tenant alone. No order hits a call to a tenant's own provider.
Invariant: calls are counted in the transaction that hands out the fault, so several processes never exceed the count.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.exc import SQLAlchemyError

from contracts.base import jcs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.values import keep, locked_value_of
from gateway.registry.tenants import is_tenant

PREFIX: Final = "sandbox.fault."
_EVERY: Final = 0.2  # seconds between looks at the orders
_log: Final = logging.getLogger("lgsp.delivery")


class Scope(NamedTuple):
    """Which calls: of an agency, to a system, by an operation of a contract. Empty: any."""

    agency: str = ""
    system: str = ""
    contract: str = ""
    operation: str = ""

    def has(self, call: Scope) -> bool:
        return all(wanted in ("", given) for wanted, given in zip(self, call, strict=True))


@dataclass(frozen=True, slots=True)
class Order:
    """`calls`: how many it hits (0: any number), `taken`: how many it did. `until` and `at` are Unix time."""

    scope: Scope
    kind: str
    seconds: float
    calls: int
    until: float | None
    by: str
    at: float
    taken: int = 0

    @property
    def mark(self) -> str:
        """Names the order; it follows from its scope."""
        return hashlib.sha256(b"lgsp sandbox fault v1\n" + jcs.encode(list(self.scope))).hexdigest()[:16]

    @property
    def header(self) -> str:
        return f"{self.kind};seconds={self.seconds:.3f}"

    def holds(self, now: float) -> bool:
        return (not self.calls or self.taken < self.calls) and (self.until is None or now < self.until)


def put(connection: Connection, order: Order) -> None:
    keep(connection, PREFIX + order.mark, json.dumps(asdict(order), ensure_ascii=False))


def reset(connection: Connection, agency: str | None, mark: str | None = None) -> list[Order]:
    """Ends the order of this mark, or all of them; those of one agency, or anybody's. Returns what it ended."""
    ended = [each for each in orders(connection) if agency in (None, each.scope.agency) and mark in (None, each.mark)]
    keys = [PREFIX + each.mark for each in ended]
    connection.execute(delete(tables.instance).where(tables.instance.c.key.in_(keys)))
    return ended


def orders(connection: Connection) -> list[Order]:
    """All of them, oldest first; those that are used up too."""
    table = tables.instance.c
    rows = connection.scalars(select(table.value).where(table.key.startswith(PREFIX, autoescape=True)))
    return sorted(map(_read, rows), key=lambda each: (each.at, each.mark))


class FaultOrders:
    """The orders as one process sees them, a fifth of a second old at most."""

    def __init__(self, engine: Engine, clock: Callable[[], float], every: float = _EVERY) -> None:
        self._engine, self._clock, self._every = engine, clock, every
        self._known: list[Order] = []
        self._read = float("-inf")

    async def fault(self, call: Scope, owner: str) -> str:
        """What goes wrong with this call, as the header says it; empty for nothing. `owner`: agency of the provider."""
        if is_tenant(owner):
            return ""
        try:
            if time.monotonic() - self._read >= self._every:
                self._known = await asyncio.to_thread(self._look)
                self._read = time.monotonic()
            for each in self._meeting(call):
                if header := await asyncio.to_thread(self._take, each):
                    return header
        except SQLAlchemyError as failure:  # the call itself will say that the database fails
            _log.warning("the ordered faults cannot be read: %s", type(failure).__name__)
        return ""

    def _meeting(self, call: Scope) -> list[Order]:
        """Those that hit this call: what names more goes first, and of these the newest."""
        now = self._clock()
        found = [each for each in self._known if each.scope.has(call) and each.holds(now)]
        return sorted(found, key=lambda each: (sum(map(bool, each.scope)), each.at), reverse=True)

    def _look(self) -> list[Order]:
        with self._engine.connect() as connection:
            return orders(connection)

    def _take(self, order: Order) -> str:
        """Counts one call; empty if the order was used up or ended meanwhile."""
        if not order.calls:
            return order.header
        with writing(self._engine) as connection:
            value = locked_value_of(connection, PREFIX + order.mark)
            if value is None or not (now := _read(value)).holds(self._clock()):
                return ""
            put(connection, replace(now, taken=now.taken + 1))
            return now.header


def _read(text: str) -> Order:
    value = json.loads(text)
    return Order(**{**value, "scope": Scope(*value["scope"])})

"""Moves the clock of a tenant: forward by a time, forward to a moment, or back to real time.

Forward: what of the tenant waits in the queue is due sooner by the same time. Her quotas, grants, signatures, tokens
and certificates are judged by the new time from the next call on.
Back: what was signed in the time that was left is from the future, and refused until real time gets there. What was
accepted then stays known until that time, so it is never accepted twice.
Invariant: a move is one change of the registry with one entry of the log, which names who moved it.
Invariant: a production instance moves none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, case, exists, update

from contracts.base.times import rfc3339
from gateway.console.work.searching import moment
from gateway.delivery.queue import WAITING
from gateway.journal.schema import tables
from gateway.registry import tenant_clock
from gateway.registry.changes import self_service
from gateway.registry.changes.suspending import listed
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.tenant_clock import KEPT, MOST, TenantClock
from gateway.registry.tenants import is_tenant
from gateway.sandbox.clock.errors import (
    SANDBOX_CLOCK_BACK,
    SANDBOX_CLOCK_FAR,
    SANDBOX_CLOCK_NONE,
    SANDBOX_CLOCK_OFTEN,
)
from gateway.sandbox.vendors.errors import SANDBOX_FORM
from gateway.settings import Settings

KIND: Final = "tenant-clock"  # of the entry
DAY: Final = 86_400
HOUR: Final = 3_600


@dataclass(frozen=True, slots=True)
class Wanted:
    """Exactly one of: seconds to go forward, a moment (Unix time) to go to, or back to real time (neither)."""

    forward: int | None = None
    to: float | None = None


@dataclass(frozen=True, slots=True)
class Stands:
    """How a tenant's clock stands at a real time `now`; both in Unix seconds."""

    agency: str
    clock: TenantClock
    now: float

    @property
    def theirs(self) -> float:
        return self.now + self.clock.ahead

    @property
    def ahead_in_words(self) -> tuple[int, int, int]:
        """Days, hours and minutes."""
        return self.clock.ahead // DAY, self.clock.ahead % DAY // HOUR, self.clock.ahead % HOUR // 60

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "tenant": self.agency,
            "now": rfc3339(self.theirs),
            "real": rfc3339(self.now),
            "ahead": self.clock.ahead,
            "most": MOST,
        }


def read(given: Mapping[str, Any]) -> Wanted:
    """What a form or JSON asks for: `reset`, `to` (RFC 3339, or a time in Vietnam), or `days` and `hours`.

    Raises `sandbox.form`, `console.form`.
    """
    to, reset = given.get("to") or None, given.get("reset") or None
    parts = {name: given[name] for name in ("days", "hours") if given.get(name) not in (None, "")}
    if (to is not None) + (reset is not None) + bool(parts) != 1:
        raise SANDBOX_FORM(field="days", why="exactly one: days with hours, to, or reset")
    if reset is not None:
        return Wanted()
    if to is not None:
        return Wanted(to=moment(str(to)[:40], "to"))
    days, hours = (_number(name, parts.get(name, 0)) for name in ("days", "hours"))
    return Wanted(forward=days * DAY + hours * HOUR)


def _number(name: str, given: Any) -> int:
    text = str(given)
    if isinstance(given, bool) or not text.isascii() or not text.isdigit() or len(text) > 5:
        raise SANDBOX_FORM(field=name, why="a whole number from 0")
    return int(text)


def stands(connection: Connection, agency: str, now: float) -> Stands:
    """Raises `sandbox.clock-none` for an agency that is no tenant."""
    table = tables.agency.c
    row = connection.execute(table.clock.table.select().where(table.code == agency)).mappings().first()
    if row is None or not is_tenant(agency):
        raise SANDBOX_CLOCK_NONE(agency=agency[:60])
    return Stands(agency, tenant_clock.of(agency, row["clock"]), now)


def move(settings: Settings, engine: Engine, agency: str, wanted: Wanted, actor: str, now: float) -> Stands:
    """Moves it, and tells how it stands then. Raises `sandbox.clock-…`."""
    if settings.kind != "sandbox":
        raise SANDBOX_CLOCK_NONE(agency=agency[:60])
    with changing(engine, Seal.of(settings)) as act:
        before = stands(act.connection, agency, now)
        ahead = _ahead(before, wanted)
        if ahead == before.clock.ahead:  # a reset of a clock that is on real time
            return before
        moves = before.clock.moves
        if len(moves) == KEPT and (left := moves[0][0] + HOUR - now) > 0:
            raise SANDBOX_CLOCK_OFTEN(agency=agency, most=KEPT, retry_after=math.ceil(left))
        after = Stands(agency, before.clock.moved(now, ahead), now)
        changes = self_service.set_clock(act.connection, agency, after.clock)
        if ahead > before.clock.ahead:
            _bring_forward(act.connection, agency, ahead - before.clock.ahead, now)
        facts = {"changes": listed(changes), "tenant": agency, "before": before.clock.ahead, "ahead": ahead}
        act.note(KIND, facts, now, actor=actor)
    return after


def _ahead(before: Stands, wanted: Wanted) -> int:
    """Seconds ahead of real time that are wanted."""
    if wanted.forward is None and wanted.to is None:
        return 0
    if wanted.to is not None:
        ahead = math.ceil(wanted.to - before.now)
    else:
        ahead = before.clock.ahead + (wanted.forward or 0)
    if ahead <= before.clock.ahead:
        raise SANDBOX_CLOCK_BACK(
            agency=before.agency, now=rfc3339(before.theirs), wanted=rfc3339(before.now + max(ahead, -before.now))
        )
    if ahead > MOST:
        raise SANDBOX_CLOCK_FAR(agency=before.agency, days=MOST // DAY)
    return ahead


def _bring_forward(connection: Connection, agency: str, seconds: int, now: float) -> None:
    """Of the tenant's own messages alone. What is due stays so: no message waits for a time before it came."""
    queue, transfer = tables.queue, tables.transfer.c
    hers = exists().where(transfer.id == queue.c.transfer, transfer.caller_agency == agency)
    waiting = update(queue).where(queue.c.state == WAITING, queue.c.next_at > now, hers)
    sooner = queue.c.next_at - seconds
    connection.execute(waiting.values(next_at=case((sooner > now, sooner), else_=now)))

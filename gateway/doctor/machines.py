"""Examines the machines that share an instance's PostgreSQL: who has older keys, an older program, or is away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection

from gateway.doctor.findings import Finding, finding
from gateway.journal.database import moment
from gateway.machines import listing, records
from gateway.machines.listing import Listed
from gateway.machines.records import State
from gateway.settings import Settings
from security.grants.windows import civil

AWAY: Final = 600.0  # seconds; a machine that starts anew takes less
_WORKS: Final = (State.ACTIVE, State.DRAINING)


def machines(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """One machine alone, with SQLite, needs none of this: its row may have the name of an earlier host."""
    if connection.dialect.name == "sqlite":
        return
    now, here = moment(connection, time.time), records.name_of(settings)
    known = listing.every(connection, time.time)
    if any(each.machine.name == here and each.machine.state is State.REMOVED for each in known):
        yield finding("machines.removed", machines=here)
    every = [each for each in known if each.machine.state in _WORKS]
    behind = [each for each in every if each.behind and each.processes]
    if behind:
        yield finding("machines.keys-behind", machines=_named(behind, _keys), newest=behind[0].newest)
    newest = max((_order(each.machine.version) for each in every), default=())
    older = [each for each in every if not each.processes and () < _order(each.machine.version) < newest]
    if older:
        yield finding("machines.older", machines=_named(older, lambda each: each.machine.version or "?"))
    drained = [each for each in every if each.machine.state is State.DRAINING]
    if drained:
        works = any(each.machine.state is State.ACTIVE and each.processes for each in every)
        code = "machines.drained" if works else "machines.all-drained"
        yield finding(code, machines=_named(drained, lambda each: each.machine.reason or "–"))
    away = [each for each in every if each.machine.name != here and _away(each, now)]
    if away:
        yield finding("machines.away", machines=_named(away, _seen))


def _away(each: Listed, now: float) -> bool:
    """One that is drained may be off for as long as it takes."""
    it = each.machine
    return it.state is State.ACTIVE and not each.processes and (it.seen or it.added) < now - AWAY


def _order(version: str | None) -> tuple[int, ...]:
    """Of `0.3.0`: (0, 3, 0); empty if it is not known."""
    return tuple(int(each) for each in re.findall(r"[0-9]{1,9}", version or "")[:3])


def _named(every: list[Listed], about: Callable[[Listed], str]) -> str:
    return ", ".join(f"{each.machine.name} ({about(each)})" for each in every)


def _keys(each: Listed) -> str:
    trouble = each.machine.trouble
    return f"{each.machine.generation}: {trouble}" if trouble else str(each.machine.generation)


def _seen(each: Listed) -> str:
    return civil(each.machine.seen) if each.machine.seen is not None else "–"

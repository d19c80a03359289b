"""The machines of an instance with what is known of each, for commands, the doctor and pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from contracts.base.times import rfc3339
from gateway.journal.database import moment
from gateway.journal.schema import tables
from gateway.machines import records
from gateway.machines.agreeing import ALIVE_SECONDS
from gateway.machines.keeping import Shared
from gateway.machines.records import Machine, State


@dataclass(frozen=True, slots=True)
class Listed:
    """`processes` that beat, by kind. `newest`: the generation of the instance's keys."""

    machine: Machine
    processes: dict[str, int]
    newest: int

    @property
    def behind(self) -> bool:
        """Whether it has older keys than the instance."""
        return self.machine.state in (State.ACTIVE, State.DRAINING) and self.machine.generation < self.newest

    def shown(self) -> dict[str, Any]:
        """For programs."""
        it = self.machine
        return {
            "name": it.name,
            "state": str(it.state),
            "added": rfc3339(it.added),
            "actor": it.actor,
            "reason": it.reason,
            "host": it.host,
            "version": it.version,
            "seen": None if it.seen is None else rfc3339(it.seen),
            "clock_ahead_seconds": None if it.ahead is None else round(it.ahead, 3),
            "processes": self.processes,
            "generation": it.generation,
            "newest_generation": self.newest,
            "behind": self.behind,
            "trouble": it.trouble,
        }


def every(connection: Connection, clock: Callable[[], float]) -> list[Listed]:
    """In the order in which they were added."""
    row, now, newest = tables.process.c, moment(connection, clock), Shared.read(connection).generation
    heard = func.coalesce(row.heard, row.seen) > now - ALIVE_SECONDS
    beating = connection.execute(select(row.machine, row.kind).where(row.state == "alive", heard)).all()
    by_machine: dict[str, Counter[str]] = {}
    for name, kind in beating:
        by_machine.setdefault(str(name), Counter())[str(kind)] += 1
    return [
        Listed(each, dict(sorted(by_machine.get(each.name, Counter()).items())), newest)
        for each in records.every(connection)
    ]

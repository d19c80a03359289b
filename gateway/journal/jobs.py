"""Stores work that takes a while: bulk retries, connection tests, checks of the log. Who asked for it reads its rows.

Invariant: a job is running, stopped or done; its state in the database is all that a restarted process needs.
Invariant: a fact that no step has stated yet is None for whoever reads it, a page as well (`Facts`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.journal.schema.console_tables import console_job
from gateway.journal.wakes import ORDERS, announce

RUNNING, STOPPED, DONE = "running", "stopped", "done"
_job: Final = console_job.c
_RUNNING: Final = select(console_job).where(_job.state == RUNNING, _job.kind == bindparam("of")).order_by(_job.id)


class Facts(dict[str, Any]):
    """What the steps of a job have stated. A job may be read before its first step, and after a crash between two."""

    def __missing__(self, name: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    kind: str
    subject: str
    state: str
    actor: str
    reason: str
    created: float
    changed: float
    facts: Mapping[str, Any]

    def shown(self) -> dict[str, Any]:
        """For programs; what its facts mean depends on the kind."""
        times = {"created": rfc3339(self.created), "changed": rfc3339(self.changed)}
        return {"id": self.id, "state": self.state, "by": self.actor, "reason": self.reason, **times}


def add(connection: Connection, kind: str, subject: str, by: tuple[str, str], now: float, **facts: Any) -> Job:
    """A new running job; `by` is who asked for it, and why."""
    job = Job(new_id(int(now * 1000)), kind, subject, RUNNING, str(by[0]), by[1], now, now, Facts(facts))
    values = {name: getattr(job, name) for name in Job.__slots__ if name != "facts"}
    connection.execute(insert(console_job).values(**values, facts=json.dumps(facts)))
    announce(connection, (ORDERS,))
    return job


def find(connection: Connection, id: str, *, lock: bool = False) -> Job | None:
    query = select(console_job).where(_job.id == id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _of(row)


def newest(
    connection: Connection, kind: str, subject: str | None = None, limit: int = 10, *, state: str | None = None
) -> list[Job]:
    query = select(console_job).where(_job.kind == kind)
    if state is not None:
        query = query.where(_job.state == state)
    if subject is not None:
        query = query.where(_job.subject == subject)
    return [_of(row) for row in connection.execute(query.order_by(_job.id.desc()).limit(limit))]


def running(connection: Connection, kind: str) -> list[Job]:
    """Oldest first."""
    return [_of(row) for row in connection.execute(_RUNNING, {"of": kind})]


def change(connection: Connection, job: Job, now: float, state: str | None = None, **facts: Any) -> None:
    """Sets the state, and adds facts to those that it has."""
    values = {"state": state or job.state, "changed": now, "facts": json.dumps({**job.facts, **facts})}
    connection.execute(update(console_job).where(_job.id == job.id).values(**values))
    if state == RUNNING:
        announce(connection, (ORDERS,))


def _of(row: Row[Any]) -> Job:
    values = {name: getattr(row, name) for name in Job.__slots__}
    return Job(**{**values, "facts": Facts(json.loads(row.facts))})

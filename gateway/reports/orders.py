"""Orders of reports: jobs that people give and the keeper carries out.

Invariant: an order that runs is not given again.
Invariant: the report is made in a transaction that checks the keeper's lease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine

from contracts.base.errors import Failure
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.jobs import DONE, RUNNING, STOPPED, Job
from gateway.reports import store
from gateway.reports.drawing import Wanted
from gateway.reports.periods import Period
from gateway.settings import Settings

KIND: Final = "report"


class Keeping(NamedTuple):
    """What the keeper works with. `check` checks its lease."""

    engine: Engine
    settings: Settings
    lock: FileLock | None
    check: Callable[[Connection], object]
    clock: Callable[[], float]


def add(connection: Connection, wanted: Wanted, actor: str, now: float, *, anew: bool = False) -> Job:
    """The order; one for the same that still runs, if there is one."""
    first, last = wanted.period.first.isoformat(), wanted.period.last.isoformat()
    subject = f"{first} {last} {wanted.agency}"
    for job in jobs.newest(connection, KIND, subject, state=RUNNING):
        return job
    facts = {"first": first, "last": last, "agency": wanted.agency, "anew": anew, "step": 0}
    return jobs.add(connection, KIND, subject, (actor, ""), now, **facts)


def carry_out(keeping: Keeping) -> int:
    """Makes the reports that were ordered, oldest first. Returns how many."""
    with keeping.engine.connect() as connection:
        ordered = jobs.running(connection, KIND)
    for job in ordered:
        _make(keeping, job)
    return len(ordered)


def _make(keeping: Keeping, job: Job) -> None:
    known: dict[str, object] = {}  # beside the facts that it had at first

    def change(state: str | None = None, **facts: object) -> None:
        known.update(facts)
        with writing(keeping.engine, keeping.lock) as connection:
            keeping.check(connection)
            jobs.change(connection, job, keeping.clock(), state, **known)

    facts = job.facts
    wanted = Wanted(Period.from_days(facts["first"], facts["last"]), facts["agency"])
    making = store.Making(
        actor=job.actor,
        now=keeping.clock(),
        anew=facts["anew"],
        lock=keeping.lock,
        check=keeping.check,
        progress=lambda step, of: change(step=step, of=of),
    )
    try:
        report = store.make(keeping.engine, keeping.settings, wanted, making)
    except Failure as failure:
        change(STOPPED, failure=failure.code)
    else:
        change(DONE, report=report.id)

"""Records what a verification of the log found, as a job that ended and an entry of the log.

The console and the doctor show the newest one (`gateway.journal.log_checks`), wherever it was run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.jobs import DONE, Job
from gateway.journal.log_checks import KIND
from gateway.transfer import entries
from security.transparency.entry import Json

MOST: Final = 200  # findings that are kept


class Found(NamedTuple):
    """`size`: the entries that were verified; None if the verification told nothing."""

    ok: bool
    size: int | None
    wrong: Sequence[str]


def record(connection: Connection, origin: str, actor: str, times: tuple[float, float], found: Found) -> Job:
    """A verification that was run elsewhere than by a job; `times` are its begin and end."""
    began, ended = times
    job = jobs.add(connection, KIND, origin, (actor, ""), began)
    end(connection, job, ended, found)
    return job


def end(connection: Connection, job: Job, now: float, found: Found) -> None:
    kept: dict[str, Any] = {
        "ok": found.ok,
        "size": found.size,
        "wrong": list(found.wrong[:MOST]),
        "more": len(found.wrong[MOST:]),
    }
    jobs.change(connection, job, now, DONE, **kept)
    facts: dict[str, Json] = {"job": job.id, "ok": found.ok, "size": found.size, "wrong": len(found.wrong)}
    known = {name: value for name, value in facts.items() if value is not None}
    append(connection, [entries.note(KIND, known, now, actor=job.actor)])

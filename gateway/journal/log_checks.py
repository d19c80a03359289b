"""What the last verification of the log found: one asked for at the console or over the API, or run on the host.

Invariant: a verification that runs or was interrupted leaves the verdict of the one before it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from gateway.journal import jobs

KIND: Final = "log-check"
FRESH: Final = 7 * 86_400.0  # seconds after which a verification says too little of the log as it is now


class Verdict(NamedTuple):
    """`size`: the entries that were verified; None if the verification told nothing. `wrong` counts findings."""

    ok: bool
    at: float
    size: int | None
    wrong: int


def verdict(connection: Connection) -> Verdict | None:
    """Of the newest verification that ended; None if none ever did."""
    for job in jobs.newest(connection, KIND, state=jobs.DONE, limit=1):
        facts: Any = job.facts
        wrong = len(facts.get("wrong") or ()) + int(facts.get("more") or 0)
        return Verdict(bool(facts.get("ok")), job.changed, facts.get("size"), wrong)
    return None

"""Which releases run on which schema, so that a release and the one before it work on one database at once.

Theory of operation
1. Since 0.2.0 a migration only adds (`tests/journal/test_migrations.py`): what the release before wrote and reads
   stays. What is no longer used is dropped by the release after, at the earliest.
2. The newest program writes into `alembic_version`, beside the revision, which revisions are *served*: from its own
   back to the newest one of the release before. A program whose newest revision is among them starts on this schema.
3. 0.2.0 does not read that: its running processes go on, but it does not start. `lgsp schema back` brings the schema
   back for it (`gateway.backup.schema_back`).
4. A database that is older than the release before is only upgraded while no process beats on it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import DBAPIError

from gateway.journal.errors import JOURNAL_NEWER_RUNS, JOURNAL_OLDER_RUNS

# The newest revision of each release that others are brought back to, oldest first. A release adds its line when it
# ends, and the last line is then the release before.
HEADS: Final = {"0.2.0": "0045"}
BEFORE: Final = next(reversed(HEADS.values()))
_ALIVE: Final = text("SELECT id, host, seen FROM process WHERE state = 'alive'")
_NEWER: Final = text(f"{_ALIVE} AND version IS NOT NULL AND version <> :release")  # 0.2.0 wrote none
_BEATS: Final = 5.0  # seconds in which every process that lives has beaten


def serves(known: Sequence[str]) -> list[str]:
    """The revisions whose programs may start on this program's schema; `known`: its revisions, newest first."""
    return list(known[: known.index(BEFORE) + 1])


def served(connection: Connection) -> list[str]:
    """The revisions whose programs may start on this database; none if no program has said so."""
    try:
        with connection.begin_nested():
            value = connection.execute(text("SELECT served FROM alembic_version")).scalar()
    except DBAPIError:  # of before 0.3.0
        return []
    return [] if value is None else [str(each) for each in json.loads(value)]


def serve(connection: Connection, known: Sequence[str]) -> None:
    """Writes which revisions are served, where it is not written yet."""
    value = serves(known)
    if served(connection) != value:
        connection.execute(text("UPDATE alembic_version SET served = :value"), {"value": json.dumps(value)})


def check_stopped(engine: Engine) -> None:
    """Raises `journal.older-runs` if a process beats on this database: it would not run on the schema to come.

    Takes five seconds where a process did not end by itself. SQLite has processes of one machine, which one `lgsp up`
    at a time runs.
    """
    if beating := _beating(engine, _ALIVE):
        raise JOURNAL_OLDER_RUNS(processes=", ".join(beating))


def check_ended(engine: Engine, release: str) -> None:
    """Raises `journal.newer-runs` if a process of a newer program than `release` beats, in the same way."""
    if beating := _beating(engine, _NEWER.bindparams(release=release)):
        raise JOURNAL_NEWER_RUNS(processes=", ".join(beating), release=release)


def _beating(engine: Engine, query: TextClause) -> list[str]:
    if engine.dialect.name == "sqlite" or not (before := _beats(engine, query)):
        return []
    time.sleep(_BEATS)
    after = _beats(engine, query)
    return sorted(each for each, seen in after.items() if before.get(each) != seen)


def _beats(engine: Engine, query: TextClause) -> dict[str, float]:
    """The processes that live, with their machine, and when each beat by a clock of its own."""
    with engine.connect() as connection:
        return {f"{id} ({host})": float(seen) for id, host, seen in connection.execute(query)}

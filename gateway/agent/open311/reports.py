"""Keeps the reports that were sent through GeoReport, as long as GeoReport lists them.

Of a report only what GeoReport shows again is kept, sealed with the agent's own key: no name, telephone, e-mail
address, account or device of the citizen.
Invariant: a token is one report. A number of an agency is one report too: where two agencies gave the same number, the
later report keeps its token as its number.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.agent.config import DAY
from security.seal import seal, unseal

KEPT: Final = 90 * DAY  # GeoReport v2: a list spans 90 days, or 1,000 requests
LISTED: Final = 1000
PAUSE: Final = 5.0  # seconds between two questions about a report
RARELY: Final = 3600.0  # about a report that is settled, in a list
_MOST: Final = 50_000
_TABLE: Final = """
create table if not exists open311_report(
  token text primary key, number text not null unique, service text not null, status text not null,
  taken real not null, asked real not null default 0, settled integer not null, content blob not null);
create index if not exists open311_report_taken on open311_report(taken);
"""


class Update(NamedTuple):
    """A step of its handling: to which state, and what was said."""

    number: int
    status: str
    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a report came. `settled`: news are not likely; it is asked about once an hour."""

    status: str = "open"
    settled: bool = False
    transfer: str = ""
    notes: str = ""
    notice: str = ""
    agency: str = ""
    expected: str = ""
    updated: float = 0.0
    updates: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `shown`: its fields as text. `number` is the agency's, or the token until there is one."""

    token: str
    number: str
    service: str
    taken: float
    shown: Mapping[str, str]
    progress: Progress
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which reports are listed: by number or token, else by service, status and time of receipt."""

    ids: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since: float = 0.0
    until: float = float("inf")


class Reports:
    """A table in the agent's database. Its calls block for a moment, so they run in a thread."""

    def __init__(self, file: Path, key: bytes) -> None:
        self._key, self._lock = key, threading.Lock()
        self._base = sqlite3.connect(file, timeout=10.0, check_same_thread=False)
        self._base.row_factory = sqlite3.Row
        self._base.executescript(_TABLE)

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def put(self, report: Report) -> Report:
        """Store a report or its progress. Returns it with the number that it really has."""
        with self._lock, self._base as base, closing(base.cursor()) as cursor:
            taken = cursor.execute(
                "select 1 from open311_report where token <> ? and (number = ? or token = ?)",
                (report.token, report.number, report.number),
            ).fetchone()
            number = report.token if taken is not None else report.number
            progress = report.progress
            content = json.dumps({"shown": dict(report.shown), "progress": asdict(progress)}).encode()
            cursor.execute(
                "insert into open311_report(token, number, service, status, taken, asked, settled, content) "
                "values (?, ?, ?, ?, ?, ?, ?, ?) on conflict(token) do update set number = excluded.number, "
                "status = excluded.status, asked = excluded.asked, settled = excluded.settled, "
                "content = excluded.content",
                (
                    *(report.token, number, report.service, progress.status, report.taken, report.asked),
                    *(progress.settled, seal(self._key, _context(report.token), content)),
                ),
            )
            cursor.execute("delete from open311_report where taken < ?", (report.taken - KEPT,))
            cursor.execute(
                "delete from open311_report where token in "
                "(select token from open311_report order by taken desc limit -1 offset ?)",
                (_MOST,),
            )
        return Report(report.token, number, report.service, report.taken, report.shown, progress, report.asked)

    def found(self, filter: Filter) -> list[Report]:
        """The newest first, as many as GeoReport lists."""
        values: list[str | float]
        if filter.ids:
            marks = _marks(filter.ids)
            where, values = f"(number in ({marks}) or token in ({marks}))", [*filter.ids, *filter.ids]
        else:
            where, values = "taken >= ? and taken <= ?", [filter.since, filter.until]
            for column, wanted in (("service", filter.services), ("status", filter.statuses)):
                if wanted:
                    where, values = f"{where} and {column} in ({_marks(wanted)})", [*values, *wanted]
        query = f"select * from open311_report where {where} order by taken desc limit {LISTED}"
        with self._lock:
            return [self._report(row) for row in self._base.execute(query, values)]

    def due(self, now: float, limit: int) -> list[Report]:
        """Reports of which the gateway may have news, those first that were asked about longest ago."""
        query = (
            "select * from open311_report where asked < case settled when 0 then ? else ? end order by asked limit ?"
        )
        with self._lock:
            return [self._report(row) for row in self._base.execute(query, (now - PAUSE, now - RARELY, limit))]

    def _report(self, row: sqlite3.Row) -> Report:
        content: dict[str, Any] = json.loads(unseal(self._key, _context(row["token"]), row["content"]))
        return Report(
            token=row["token"],
            number=row["number"],
            service=row["service"],
            taken=row["taken"],
            shown=content["shown"],
            progress=_progress(content["progress"]),
            asked=row["asked"],
        )


def _progress(content: dict[str, Any]) -> Progress:
    return Progress(**content | {"updates": tuple(Update(*each) for each in content.get("updates", ()))})


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _context(token: str) -> bytes:
    return b"agent/open311/" + token.encode()

"""Makes, keeps and finds reports.

Invariant: the row with the figures and the entry with their digest are one transaction.
Invariant: a report whose figures do not match its entry is not given out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, insert, select

from contracts.base.ids import new_id
from gateway.journal.append import append
from gateway.journal.database import snapshot, writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import entry_of
from gateway.journal.schema.report_table import report as _report
from gateway.reports.drawing import Progress, Terms, Wanted, draw
from gateway.reports.errors import REPORT_ALTERED, REPORT_UNKNOWN
from gateway.reports.figures import Figures, figures_of
from gateway.reports.periods import Period
from gateway.settings import Settings
from gateway.transfer import entries

NOTE: Final = "report"
_row: Final = _report.c


class Listed(NamedTuple):
    """A report in a list."""

    id: str
    period: Period
    agency: str
    edition: int
    made: float

    def to_json(self) -> dict[str, Any]:
        return {
            "report": self.id,
            "from": self.period.first.isoformat(),
            "until": self.period.last.isoformat(),
            "agency": self.agency or None,
            "edition": self.edition,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`leaf` is the RFC 6962 leaf hash of its entry, `digest` the SHA-256 of the figures' canonical JSON."""

    id: str
    made: float
    figures: Figures
    raw: bytes
    leaf: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.raw).digest()

    @property
    def proof(self) -> str:
        """The address of the entry's proof, with the digest of the entry."""
        return f"{self.figures.letter.proof}{self.id}/proof.json#sha256={self.leaf.hex()}"

    @property
    def listed(self) -> Listed:
        figures = self.figures
        period = Period.from_days(figures.first, figures.last)
        return Listed(self.id, period, figures.agency, figures.edition, self.made)


class Making(NamedTuple):
    """Who makes a report and when. `check` runs in the transaction that writes it."""

    actor: str
    now: float
    anew: bool = False
    lock: FileLock | None = None
    check: Callable[[Connection], object] = lambda _: None
    progress: Progress = lambda step, of: None


def make(engine: Engine, settings: Settings, wanted: Wanted, making: Making) -> Report:
    """The report; its newest edition, if that was drawn after the period was over, unless `anew`."""
    with snapshot(engine) as connection:
        known = newest(connection, wanted)
        if known is not None and not making.anew and wanted.period.over(known.made):
            return find(connection, known.id)
        edition = 1 if known is None else known.edition + 1
        figures = draw(connection, settings, wanted, Terms(edition, making.now, making.progress))
    raw, id, period = figures.encoded(), new_id(int(making.now * 1000)), wanted.period
    days = {"first": period.first.isoformat(), "last": period.last.isoformat()}
    facts: dict[str, Any] = {**days, "edition": edition, "sha256": hashlib.sha256(raw).hexdigest()}
    facts |= {"size": figures.log.size} | ({"of": wanted.agency} if wanted.agency else {})
    with writing(engine, making.lock) as connection:
        making.check(connection)
        latest = newest(connection, wanted)
        if latest is not None and latest.edition >= edition:  # another process was faster
            return find(connection, latest.id)
        values = {**days, "agency": wanted.agency, "edition": edition, "made": making.now, "figures": raw}
        connection.execute(insert(_report).values(id=id, **values))
        append(connection, [entries.note(NOTE, facts, making.now, actor=making.actor, about=id)])
        return find(connection, id)


def find(connection: Connection, id: str) -> Report:
    """Raises `report.unknown` and `report.altered`."""
    row = connection.execute(select(_report).where(_row.id == id)).first()
    if row is None:
        raise REPORT_UNKNOWN(report=id[:60])
    raw, entry = bytes(row.figures), entry_of(connection, id, NOTE)
    facts = None if entry is None or not entry.sound else entry.value.get("facts")
    if entry is None or not isinstance(facts, dict) or facts.get("sha256") != hashlib.sha256(raw).hexdigest():
        raise REPORT_ALTERED(report=id)
    return Report(id, float(row.made), figures_of(json.loads(raw)), raw, entry.leaf)


def agency_of(connection: Connection, id: str) -> str | None:
    """Of which agency a report is, empty for the whole instance; None if there is no such report."""
    return connection.scalar(select(_row.agency).where(_row.id == id))


def newest(connection: Connection, wanted: Wanted) -> Listed | None:
    period = wanted.period
    query = _listing().where(_row.first == period.first.isoformat(), _row.last == period.last.isoformat())
    row = connection.execute(query.where(_row.agency == wanted.agency).order_by(_row.edition.desc()).limit(1)).first()
    return None if row is None else _listed(row)


def listed(connection: Connection, agency: str | None = None, limit: int = 200) -> list[Listed]:
    """The newest first; `agency`: those of one agency alone."""
    query = _listing() if agency is None else _listing().where(_row.agency == agency)
    return [_listed(row) for row in connection.execute(query.order_by(_row.made.desc(), _row.id.desc()).limit(limit))]


def _listing() -> Any:
    return select(_row.id, _row.first, _row.last, _row.agency, _row.edition, _row.made)


def _listed(row: Any) -> Listed:
    return Listed(row.id, Period.from_days(row.first, row.last), row.agency, row.edition, float(row.made))

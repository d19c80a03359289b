"""Watches the deadlines of handlings, in the leading keeper: nudges before, escalates after (articles 11.2 and 12.2).

Theory of operation
1. A deadline has two points: when three quarters of its minutes are used up, and when it is due. `told` counts how many
   points of a handling were told, `next_at` is the time of the next one.
2. What is due for one agency goes into one mail, whose list is cut at `LISTED`. The agency is nudged; of what is
   overdue the centre is told as well.
3. Within `HOLD` seconds after a mail the next one of its kind waits and collects more, at most until the next point.
4. Nobody is told outside the hours of the deadline: then the point waits for them.
5. Without a server for mails nobody is told: nothing is written. What is overdue is seen in lists and counts.
Invariant: each point of a handling is told once: note, mail and mark are one transaction, which checks the lease.
Invariant: the log gets one note for what is told to an agency at one time, however many handlings it names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, false, func, select, update

from contracts.workflow.working_time import Calendar, between, counted, minute_of
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import HandlingRow
from gateway.notices import store as notices
from gateway.transfer import entries
from gateway.transfer.handling_events import FAR
from gateway.workflow.points import ESCALATE, Point, points_of
from gateway.workflow.records import Office, steps_of
from gateway.workflow.steps import is_sound, moments, sealed
from security.grants.windows import VIETNAM
from security.transparency.entry import Json

NOTE: Final = "handling-told"
PAGE: Final = 200
HOLD: Final = 300.0  # seconds between two mails of a kind to one agency
LISTED: Final = 20  # handlings that a mail lists
_GRACE: Final = 30  # minutes after working time in which its last deadlines are told
_ASIDE: Final = 2 * 7 * 24 * 60  # minutes in which hours are looked for
_row: Final = tables.handling.c
Check = Callable[[Connection], None]


class Told(NamedTuple):
    row: HandlingRow
    point: Point


@dataclass(frozen=True, slots=True)
class Watching:
    """`mails`: whether the settings name a server for them."""

    office: Office
    mails: bool

    def step(self, check: Check) -> int:
        """Tells what is due; returns how many handlings it looked at."""
        if not self.mails:
            return 0
        now, engine = self.office.clock(), self.office.engine
        with engine.connect() as connection:
            query = select(tables.handling).where(_row.next_at <= now, _row.ended == false())
            rows = [HandlingRow(*row) for row in connection.execute(query.order_by(_row.next_at).limit(PAGE))]
            found = [(row, self._points(connection, row)) for row in rows]
        if not rows:
            return 0
        with writing(engine, lock_of(engine)) as connection:
            check(connection)
            told: dict[tuple[str, str], list[Told]] = {}
            for row, points in found:
                self._look(connection, row, points, told)
            for (kind, agency), each in told.items():
                self._tell(connection, kind, agency, each)
        return len(rows)

    def _points(self, connection: Connection, row: HandlingRow) -> tuple[Point, ...]:
        if not is_sound(self.office, row):
            return ()
        return points_of(self.office.workflow(row), row, moments(steps_of(connection, row.id)))

    def _look(
        self,
        connection: Connection,
        row: HandlingRow,
        points: Sequence[Point],
        told: dict[tuple[str, str], list[Told]],
    ) -> None:
        """Takes the next point of a handling, or puts it off."""
        now = self.office.clock()
        if row.told >= len(points):
            self._mark(connection, row, row.told, FAR)
            return
        number = row.told  # of several points that are over the last one is told
        while number + 1 < len(points) and points[number + 1].at <= now:
            number += 1
        point, following = points[number], points[number + 1].at if number + 1 < len(points) else FAR
        held = min(self._held(connection, row, point, now), following)
        later = max(point.at, _open_at(point.calendar, now), held)
        if later > now:
            self._mark(connection, row, row.told, later)
        elif self._mark(connection, row, number + 1, following):
            told.setdefault((point.what, row.agency), []).append(Told(row, point))

    def _mark(self, connection: Connection, row: HandlingRow, told: int, next_at: int) -> bool:
        """Whether the handling is still as it was read. A row that was changed in the database stays so to be seen."""
        marked, table = row._replace(told=told, next_at=next_at), tables.handling
        seal = sealed(self.office, marked).seal if is_sound(self.office, row) else row.seal
        same = (table.c.id == row.id, table.c.version == row.version, table.c.told == row.told)
        values = {"told": told, "next_at": next_at, "seal": seal}
        return connection.execute(update(table).where(*same, table.c.seal == row.seal).values(values)).rowcount == 1

    def _held(self, connection: Connection, row: HandlingRow, point: Point, now: float) -> int:
        """Until when the next mail to the agency waits; 0: it need not."""
        mail = tables.mail.c
        query = select(func.max(mail.made)).where(mail.about == row.agency, mail.kind == point.what)
        last = connection.scalar(query.where(mail.made > now - HOLD))
        return 0 if last is None else int(last + HOLD) + 1

    def _tell(self, connection: Connection, kind: str, agency: str, told: Sequence[Told]) -> None:
        now = self.office.clock()
        named: list[Json] = [
            {"handling": row.id, "state": row.state, "due": point.due}
            for row, point in sorted(told, key=lambda each: (each.point.due, each.row.id))
        ]
        facts: dict[str, Json] = {"agency": agency, "subject": kind, "count": len(told), "handlings": named}
        if len(told) == 1:  # then the history of the message has it
            facts |= {"contract": told[0].row.contract, "transfer": told[0].row.transfer}
        append(connection, [entries.note(NOTE, facts, now, actor="keeper")])
        list_: dict[str, Any] = {"agency": agency, "count": len(told), "list": _list(told)}
        centre = self.office.registry.snapshot.centre()
        receivers = {agency, *((centre.code,) if kind == ESCALATE and centre is not None else ())}
        for each in sorted(receivers):
            notices.put(connection, kind, agency, each, list_, now)


def _open_at(calendar: Calendar, now: float) -> int:
    """When somebody may be told by these hours, from now on; 0: now. Never more than two weeks later."""
    minute = minute_of(now)
    if counted(between(calendar, minute - _GRACE, minute + 1)):
        return 0
    stretches = between(calendar, minute, minute + _ASIDE)
    first = next((each.start for each in stretches if each.counted), None)
    return 0 if first is None else first * 60


def _list(told: Sequence[Told]) -> str:
    lines = [
        f"- {datetime.fromtimestamp(point.due, VIETNAM):%Y-%m-%d %H:%M}  {row.contract}  {row.state}  {row.id}"
        for row, point in sorted(told, key=lambda each: (each.point.due, each.row.id))
    ]
    return "\n".join([*lines[:LISTED], *(["- …"] if len(lines) > LISTED else [])])

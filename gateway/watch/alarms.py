"""Alarms: what is wrong with a system, since when, and who has taken notice.

A condition that is seen opens an alarm. It is raised when the condition has held for a while, and ends when the
condition is gone. An alarm that was never raised leaves no trace.
Invariant: that an alarm was raised, told, ended or acknowledged is an entry of the log, in the same transaction.
Invariant: a system has at most one open alarm of a kind about one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.journal.append import append
from gateway.journal.schema.watch_tables import alarm as table
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from gateway.watch.errors import ALARM_ACKNOWLEDGED, ALARM_UNKNOWN

NOTE: Final = "alarm"
KEPT: Final = 90 * 86_400.0  # seconds that an alarm which has ended is shown
SHOWN: Final = 500
Facts = Mapping[str, str | int]
Conditions = Sequence[ColumnElement[bool]]


class Kind(StrEnum):
    DOWN = "down"  # the system takes no connections
    QUEUE = "queue"  # messages for it wait for long
    CERTIFICATE = "certificate"  # a certificate of it ends soon
    DUE = "due"  # data of it are due soon: a reminder
    LATE = "late"  # data of it are late
    CONFORM = "conform"  # its calls or answers no longer keep contract and wire profile


class Condition(NamedTuple):
    """What is wrong. `about`: what of the system; empty: the system itself."""

    system: str
    about: str
    since: float
    facts: Facts


class Alarm(NamedTuple):
    """A row of the table, whose columns are described there."""

    id: str
    kind: str
    system: str
    about: str
    facts: Facts
    since: float
    seen: float
    raised: float | None
    ended: float | None
    told: float | None
    told_end: float | None
    acknowledged: float | None
    by: str | None
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        times = {name: getattr(self, name) for name in ("since", "raised", "ended", "told", "acknowledged")}
        return {
            "id": self.id,
            "kind": self.kind,
            "system": self.system,
            "about": self.about or None,
            "facts": dict(self.facts),
            "by": self.by,
            "reason": self.reason,
            **{name: None if at is None else rfc3339(at) for name, at in times.items()},
        }


class Look(NamedTuple):
    """When it was looked, and for how many seconds a condition must hold before its alarm is raised."""

    snapshot: Snapshot
    at: float
    hold: float = 0.0


def settle(connection: Connection, kind: Kind, conditions: Iterable[Condition], look: Look) -> None:
    """Opens, raises and ends the alarms of a kind. `conditions` are all that hold now."""
    holding = {(each.system, each.about): each for each in conditions}
    for alarm in _open(connection, kind):
        condition = holding.pop((alarm.system, alarm.about), None)
        if condition is None:
            _end(connection, alarm, look)
            continue
        if dict(condition.facts) != dict(alarm.facts):
            _change(connection, alarm, {"facts": json.dumps(condition.facts)})
        if alarm.raised is None and not 0 <= look.at - alarm.seen < look.hold:  # a time to come would hold it for ever
            _raise(connection, alarm._replace(facts=condition.facts), look)
    for condition in holding.values():
        alarm = _of_condition(kind, condition, look.at)
        connection.execute(insert(table).values({**alarm._asdict(), "facts": json.dumps(condition.facts)}))
        if look.hold <= 0:
            _raise(connection, alarm, look)


def forget(connection: Connection, now: float) -> None:
    """Removes the rows of alarms that ended long ago. Their entries remain."""
    connection.execute(delete(table).where(table.c.ended < now - KEPT))


def raised(connection: Connection, *, ended: bool = False, limit: int = SHOWN) -> list[Alarm]:
    """The open ones, those first that nobody has acknowledged; or those that have ended. The newest first."""
    known = table.c.raised.is_not(None)
    if ended:
        return rows(connection, (known, table.c.ended.is_not(None)), (table.c.ended.desc(),), limit)
    order = (table.c.acknowledged.is_not(None), table.c.since.desc())
    return rows(connection, (known, table.c.ended.is_(None)), order, limit)


def rows(
    connection: Connection, where: Conditions, order: Sequence[ColumnElement[Any]] = (), limit: int = SHOWN
) -> list[Alarm]:
    query = select(table).where(*where).order_by(*order, table.c.id).limit(limit)
    return [_of(row) for row in connection.execute(query)]


def every(connection: Connection, where: Conditions) -> Iterator[Alarm]:
    """All of them, by id, in pages."""
    page = rows(connection, where)
    while page:
        yield from page
        page = rows(connection, (*where, table.c.id > page[-1].id)) if len(page) == SHOWN else []


def systems_of(connection: Connection, kind: Kind) -> set[str]:
    """The systems of which an alarm of this kind is raised."""
    where = (table.c.kind == kind, table.c.raised.is_not(None), table.c.ended.is_(None))
    return set(connection.scalars(select(table.c.system).where(*where)))


def find(connection: Connection, id: str) -> Alarm:
    """Raises `alarm.unknown`."""
    row = connection.execute(select(table).where(table.c.id == id, table.c.raised.is_not(None))).first()
    if row is None:
        raise ALARM_UNKNOWN(alarm=id[:60])
    return _of(row)


def acknowledge(connection: Connection, alarm: Alarm, by: tuple[str, str], look: Look) -> Alarm:
    """`by`: who takes notice, and the reason in words. Raises `alarm.acknowledged`."""
    actor, reason = by
    values = {"acknowledged": look.at, "by": actor, "reason": reason}
    free = table.c.acknowledged.is_(None)
    if not connection.execute(update(table).where(table.c.id == alarm.id, free).values(values)).rowcount:
        raise ALARM_ACKNOWLEDGED(alarm=alarm.id, by=str(find(connection, alarm.id).by))
    facts = {**_facts(alarm, look), "state": "acknowledged", "reason": reason}
    append(connection, [entries.note(NOTE, facts, look.at, actor=actor)])
    return alarm._replace(acknowledged=look.at, by=actor, reason=reason)


def mark_told(connection: Connection, alarm: Alarm, over: bool, look: Look) -> None:
    """Its contact was told of it, or that it is `over`."""
    _change(connection, alarm, {"told_end" if over else "told": look.at})
    state = "told-over" if over else "told"
    append(connection, [entries.note(NOTE, {**_facts(alarm, look), "state": state}, look.at)])


# --- rows -------------------------------------------------------------------------------------------------------------
def _open(connection: Connection, kind: Kind) -> list[Alarm]:
    query = select(table).where(table.c.kind == kind, table.c.ended.is_(None)).order_by(table.c.id)
    return [_of(row) for row in connection.execute(query)]


def _of(row: Any) -> Alarm:
    values = row._asdict()
    return Alarm(**{**values, "facts": json.loads(values["facts"])})


def _of_condition(kind: Kind, condition: Condition, now: float) -> Alarm:
    none = dict.fromkeys(("raised", "ended", "told", "told_end", "acknowledged", "by", "reason"))
    return Alarm(
        id=new_id(),
        kind=kind,
        system=condition.system,
        about=condition.about,
        facts=condition.facts,
        since=condition.since,
        seen=now,
        **none,
    )


def _raise(connection: Connection, alarm: Alarm, look: Look) -> None:
    _change(connection, alarm, {"raised": look.at})
    append(connection, [entries.note(NOTE, {**_facts(alarm, look), "state": "raised"}, look.at)])


def _end(connection: Connection, alarm: Alarm, look: Look) -> None:
    if alarm.raised is None:
        connection.execute(delete(table).where(table.c.id == alarm.id))
        return
    _change(connection, alarm, {"ended": look.at})
    append(connection, [entries.note(NOTE, {**_facts(alarm, look), "state": "over"}, look.at)])


def _change(connection: Connection, alarm: Alarm, values: Mapping[str, Any]) -> None:
    connection.execute(update(table).where(table.c.id == alarm.id).values(**values))


def _facts(alarm: Alarm, look: Look) -> dict[str, str | int | None]:
    system = look.snapshot.systems.get(alarm.system)
    return {
        "alarm": alarm.id,
        "subject": alarm.kind,
        "provider": alarm.system,
        "agency": None if system is None else system.agency,
        "since": rfc3339(alarm.since),
        **({"of": alarm.about} if alarm.about else {}),
        **alarm.facts,
    }

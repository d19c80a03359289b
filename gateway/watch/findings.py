"""Findings that stand: what is wrong with the gateway itself or with systems, since when, and who has taken notice.

A finding is raised when it has stood for a while (hold-down), and ends when it has been gone as long. One that comes
and goes is raised as flapping. What was never raised leaves no trace. Each machine settles its own; the leading keeper
those of the instance as a whole, with the alarms about systems among them.
Invariant: that one was raised, flaps, was told, acknowledged or ended is an entry of the log, in the same transaction.
Invariant: a machine has at most one open finding of a code about one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.journal.append import append
from gateway.journal.schema.watch_tables import finding as table
from gateway.transfer import entries
from gateway.watch.errors import ALARM_ACKNOWLEDGED, ALARM_UNKNOWN

NOTE: Final = "finding"
FLAPS: Final = 3  # how often it came back before it is told as flapping
KEPT: Final = 90 * 86_400.0  # seconds that one which has ended is shown
SILENT: Final = 86_400.0  # seconds after which what a machine saw last says nothing any more
SHOWN: Final = 500
MOST: Final = 200  # open ones of one machine
LONGEST: Final = 2000  # characters of what is said


class Taken(NamedTuple):
    """That somebody has taken notice."""

    at: float
    by: str
    reason: str


class Condition(NamedTuple):
    """What is seen now. `since`: None for since now. `taken`: where notice is taken elsewhere."""

    code: str
    about: str
    grave: bool
    what: Words
    next: Words
    since: float | None = None
    taken: Taken | None = None


class Standing(NamedTuple):
    """A row of the table, whose columns are described there."""

    id: str
    machine: str
    code: str
    about: str
    grave: bool
    said: Mapping[str, Mapping[str, str]]
    since: float
    stands: float
    seen: float
    gone: float | None
    flaps: int
    raised: float | None
    ended: float | None
    told: float | None
    told_flapping: float | None
    told_end: float | None
    acknowledged: float | None
    by: str | None
    reason: str | None

    @property
    def flapping(self) -> bool:
        return self.flaps >= FLAPS

    def to_json(self) -> dict[str, Any]:
        names = ("since", "raised", "ended", "told", "acknowledged")
        times = {name: getattr(self, name) for name in names}
        return {
            "id": self.id,
            "machine": self.machine or None,
            "code": self.code,
            "about": self.about or None,
            "grave": self.grave,
            "flapping": self.flapping,
            **{language: dict(words) for language, words in self.said.items()},
            "by": self.by,
            "reason": self.reason,
            **{name: None if at is None else rfc3339(at) for name, at in times.items()},
        }


def settle(connection: Connection, machine: str, seen: Iterable[Condition], now: float, hold: float) -> None:
    """Brings the open findings of a machine (empty: of the instance) up to what is seen now."""
    known = {(each.code, each.about): each for each in _every(connection, table.c.machine == machine, _OPEN)}
    distinct = {(each.code, each.about): each for each in seen}
    for condition in islice(distinct.values(), MOST):
        found = known.pop((condition.code, condition.about), None)
        if found is None:
            found = _begin(connection, machine, condition, now)
        _stands(connection, found, condition, now, hold)
    for each in known.values():
        gone = now if each.gone is None else each.gone
        if now - gone >= hold:
            _end(connection, each, now)
        elif each.gone is None:
            _change(connection, each, {"gone": now})


def forget(connection: Connection, now: float) -> None:
    """Ends what a machine saw that is silent for a day, and drops what ended long ago."""
    for each in _every(connection, _OPEN, table.c.seen < now - SILENT):
        _end(connection, each, now)
    connection.execute(delete(table).where(table.c.ended < now - KEPT))


def standing(connection: Connection, *, ended: bool = False) -> list[Standing]:
    """Those that were raised; not acknowledged and grave ones first."""
    which = table.c.ended.is_not(None) if ended else _OPEN
    order = [table.c.ended.desc()] if ended else [table.c.acknowledged.is_not(None), table.c.grave.desc(), table.c.id]
    return _every(connection, which, table.c.raised.is_not(None), order=order)


def ended_and(connection: Connection, *where: ColumnElement[bool]) -> list[Standing]:
    """Those that have ended, and of which this is so."""
    return _every(connection, table.c.ended.is_not(None), *where)


def find(connection: Connection, id: str) -> Standing:
    """Raises `alarm.unknown`."""
    found = _every(connection, table.c.id == id, table.c.raised.is_not(None))
    if not found:
        raise ALARM_UNKNOWN(alarm=id[:60])
    return found[0]


def acknowledge(connection: Connection, one: Standing, taken: Taken) -> Standing:
    """Nobody is told any more that it stands, until it has ended. Raises `alarm.acknowledged`."""
    values = {"acknowledged": taken.at, "by": taken.by, "reason": taken.reason}
    free = table.c.acknowledged.is_(None)
    if not connection.execute(update(table).where(table.c.id == one.id, free).values(values)).rowcount:
        raise ALARM_ACKNOWLEDGED(alarm=one.id, by=str(find(connection, one.id).by))
    note(connection, one, "acknowledged", taken.at, actor=taken.by, reason=taken.reason)
    return one._replace(acknowledged=taken.at, by=taken.by, reason=taken.reason)


def mark_told(connection: Connection, one: Standing, what: str, now: float) -> None:
    """`what`: told, told-again, told-flapping or told-over."""
    values = {"told_end": now} if what == "told-over" else {"told": now}
    _change(connection, one, values | ({"told_flapping": now} if one.flapping and what != "told-over" else {}))
    note(connection, one, what, now)


def note(connection: Connection, one: Standing, state: str, now: float, *, actor: str = "gateway", **more: str) -> None:
    facts = {
        "finding": one.id,
        "subject": one.code,
        "since": rfc3339(one.since),
        "state": state,
        **({"machine": one.machine} if one.machine else {}),
        **({"of": one.about} if one.about else {}),
        **more,
    }
    append(connection, [entries.note(NOTE, facts, now, actor=actor)])


# --- rows -------------------------------------------------------------------------------------------------------------
_OPEN: Final = table.c.ended.is_(None)


def _every(connection: Connection, *where: ColumnElement[bool], order: Sequence[Any] = ()) -> list[Standing]:
    rows = connection.execute(select(table).where(*where).order_by(*(order or [table.c.id])).limit(SHOWN))
    return [Standing(**{**row._asdict(), "said": json.loads(row.said)}) for row in rows]


def _said(condition: Condition) -> dict[str, dict[str, str]]:
    what, then = condition.what, condition.next
    return {
        language: {"what": getattr(what, language)[:LONGEST], "next": getattr(then, language)[:LONGEST]}
        for language in ("vi", "en")
    }


def _begin(connection: Connection, machine: str, condition: Condition, now: float) -> Standing:
    since = condition.since or now
    none = dict.fromkeys(
        ("gone", "raised", "ended", "told", "told_flapping", "told_end", "acknowledged", "by", "reason")
    )
    one = Standing(
        id=new_id(), machine=machine, code=condition.code, about=condition.about, grave=condition.grave,
        said=_said(condition), since=since, stands=since, seen=now, flaps=0, **none,
    )  # fmt: skip
    connection.execute(insert(table).values({**one._asdict(), "said": json.dumps(one.said, ensure_ascii=False)}))
    return one


def _stands(connection: Connection, one: Standing, condition: Condition, now: float, hold: float) -> None:
    values: dict[str, Any] = {"seen": now, "grave": condition.grave}
    values["said"] = json.dumps(_said(condition), ensure_ascii=False)
    if one.gone is not None:
        one = one._replace(gone=None, flaps=one.flaps + 1, stands=now)
        values |= {"gone": None, "flaps": one.flaps, "stands": now}
        if one.flaps == FLAPS:
            note(connection, one, "flapping", now)
    if one.raised is None and (now - one.stands >= hold or one.flapping):
        values["raised"] = now
        note(connection, one, "raised", now)
    _change(connection, one, values)
    if condition.taken is not None and one.acknowledged is None:
        acknowledge(connection, one, condition.taken)


def _end(connection: Connection, one: Standing, now: float) -> None:
    if one.raised is None:
        connection.execute(delete(table).where(table.c.id == one.id))
        return
    _change(connection, one, {"ended": now})
    note(connection, one, "over", now)


def _change(connection: Connection, one: Standing, values: Mapping[str, Any]) -> None:
    connection.execute(update(table).where(table.c.id == one.id).values(**values))

"""Tells the contacts of systems by mail what alarms were raised, and which are over (`gateway.notices`).

Many alarms of one contact go in one mail: it waits for `COLLECT` seconds, and the next mail to the same address for
`PAUSE`. An alarm that ended before its contact was told is not told, nor the end of a reminder. What can wait is told
by day.
Invariant: mail, row and entry are one transaction.
Invariant: all that waits is looked at: alarms whose system has no contact hold up no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, or_, select

from contracts.base.times import moment
from contracts.base.words import Words
from gateway.journal.schema.watch_tables import alarm as table
from gateway.notices import store
from gateway.notices.contacts import address_of
from gateway.notices.sending import lines
from gateway.registry.snapshot import Snapshot
from gateway.watch import alarms
from gateway.watch.alarms import Alarm, Kind, Look
from security.grants.windows import VIETNAM, civil

MAIL: Final = "alarms"
COLLECT: Final = 30.0
PAUSE: Final = 900.0
LINES: Final = 50  # of one mail
_BY_DAY: Final = frozenset({Kind.CERTIFICATE, Kind.DUE, Kind.LATE, Kind.CONFORM})
_DAY: Final = range(7, 19)  # hours in Vietnam


class _Due(NamedTuple):
    alarm: Alarm
    over: bool


def tell(connection: Connection, snapshot: Snapshot, now: float) -> int:
    """Puts the mails that are due; returns how many."""
    by_address: dict[str, list[_Due]] = {}
    for due in _due(connection, now):
        if (address := address_of(snapshot, due.alarm.system, now)) is not None:
            by_address.setdefault(address, []).append(due)
    if not by_address:
        return 0
    recent = {address_of(snapshot, each, now) for each in _told_since(connection, now - PAUSE)}
    put = 0
    for address, own in by_address.items():
        first = min((each.alarm.ended if each.over else each.alarm.raised) or now for each in own)
        if address in recent or now - first < COLLECT:
            continue
        system = own[0].alarm.system
        facts = {"number": len(own), "lines": [_line(each) for each in own[:LINES]]}
        store.put(connection, MAIL, own[0].alarm.id, system, facts, now)
        for each in own:
            alarms.mark_told(connection, each.alarm, each.over, Look(snapshot, now))
        put += 1
    return put


def _due(connection: Connection, now: float) -> Iterable[_Due]:
    by_day = datetime.fromtimestamp(now, VIETNAM).hour in _DAY
    begun = (table.c.raised.is_not(None), table.c.told.is_(None), table.c.ended.is_(None))
    over = (
        table.c.told.is_not(None),
        table.c.told_end.is_(None),
        table.c.ended.is_not(None),
        table.c.kind != Kind.DUE,
    )
    every = [
        *(_Due(each, False) for each in alarms.every(connection, begun)),
        *(_Due(each, True) for each in alarms.every(connection, over)),
    ]
    return [each for each in every if by_day or each.alarm.kind not in _BY_DAY]


def _told_since(connection: Connection, at: float) -> Iterable[str]:
    told = or_(table.c.told > at, table.c.told_end > at)
    return connection.scalars(select(table.c.system).where(told).distinct())


def said(alarm: Alarm) -> Words:
    """An alarm that was raised, in words."""
    return lines([_line(_Due(alarm, False))])


def _line(due: _Due) -> Mapping[str, str | int]:
    alarm = due.alarm
    texts = {name: civil(value) if _is_time(value) else value for name, value in alarm.facts.items()}
    words = f"alarm.{alarm.kind}.{'over' if due.over else 'raised'}"
    ended = {} if alarm.ended is None else {"ended": civil(alarm.ended)}
    return {**texts, **ended, "words": words, "system": alarm.system, "of": alarm.about, "since": civil(alarm.since)}


def _is_time(value: str | int) -> bool:
    return isinstance(value, str) and "T" in value and moment(value) is not None

"""Alarms about systems for pages and programs (`gateway.watch`).

Invariant: somebody sees, and acknowledges, the alarms of those systems whose scorecards he sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work.scorecards import may_see
from gateway.registry import contacts
from gateway.registry.contacts import Contact
from gateway.registry.records import Agency, System
from gateway.watch import alarms
from gateway.watch.alarms import Alarm, Look
from gateway.watch.errors import ALARM_UNKNOWN


class Row(NamedTuple):
    """An alarm, whose it is, and who is to be told."""

    alarm: Alarm
    system: System
    agency: Agency | None
    contact: Contact | None


class Shown(NamedTuple):
    open: tuple[Row, ...]
    ended: tuple[Row, ...]
    at: float


def every(desk: Desk, viewer: Viewer) -> Shown:
    with desk.reading() as connection:
        open_ones, ended = alarms.raised(connection), alarms.raised(connection, ended=True)
    return Shown(tuple(_rows(desk, viewer, open_ones)), tuple(_rows(desk, viewer, ended)), desk.now())


def acknowledge(desk: Desk, viewer: Viewer, id: str, reason: str) -> Alarm:
    """Raises `alarm.unknown` and `alarm.acknowledged`."""
    with desk.writing() as connection:
        alarm = alarms.find(connection, id)
        if not [*_rows(desk, viewer, [alarm])]:
            raise ALARM_UNKNOWN(alarm=id[:60])
        look = Look(desk.services.registry.snapshot, desk.now())
        return alarms.acknowledge(connection, alarm, (viewer.actor, reason), look)


def mark(desk: Desk) -> object:
    """A small value that changes with what the page shows to anybody."""
    with desk.reading() as connection:
        rows = [*alarms.raised(connection), *alarms.raised(connection, ended=True, limit=1)]
    return [(each.id, each.acknowledged, each.ended, *each.facts.values()) for each in rows]


def _rows(desk: Desk, viewer: Viewer, found: Sequence[Alarm]) -> Iterator[Row]:
    snapshot, now = desk.services.registry.snapshot, desk.now()
    for alarm in found:
        system = snapshot.systems.get(alarm.system)
        if system is None or not may_see(desk, viewer, system):
            continue
        agency = snapshot.agency(system.agency)
        known = (*system.contacts, *(() if agency is None else agency.contacts))
        yield Row(alarm, system, agency, next(iter(contacts.present(known, now)), None))

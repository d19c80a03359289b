"""Settles what is wrong with the instance as a whole, and tells those who operate it (`gateway.watch.findings`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine

from contracts.base.words import WordsFile
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.watch import alarms, findings, operators, telling
from gateway.watch.alarms import Alarm, Kind
from gateway.watch.findings import Condition, Taken

SECONDS: Final = 5.0
LOOK: Final = 120.0  # seconds between two examinations, at most
_NEXT: Final = WordsFile(__file__)("next")


def look_seconds(settings: Settings) -> float:
    """Between two examinations: what stands for the time of the hold-down is seen twice in it."""
    return max(1.0, min(LOOK, settings.alarm_hold_seconds / 2))


@dataclass(slots=True)
class Findings:
    engine: Engine
    lock: FileLock | None
    settings: Settings
    examine: Callable[[], Sequence[Condition]]
    clock: Callable[[], float]
    _looked: float = 0.0

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self._look, lease)
        return 0

    def _look(self, lease: Lease) -> None:
        now, settings = self.clock(), self.settings
        found = None
        if abs(now - self._looked) >= look_seconds(settings):
            found, self._looked = self.examine(), now
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            if found is not None:
                seen = [*found, *_alarms(connection)]
                findings.settle(connection, "", seen, now, settings.alarm_hold_seconds)
                findings.forget(connection, now)
            operators.tell(connection, settings, now, settings.alarm_again_hours * 3600.0)


def _alarms(connection: Connection) -> Iterator[Condition]:
    """The open alarms about systems; a reminder is for its system alone."""
    for each in alarms.raised(connection):
        if each.kind != Kind.DUE:
            yield Condition(
                code=f"alarm.{each.kind}",
                about=" ".join(filter(None, (each.system, each.about))),
                grave=False,
                what=telling.said(each),
                next=_NEXT,
                since=each.since,
                taken=_taken(each),
            )


def _taken(alarm: Alarm) -> Taken | None:
    if alarm.acknowledged is None:
        return None
    return Taken(alarm.acknowledged, alarm.by or "", alarm.reason or "")


def _findings(services: KeeperServices) -> Findings:
    return Findings(services.engine, services.lock, services.settings, services.examine, services.clock)


TASK = PeriodicTask("operators are not told what is wrong", _findings, SECONDS)

"""Looks which systems owe data: what is due soon, and what is late (article IV/12.1 of the regulation).

A contract declares its frequency, and how many messages it expects of a system in each period
(`gateway.scorecards.events`). Data of a period are due when the following one ends. Who owes some is reminded in the
last quarter of that time, a week before at most, and named when they are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from contracts.compiled.contract import CompiledContract
from gateway.registry.snapshot import Snapshot
from gateway.scorecards import periods
from gateway.scorecards.events import Feed
from gateway.scorecards.figures import Days, Expected, Span
from gateway.watch.alarms import Condition

LEAD: Final = 7 * 86_400.0
_SOONEST, _RAREST = 60.0, 3600.0  # between two looks at a contract


class Owing(NamedTuple):
    """`late` and `due` are conditions of these kinds."""

    late: list[Condition]
    due: list[Condition]


class _Looked(NamedTuple):
    next: float
    owed: list[tuple[str, Expected]]


@dataclass(slots=True)
class LateData:
    """Reads the feed of a contract once in a sixtieth of its period."""

    clock: Callable[[], float]
    _looked: dict[str, _Looked] = field(default_factory=dict)

    def look(self, connection: Connection, snapshot: Snapshot) -> Owing:
        now, owing = self.clock(), Owing([], [])
        for name, contract in sorted(snapshot.contracts.items()):
            if contract.contract.catalogue.frequency in periods.PERIODIC:
                for system, each in self._owed(connection, snapshot, (name, contract), now):
                    _judge(owing, system, each, now)
        return owing

    def _owed(
        self, connection: Connection, snapshot: Snapshot, named: tuple[str, CompiledContract], now: float
    ) -> Iterator[tuple[str, Expected]]:
        name, contract = named
        looked = self._looked.get(name)
        if looked is None or now >= looked.next:
            frequency = contract.contract.catalogue.frequency
            number = periods.number_of(frequency, now)
            length = periods.begin_of(frequency, number + 1) - periods.begin_of(frequency, number)
            feed = Feed(connection, snapshot, contract, Days(Span(now, now)), (now, 0.0))
            pause = min(_RAREST, max(_SOONEST, length / 60))
            ends = periods.begin_of(frequency, number + 1)  # then others are due
            looked = self._looked[name] = _Looked(min(now + pause, ends), list(feed.owed()))
        return ((id, each) for id, each in looked.owed if (system := snapshot.systems.get(id)) and system.active)


def _judge(owing: Owing, system: str, owed: Expected, now: float) -> None:
    if owed.came is not None:
        return
    period = periods.name_of(owed.frequency, owed.number)
    facts = {"contract": owed.contract, "period": period, "due": rfc3339(owed.due)}
    length = owed.due - periods.begin_of(owed.frequency, owed.number + 1)
    lead = min(LEAD, length / 4)
    if now >= owed.due:
        owing.late.append(Condition(system, owed.contract, owed.due, facts))
    elif now >= owed.due - lead:
        owing.due.append(Condition(system, f"{owed.contract} {period}", owed.due - lead, facts))

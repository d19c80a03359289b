"""Counts the events of one contract's feed by the systems that handed them in.

    corrected   events that correct or recall earlier data, of all `fed`
    fresh       events whose data were not older than one declared period when they came in, of all `dated`
    expected    periods that fell due, and when their data had come in (`gateway.scorecards.periods`): the first
                message, or as many as the contract expects of a system in each period (`catalogue.expected`)

The time of the data stands in the business key (`periods.time_part`). A contract without one, or without a periodic
frequency, expects nothing. Data are expected of a system whose agency may hand them in now, from the first message of
the system on. Data of a period that has not begun are not counted.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.ids import arrived
from contracts.canonical.model import Kind, Pattern
from contracts.compiled.contract import CompiledContract
from gateway.feeds.places import before
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from gateway.scorecards import periods
from gateway.scorecards.figures import DAY, HOUR, Days, Expected
from security.grants.grants import Reason

_AFTER: Final = DAY  # possible standstill of the sequencer
_REPLACING: Final = frozenset({Kind.CORRECTED.value, Kind.RECALLED.value})


class Feed:
    """The events of one contract."""

    def __init__(
        self,
        connection: Connection,
        snapshot: Snapshot,
        contract: CompiledContract,
        days: Days,
        times: tuple[float, float],
    ) -> None:
        self.connection: Final = connection
        self.snapshot: Final = snapshot
        self.contract: Final = contract.contract
        self.days: Final = days
        self.now, self.late = times
        frequency = self.contract.catalogue.frequency
        self.parts: Final = {
            name: part
            for name, each in self.contract.operations.items()
            if each.pattern is Pattern.SUBMIT
            for part in (periods.time_part(each.identity, contract.messages[each.request]),)
        }
        dated = any(part is not None for part in self.parts.values())
        self.frequency: Final = frequency if frequency in periods.PERIODIC and dated else None
        self.came: Final[dict[str, dict[int, list[float]]]] = {}  # by system and period: when its first messages came

    def count(self) -> None:
        span, since, until, due = self.days.span, self.days.span.since, self.days.span.until, range(0)
        if self.frequency is not None:
            due = periods.due_within(self.frequency, span.since, min(span.until, self.now))
            if due:
                since, until = min(since, periods.begin_of(self.frequency, due.start)), until + self.late
        self._events(since, until)
        if self.frequency is not None:
            self._expect(self.frequency, due)

    def _events(self, since: float, until: float) -> None:
        """The events that came in from `since` to before `until`."""
        table, name = tables.feed_event.c, self.contract.name
        low = before(self.connection, name, since)
        high = before(self.connection, name, until + _AFTER)
        rows = self.connection.execute(
            select(table.transfer, table.event)
            .where(table.contract == name, table.offset > low, table.offset <= high)
            .execution_options(yield_per=2000)
        )
        submitted = {f"{self.contract.namespace}:{name}": name for name in self.parts}
        for transfer, text in rows:
            at = arrived(transfer)
            if not since <= at < until:
                continue
            event = json.loads(text)
            base, _, end = str(event["type"]).rpartition(":")
            operation = submitted.get(event["type"]) or submitted.get(base)
            if operation is not None:
                system = str(event["source"]).removeprefix("urn:lgsp:system:")
                self._event(transfer, system, end in _REPLACING, self._times(operation, event))

    def _times(self, operation: str, event: Mapping[str, Any]) -> list[float]:
        part = self.parts[operation]
        return [] if part is None else list(periods.data_times(str(event.get("subject", "")), part))

    def _event(self, transfer: str, system: str, replaces: bool, times: list[float]) -> None:
        at, span, frequency = arrived(transfer), self.days.span, self.frequency
        if frequency is not None:
            came, now = self.came.setdefault(system, {}), periods.number_of(frequency, at)
            begun = {time: number for time in times if (number := periods.number_of(frequency, time)) <= now}
            times = list(begun)
            for number in begun.values():
                first = came.setdefault(number, [])
                insort(first, at)
                del first[self.contract.catalogue.expected :]
        if not span.since <= at < span.until:
            return
        counts = self.days.at(system, span.hour(transfer))
        counts.fed += 1
        counts.corrected += replaces
        if times:
            newest = max(times)
            age = max(0.0, at - newest)
            counts.ages.append(age)
            if frequency is not None:
                number = periods.number_of(frequency, newest)
                counts.dated += 1
                counts.fresh += age <= periods.begin_of(frequency, number + 1) - periods.begin_of(frequency, number)

    def _whole(self, system: str, number: int) -> float | None:
        """When the data of a period had come in; None if some are missing."""
        came, expected = self.came.get(system, {}).get(number, []), self.contract.catalogue.expected
        return came[expected - 1] if len(came) >= expected else None

    def owed(self) -> Iterator[tuple[str, Expected]]:
        """By system: the newest period that is due, and the period after it, which has ended."""
        if self.frequency is None:
            return
        newest = periods.number_of(self.frequency, self.now) - 2
        self._events(periods.begin_of(self.frequency, newest), self.now)
        for system, first in self._suppliers():
            for number in (newest, newest + 1):
                if periods.begin_of(self.frequency, number) >= first:
                    at = periods.due_of(self.frequency, number)
                    yield system, Expected(self.contract.name, self.frequency, number, at, self._whole(system, number))

    def _expect(self, frequency: str, due: range) -> None:
        since = self.days.span.since
        for system, first in self._suppliers():
            self.days.declared.add(system)
            for number in due:
                begin, at = periods.begin_of(frequency, number), periods.due_of(frequency, number)
                if begin < first:
                    continue
                when = self._whole(system, number)
                if when is not None and when > at + self.late:
                    when = None
                hour = int((at - since) // HOUR) - 1  # the hour that ends when they are due
                self.days.at(system, hour).expected.append(Expected(self.contract.name, frequency, number, at, when))

    def _suppliers(self) -> Iterator[tuple[str, float]]:
        """The systems that data are expected of, each with when its first message of the contract was accepted."""
        table, name = tables.transfer.c, self.contract.name
        operations = [each for each, part in self.parts.items() if part is not None]
        allowed: dict[str, bool] = {}
        for system in self.snapshot.systems.values():
            if system.agency not in allowed:
                allowed[system.agency] = any(self._may(system.agency, each) for each in operations)
            if not allowed[system.agency]:
                continue
            first = self.connection.scalar(
                select(table.id)
                .where(table.caller_system == system.id, table.contract == name, table.operation.in_(operations))
                .order_by(table.id)
                .limit(1)
            )
            if first is not None:
                yield system.id, arrived(first)

    def _may(self, agency: str, operation: str) -> bool:
        decision = self.snapshot.decide(agency, self.contract.name, operation, self.now)
        return decision.allowed or decision.reason is Reason.OUT_OF_HOURS

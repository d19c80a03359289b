"""Reminds receivers before and after a deadline, and tells agencies of their suspension, in the leading keeper.

A suspension is told by a case that the gateway opens, within a working day as the law has it: with the violation and
the way back. The case ends when the suspension does.
Invariant: nobody is reminded outside the working hours of the province.
Invariant: the steps in the log decide who is reminded when, and which suspensions were told (`signed`). Rows only say
when to look. A row that says another time gets the true one. Of a case whose rows are not as signed nobody is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from sqlalchemy import select, update

from contracts.base.words import WordsFile
from contracts.workflow.working_time import between, counted, minute_of
from gateway.cases.acting import Acting, By, Reply, remind_at, steps_of
from gateway.cases.checks import Wanted
from gateway.cases.kinds import GATEWAY, SUSPENSION
from gateway.cases.signed import steps_signed, suspensions_told
from gateway.cases.texts import MOST_SUBJECT, Text
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.records import SUSPENDED
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer import lease as leases
from gateway.transfer.case_entries import CLOSED, WITHDRAWN, fold
from gateway.transfer.lease import Lease
from security.grants.windows import civil

AT_ONCE: Final = 50
_AGAIN: Final = 600.0  # seconds until a case is looked at again whose rows are not as signed
_case: Final = tables.agency_case.c
_words: Final = WordsFile(__file__)
_SELF: Final = By(GATEWAY, GATEWAY)
_logger: Final = logging.getLogger("lgsp.cases")


@dataclass(frozen=True, slots=True)
class Reminding:
    """`acting` has no snapshot of its own: each run takes the registry's."""

    acting: Acting
    registry: Registry
    _again: dict[str, float] = field(default_factory=dict)  # altered suspensions -> when they are looked at again

    async def run_once(self, lease: Lease) -> int:
        return await asyncio.to_thread(self.run, lease)

    def run(self, lease: Lease) -> int:
        """Returns how many steps it took, so that the next run follows at once."""
        check = partial(leases.check, lease=lease)
        acting = replace(self.acting, snapshot=self.registry.snapshot, check=check)
        return self._suspensions(acting) + self._reminders(acting)

    def _reminders(self, acting: Acting) -> int:
        now = acting.clock()
        minute = minute_of(now)
        if not counted(between(acting.calendar, minute, minute + 1)):
            return 0
        taken, last = 0, ""
        query = select(_case.id).where(_case.remind_at <= now).order_by(_case.id).limit(AT_ONCE)
        while taken < AT_ONCE:  # by id: a case that takes no step holds no other up
            with acting.engine.connect() as connection:
                ids = list(connection.scalars(query.where(_case.id > last)))
            taken += sum(_remind(acting, id) for id in ids)
            if len(ids) < AT_ONCE:
                break
            last = ids[-1]
        return taken

    def _suspensions(self, acting: Acting) -> int:
        """One case for each agency or system that is suspended, as long as it is."""
        wanted, now = dict(_suspended(acting)), acting.clock()
        told = select(_case.reference, _case.id).where(
            _case.kind == SUSPENSION, _case.state.not_in((CLOSED, WITHDRAWN))
        )
        with acting.engine.connect() as connection:
            running = {row.reference: row.id for row in connection.execute(told)}
            opening = [each for each in wanted if each not in running and self._again.get(each, 0.0) <= now]
            ended = [each for each in running if each not in wanted and self._again.get(running[each], 0.0) <= now]
            opening, ended = opening[:AT_ONCE], ended[:AT_ONCE]
            if not opening and not ended:
                return 0
            standing = suspensions_told(connection)
        for each in sorted(standing.keys() & set(opening)):
            _logger.critical("the case of the suspension %s was changed in the database; it is not told again", each)
            self._again[each] = now + _AGAIN
        for each in (each for each in ended if standing.get(each) != running[each]):
            _logger.critical("case %s was changed in the database; it is not closed", running[each])
            self._again[running[each]] = now + _AGAIN
        opening = [each for each in opening if each not in standing]
        ended = [each for each in ended if standing.get(each) == running[each]]
        if not opening and not ended:
            return 0
        with writing(acting.engine, acting.lock) as connection:
            acting.check(connection)
            for reference in opening:
                acting.open_in(connection, _SELF, wanted[reference])
            for reference in ended:
                acting.act_in(connection, _SELF, running[reference], "close", Reply(content=_ended(reference)))
        return len(opening) + len(ended)


def _remind(acting: Acting, id: str) -> bool:
    now = acting.clock()
    with writing(acting.engine, acting.lock) as connection:
        acting.check(connection)
        steps, signed = steps_of(connection, id, locked=True), steps_signed(connection, id)
        if not signed or steps != signed:
            _logger.critical("case %s: its steps are not those of the log; nobody is reminded of it", id)
            at: float | None = now + _AGAIN
        elif (at := remind_at(acting.calendar, fold(signed), signed, now)) is not None and at <= now:
            acting.act_in(connection, _SELF, id, "remind", Reply())
            return True
        connection.execute(update(tables.agency_case).where(_case.id == id).values(remind_at=at))
    return False


def _suspended(acting: Acting) -> Iterator[tuple[str, Wanted]]:
    """Reference of what is suspended, and the case that tells of it."""
    snapshot = acting.snapshot
    for agency in snapshot.agencies.values():
        if agency.state == SUSPENDED:
            yield _wanted(snapshot, ("agency", agency.code), agency.code)
    for system in snapshot.systems.values():
        if system.state == SUSPENDED and system.agency in snapshot.agencies:
            yield _wanted(snapshot, ("system", system.id), system.agency)


def _wanted(snapshot: Snapshot, what: tuple[str, str], agency: str) -> tuple[str, Wanted]:
    notice, centre = snapshot.notices.get(what), snapshot.centre()
    facts = {
        "what": _words(what[0]),
        "id": what[1],
        "reason": _words("no-reason") if notice is None else notice.reason,
        "since": "–" if notice is None else civil(notice.since),
        "until": _words("no-end") if notice is None or notice.until is None else civil(notice.until),
        "ask": _words("operators") if centre is None else centre.reached,
    }
    content = _both("suspended.subject", "suspended.text", facts)
    reference = f"{what[0]}:{what[1]}"
    return reference, Wanted(kind=SUSPENSION, content=content, receivers=(agency,), reference=reference)


def _ended(reference: str) -> Text:
    what, _, id = reference.partition(":")
    return _both("resumed.subject", "resumed.text", {"what": _words(what), "id": id})


def _both(subject: str, text: str, facts: Mapping[str, object]) -> Text:
    """In Vietnamese, then in English."""
    head, body = _words(subject, **facts), _words(text, **facts)
    return Text(f"{head.vi} / {head.en}"[:MOST_SUBJECT], f"{body.vi}\n\n---\n\n{body.en}")

"""Opens a case and takes its steps: each is an entry of the log, rows, a sealed text and mails, in one transaction.

Invariant: a step is refused if its party, its state or its kind does not allow it; of two at once one is taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, insert, select, update

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.base.times import moment, rfc3339
from contracts.workflow.working_time import Calendar, deadline, minute_of
from gateway.cases import texts
from gateway.cases.calendar import day_of, of_province, within
from gateway.cases.checks import Wanted, check_link, check_opening
from gateway.cases.errors import CASE_DECISION, CASE_NOT_NOW, CASE_OTHER_PARTY, CASE_TEXT, CASE_UNKNOWN
from gateway.cases.kinds import GATEWAY, Kind, kinds
from gateway.cases.repeats import Once, opened_before, taken_before
from gateway.cases.texts import Text
from gateway.journal.append import append, apply
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow, Write
from gateway.registry.snapshot import Snapshot
from gateway.transfer.case_entries import (
    ACKNOWLEDGED,
    ANSWERED,
    MOST_REMINDERS,
    OPEN,
    RECEIVER,
    RUNNING,
    SENDER,
    Folded,
    Step,
    fold,
)
from gateway.vault.vault import Vault
from security.grants.windows import civil

DECISIONS: Final = ("granted", "refused")
MOST_STEPS: Final = 200  # of a case; more are only those that end it, and what the keeper sends
ENDS: Final = frozenset({"close", "withdraw"})
PAUSE: Final = 3600.0  # seconds between two reminders by the sender: each is a mail to all who owe something
# Act -> the role that takes it, and the states in which it is possible.
_ACTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "acknowledge": (RECEIVER, RUNNING),
    "answer": (RECEIVER, (OPEN, ACKNOWLEDGED, ANSWERED)),
    "close": (SENDER, (OPEN, ACKNOWLEDGED, ANSWERED)),
    "withdraw": (SENDER, RUNNING),
    "remind": (SENDER, RUNNING),
}
ACTS: Final = tuple(_ACTS)
_case: Final = tables.agency_case
_party: Final = tables.agency_case_party
_step: Final = tables.agency_case_step


@dataclass(frozen=True, slots=True)
class By:
    """The agency for which somebody acts, and how the log names him. `once`: the act comes once, however often it is
    asked for.
    """

    agency: str
    actor: str
    once: Once | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What comes with a step. `link` is the grant or proposal that a request became."""

    content: Text | None = None
    decision: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """`mails`: contacts are told by mail. `check` is that of the keeper's lease."""

    engine: Engine
    vault: Vault
    snapshot: Snapshot
    clock: Callable[[], float]
    mails: bool = False
    lock: FileLock | None = None
    check: Callable[[Connection], None] = field(default=lambda connection: None)

    @property
    def calendar(self) -> Calendar:
        return of_province(self.snapshot)

    def open(self, by: By, wanted: Wanted) -> Folded:
        """Raises: case.kind, case.sender, case.receiver, case.reference, case.text, case.notice."""
        with writing(self.engine, self.lock) as connection:
            self.check(connection)
            return self.open_in(connection, by, wanted)

    def open_in(self, connection: Connection, by: By, wanted: Wanted) -> Folded:
        now, calendar = self.clock(), self.calendar
        before = None if by.once is None else opened_before(connection, by.agency, by.once, now)
        if before is not None:
            return fold(steps_of(connection, before))
        kind, receivers = check_opening(connection, self.snapshot, by.agency, wanted, now)
        id, days = new_id(int(now * 1000)), wanted.days or kind.days
        due = within(calendar, now, days).due
        assert due is not None  # nothing pauses it
        row, text = texts.sealed(self.vault, id, 0, wanted.content, now)
        facts: dict[str, Any] = {
            "case": id,
            "number": 0,
            "act": "open",
            "agency": by.agency,
            "kind": kind.code,
            "answers": kind.answers,
            "receivers": list(receivers),
            "days": days,
            "due": rfc3339(due * 60),
            "text": text,
            "owners": [by.agency, *receivers],
        }
        facts |= {"reference": wanted.reference} if wanted.reference else {}
        if wanted.begins is not None:
            facts["begins"] = rfc3339(wanted.begins)
            facts |= {} if wanted.ends is None else {"ends": rfc3339(wanted.ends)}
            facts |= {"urgent": True} if wanted.urgent else {}
        facts |= {} if by.once is None else by.once.facts
        step = Step(rfc3339(now), by.actor, facts)
        case = self._write(connection, [], step, row, now)
        self._tell(connection, case, "case-opened", case.receivers, now)
        return case

    def act(self, by: By, case: str, act: str, reply: Reply | None = None) -> Folded:
        """Raises: case.unknown, case.other-party, case.not-now, case.decision, case.link."""
        with writing(self.engine, self.lock) as connection:
            self.check(connection)
            return self.act_in(connection, by, case, act, reply or Reply())

    def act_in(self, connection: Connection, by: By, case: str, act: str, reply: Reply) -> Folded:
        now = self.clock()
        before = steps_of(connection, case, locked=True)
        if not before:
            raise CASE_UNKNOWN(case=case[:60])
        folded = fold(before)
        if by.once is not None and taken_before(before, by.agency, by.once):
            return folded
        kind = kinds()[folded.kind]
        check_act(folded, kind, by.agency, act)
        if act == "remind" and by.agency != GATEWAY and _reminded(before) > now - PAUSE:
            raise CASE_NOT_NOW(case=case, state=folded.state, act=act)
        facts: dict[str, Any] = {
            "case": case,
            "number": len(before),
            "act": act,
            "agency": by.agency,
            "owners": list(dict.fromkeys([folded.sender, by.agency])),
        }
        facts |= {} if by.once is None else by.once.facts
        if act == "answer" and reply.content is None:
            raise CASE_TEXT(field="text", why="missing")
        if act == "answer" and kind.decides:
            facts |= _decided(connection, case, reply)
        row = None
        if reply.content is not None:
            row, facts["text"] = texts.sealed(self.vault, case, len(before), reply.content, now)
        step = Step(rfc3339(now), by.actor, facts)
        after = self._write(connection, before, step, row, now)
        if act == "answer" and after.sender != GATEWAY:
            self._tell(connection, after, "case-answered", [after.sender], now)
        if act == "remind":
            overdue = is_overdue(after, now)
            self._tell(connection, after, "case-overdue" if overdue else "case-due", after.owing, now)
        return after

    def _write(
        self, connection: Connection, before: Sequence[Step], step: Step, row: VaultRow | None, now: float
    ) -> Folded:
        steps = [*before, step]
        case = fold(steps)
        append(connection, [step.entry(now)])
        if row is not None:
            apply(connection, [Write(vault=(row,))])
        values = {**case.row(), "remind_at": remind_at(self.calendar, case, steps, now)}
        if before:
            connection.execute(update(_case).where(_case.c.id == case.id).values(values))
            connection.execute(delete(_party).where(_party.c.case_id == case.id))
        else:
            connection.execute(insert(_case).values(values))
        parties = [
            {"case_id": case.id, "agency": code, "role": each.role, "acknowledged": each.acknowledged,
             "answered": each.answered} for code, each in case.parties.items()
        ]  # fmt: skip
        connection.execute(insert(_party), parties)
        connection.execute(
            insert(_step).values(
                case_id=case.id, number=step.number, at=step.at, actor=step.actor, facts=step.text
            )  # fmt: skip
        )
        return case

    def _tell(self, connection: Connection, case: Folded, words: str, agencies: Sequence[str], now: float) -> None:
        if not self.mails:
            return
        from gateway.notices import store as notices  # a door that sends no mail does not load it

        due = moment(case.due)
        title = kinds()[case.kind].title
        facts = {
            "case": case.id,
            "kind": {"vi": title.vi, "en": title.en},
            "sender": case.sender,
            "due": "–" if due is None else civil(due),
        }
        for agency in agencies:
            notices.put(connection, words, case.id, agency, {**facts, "agency": agency}, now)


def _reminded(steps: Sequence[Step]) -> float:
    """When the sender reminded last."""
    own = [each.at for each in steps if each.act == "remind" and each.agency != GATEWAY]
    return (moment(own[-1]) or 0.0) if own else 0.0


def check_act(case: Folded, kind: Kind, agency: str, act: str) -> None:
    """Raises: case.other-party, case.not-now."""
    role, states = _ACTS[act]
    party = case.parties.get(agency)
    reminds = act == "remind" and agency == GATEWAY
    if not reminds and (party is None or party.role != role):
        raise CASE_OTHER_PARTY(case=case.id, agency=agency, act=act, party=role)
    late = act == "close" and kind.answers and case.state != ANSWERED
    done = act == "acknowledge" and party is not None and party.acknowledged is not None
    done = done or act not in ENDS and not reminds and case.steps >= MOST_STEPS
    if case.state not in states or late or done:
        raise CASE_NOT_NOW(case=case.id, state=case.state, act=act)


def possible(case: Folded, agency: str) -> tuple[str, ...]:
    """The acts that an agency may take now."""
    kind = kinds()[case.kind]

    def allowed(act: str) -> bool:
        try:
            check_act(case, kind, agency, act)
        except Failure:
            return False
        return True

    return tuple(act for act in ACTS if allowed(act))


def steps_of(connection: Connection, case: str, *, locked: bool = False) -> list[Step]:
    """In their order; empty if there is no such case."""
    if locked:  # on PostgreSQL two acts wait for one another here; SQLite has one writer
        connection.execute(select(_case.c.id).where(_case.c.id == case).with_for_update())
    query = select(_step.c.at, _step.c.actor, _step.c.facts).where(_step.c.case_id == case)
    return [step_of(*row) for row in connection.execute(query.order_by(_step.c.number))]


def step_of(at: str, actor: str, facts: str) -> Step:
    return Step(at, actor, json.loads(facts))


def is_overdue(case: Folded, now: float) -> bool:
    return case.state in RUNNING and case.due is not None and case.due <= rfc3339(now)


def _decided(connection: Connection, case: str, reply: Reply) -> dict[str, Any]:
    if reply.decision not in DECISIONS:
        raise CASE_DECISION(case=case, got=reply.decision or "–")
    if reply.decision == "granted":
        check_link(connection, reply.link or "–")
        return {"decision": reply.decision, "link": reply.link}
    return {"decision": reply.decision}


def remind_at(calendar: Calendar, case: Folded, steps: Sequence[Step], now: float) -> float | None:
    """A working day before the deadline, at it, and then once each working day; None if nobody is reminded."""
    opened, due = moment(case.opened), moment(case.due)
    if opened is None or due is None or not case.owing:
        return None
    sent = [each for each in steps if each.act == "remind" and each.agency == GATEWAY]
    late = [each for each in sent if each.at >= (case.due or "")]
    if late:
        last = moment(late[-1].at) or now
        return None if len(late) >= MOST_REMINDERS else _after(calendar, last, day_of(calendar))
    if sent:
        return due
    minutes = int(steps[0].facts["days"]) * day_of(calendar)
    return min(due, _after(calendar, opened, minutes - min(day_of(calendar), minutes // 2)))


def _after(calendar: Calendar, start: float, minutes: int) -> float:
    due = deadline(calendar, minute_of(start), minutes).due
    assert due is not None  # nothing pauses it
    return due * 60.0

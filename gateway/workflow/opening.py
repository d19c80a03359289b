"""Opens a handling for each message whose contract names a workflow, in the leading keeper.

Theory of operation
1. The feed of a contract whose workflow is live is followed in its order, from its first event: messages that came
   before there was one are handled too. A page is one transaction, with the position; it checks the lease.
2. A correction by the sender is a step of the handling of the message that it corrects, a recall is the step `cancel`.
   If nothing is handled that it names, a correction is opened as a message.
3. A message that nobody has to act on (`when` of the workflow), or whose body is gone, leaves a note that says so.
4. A stored position that this process did not write is not trusted: the feed is followed from the last message before
   it that has a handling, a step or a note. A message is followed twice without harm.
Invariant: each message of the feed up to the position has one handling for each competent agency, or that note.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, exists, or_, select

from contracts.base.times import moment
from contracts.base.words import WordsFile
from contracts.canonical.model import Kind
from contracts.compiled.contract import CompiledContract
from contracts.workflow.model import Party, Workflow
from gateway.feeds.reading import COLUMNS, FeedRow, events_of
from gateway.journal.append import append, apply
from gateway.journal.database import lock_of, writing
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.registry.own_feed import HANDLING
from gateway.registry.routing import path_of, values_at
from gateway.transfer import entries
from gateway.transfer.handling_events import NONE_NOTE, OPENED, UPDATE, doing
from gateway.workflow import steps
from gateway.workflow.competent import competent
from gateway.workflow.judging import MOST_STEPS, Judged
from gateway.workflow.records import CANCEL, Actor, Office, Opened, Wanted, read_row, steps_of
from gateway.workflow.steps import Before

PAGE: Final = 200
MOST_READ: Final = 1000  # codes of a message that are looked at
_CODES: Final = 20  # of them that are kept
_LONGEST: Final = 40
_SPACE: Final = re.compile(r"\s")
_words: Final = WordsFile(__file__)
_event: Final = tables.feed_event.c
_logger: Final = logging.getLogger("lgsp.workflow")
Check = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Opening:
    office: Office
    moved: dict[str, int] = field(default_factory=dict)  # how far this process followed each feed

    def step(self, check: Check) -> int:
        """Follows a page of each feed; returns how many events it had. Nothing is opened before the contract of the
        feed of handlings is in force. `check` refuses the transaction of a keeper that was overtaken.
        """
        snapshot = self.office.registry.snapshot
        if snapshot.contract(HANDLING) is None:
            return 0
        return sum(self._page(each, check) for each in snapshot.handled.values())

    def _page(self, contract: CompiledContract, check: Check) -> int:
        name, engine = contract.contract.name, self.office.engine
        with engine.connect() as connection:
            before = stored = position_of(connection, name)
            if stored != self.moved.get(name):
                before = min(stored, _followed(connection, name, stored))
            query = select(*COLUMNS).where(_event.contract == name, _event.offset > before)
            rows = [FeedRow.of(row) for row in connection.execute(query.order_by(_event.offset).limit(PAGE))]
            events = events_of(connection, name, rows, self.office.vault)[0] if rows else []
        if not rows and before == stored:
            self.moved[name] = stored
            return 0
        with writing(engine, lock_of(engine)) as connection:
            check(connection)
            if position_of(connection, name) != stored:
                return 0
            for row, event in zip(rows, events, strict=True):
                _Message(self.office, connection, contract, row, event).follow()
            after = rows[-1].offset if rows else before
            _move(connection, contract, after)
        self.moved[name] = after
        return len(rows)


@dataclass(frozen=True, slots=True)
class _Message:
    """An event of the feed, with the transaction in which it is followed."""

    office: Office
    connection: Connection
    contract: CompiledContract
    row: FeedRow
    event: Mapping[str, Any]

    def follow(self) -> None:
        """Opens the handling, or says why there is none."""
        workflow = _workflow(self.contract)
        type, reason = str(self.event["type"]), self.event.get("tombstonereason")
        what = doing(type, workflow.operation) if reason != "tampered" else Kind.SUBMITTED
        if what in (None, Kind.RESPONDED):
            return
        if reason is not None:
            _logger.critical("transfer %s: its message is gone (%s), it has no handling", self.row.transfer, reason)
            self._none(str(reason))
        elif what is Kind.SUBMITTED or not self._concerns_others(what is Kind.RECALLED):
            message = self.event["data"] if self.row.plain else self.event["data"]["request"]
            if what is Kind.RECALLED:
                self._none("recall")
            elif not _is_meant(message, workflow):
                self._none("when")
            else:
                self._open(message, workflow)

    def _open(self, message: Mapping[str, Any], workflow: Workflow) -> None:
        at, table = moment(self.event["time"]) or 0.0, tables.handling.c
        for each in competent(self.office.registry.snapshot, self.contract, self.event, message):
            opened = Opened(
                contract=self.contract,
                transfer=self.row.transfer,
                message=self.office.hash_id(self._message_id),
                at=at,
                agency=each.agency,
                system=each.system,
                sender_agency=str(self.event["lgspagency"]),
                sender_system=self._system,
                kind=_codes(message, workflow.kind),
                area=_codes(message, workflow.area),
            )
            if self.connection.scalar(select(table.id).where(table.id == opened.id)) is not None:
                continue
            apply(self.connection, [steps.opening(self.office, opened).write])

    def _concerns_others(self, recalled: bool) -> bool:
        """Takes the step of each handling of the messages that this one corrects or recalls; whether there are any."""
        replaced = str(self.event.get("lgspreplaces", "")).split()
        row, step = tables.handling.c, tables.handling_step.c
        by_steps = select(step.handling).where(step.transfer.in_(replaced), step.step == UPDATE)
        query = select(row.id).where(
            or_(row.transfer.in_(replaced), row.id.in_(by_steps)),
            row.contract == self.contract.contract.name,
            row.sender_agency == str(self.event["lgspagency"]),
        )
        ids = list(self.connection.scalars(query.order_by(row.id)))
        for id in ids:
            taken = select(step.number).where(step.handling == id, step.transfer == self.row.transfer)
            if self.connection.scalar(taken.limit(1)) is None:
                self._concern(id, recalled)
        return bool(ids)

    def _concern(self, id: str, recalled: bool) -> None:
        before = Before(read_row(self.connection, id), steps_of(self.connection, id))
        if not steps.is_sound(self.office, before.row):
            _logger.critical("handling %s: it was changed in the database; it takes no step", id)
            return
        workflow = self.office.workflow(before.row)
        cancel = next((each for each in workflow.possible(before.row.state, Party.SENDER) if each.name == CANCEL), None)
        if before.row.version >= MOST_STEPS and not (recalled and cancel is not None):
            _logger.warning("handling %s: it has %d steps, a correction is none", id, before.row.version)
            self._none("steps")
            return
        if recalled and cancel is not None:
            told = _words("recalled")
            wanted = Wanted(CANCEL, f"{told.vi} / {told.en}")
            judged = Judged(workflow.states[cancel.target], Party.SENDER)
            unit = steps.taken(self.office, before, wanted, judged, self._sender)
        else:
            unit = steps.corrected(self.office, before, self._sender)
        apply(self.connection, [unit.write])

    @property
    def _message_id(self) -> str:
        table = tables.transfer.c
        return str(self.connection.scalar(select(table.message_id).where(table.id == self.row.transfer)))

    @property
    def _system(self) -> str:
        return str(self.event["source"]).rpartition(":")[2]

    @property
    def _sender(self) -> Actor:
        agency = str(self.event["lgspagency"])
        return Actor(f"{agency}/{self._system}", agency, report=self.row.transfer)

    def _none(self, reason: str) -> None:
        transfer = self.row.transfer
        if entry_of(self.connection, transfer, NONE_NOTE) is None:
            facts = {"contract": self.contract.contract.name, "reason": reason}
            note = entries.note(NONE_NOTE, facts, self.office.clock(), actor="keeper", about=transfer)
            append(self.connection, [note])


def position_of(connection: Connection, contract: str) -> int:
    """The offset up to which the feed of a contract was followed; 0 before the first time."""
    value = value_of(connection, f"{OPENED} {contract}")
    return 0 if value is None else int(value.rpartition(" ")[2])


def _followed(connection: Connection, contract: str, upto: int) -> int:
    """The offset of the newest message that has a handling, took a step of one, or has the note that there is none."""
    handling, step = tables.handling.c, tables.handling_step.c
    told = (exists().where(each.c.transfer == _event.transfer, each.c.phase == NONE_NOTE) for each in tables.LOGS)
    treated = or_(
        exists().where(handling.transfer == _event.transfer), exists().where(step.transfer == _event.transfer), *told
    )
    query = select(_event.offset).where(_event.contract == contract, _event.offset <= upto, treated)
    return connection.scalar(query.order_by(_event.offset.desc()).limit(1)) or 0


def _move(connection: Connection, contract: CompiledContract, offset: int) -> None:
    keep(connection, f"{OPENED} {contract.contract.name}", f"{_workflow(contract).operation} {offset}")


def _workflow(contract: CompiledContract) -> Workflow:
    assert contract.workflow is not None
    return contract.workflow


def _is_meant(message: Mapping[str, Any], workflow: Workflow) -> bool:
    """Whether somebody has to act on it."""
    return all(
        any(each in values for each in values_at(message, path_of(path))) for path, values in workflow.when.items()
    )


def _codes(message: Mapping[str, Any], path: str | None) -> str:
    """The different codes at a path, with spaces between them. What is no code is left out."""
    if path is None:
        return ""
    values = (each for each in values_at(message, path_of(path)) if len(each) <= _LONGEST and not _SPACE.search(each))
    return " ".join(list(dict.fromkeys(islice(values, MOST_READ)))[:_CODES])

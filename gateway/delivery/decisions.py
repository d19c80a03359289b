"""Carries out what a person decides about a message that waits, or about a transfer in doubt.

| decision | of a transfer that is | afterwards |
|---|---|---|
| done | in doubt | answered; the provider's answer itself is not known |
| not done | in doubt | failed: `delivery.not-done` |
| retry | waiting, or dispatched and in doubt | waits, and is due now |
| discard | waiting | dead: `delivery.discarded` |
| cancel | waiting | dead: `delivery.cancelled`, since its sender asked for it |

Invariant: the decision and its entry in the log, with reason and person, are one transaction.
Invariant: a message under way is left to its worker. Rows that another transaction has locked count as under way.
Invariant: what has ended stays as it ended. Of each transfer the log has one outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, select

from contracts.base.errors import AnyErrorType
from contracts.canonical.model import Pattern
from contracts.compiled.contract import terms_of
from gateway.delivery.errors import (
    DELIVERY_CANCELLED,
    DELIVERY_DISCARDED,
    DELIVERY_NOT_DONE,
    QUEUE_ENDED,
    QUEUE_NOT_REPEATABLE,
    QUEUE_OTHER_STATE,
    QUEUE_UNCONFIRMED,
    QUEUE_UNDER_WAY,
    QUEUE_UNKNOWN,
)
from gateway.delivery.queue import DEAD, DONE, HELD, WAITING
from gateway.journal.append import apply
from gateway.journal.database import writing
from gateway.journal.logged import Logged, entry_of, free_phase
from gateway.journal.schema import tables
from gateway.journal.write import LogRow, QueueRow, TransferChange, Verdict, Write
from gateway.registry import versions
from gateway.transfer import entries, outcome
from gateway.transfer.stages import Ending, Fed, OpenTransfer
from gateway.transfer.states import FINAL, Event, State, after
from gateway.transfer.transfer_records import fed
from gateway.vault.classes import Keeping, keeping
from gateway.vault.integrity import intent_of, tampered
from gateway.vault.vault import Vault
from security.transparency.entry import Json


class Act(StrEnum):
    DONE = "done"
    NOT_DONE = "not-done"
    RETRY = "retry"
    DISCARD = "discard"
    CANCEL = "cancel"


class _End(NamedTuple):
    event: Event
    failure: AnyErrorType | None
    queue: str  # the state of its row in the queue


_ENDS: Final[Mapping[Act, _End]] = {
    Act.DONE: _End(Event.DECIDED_DONE, None, DONE),
    Act.NOT_DONE: _End(Event.DECIDED_NOT_DONE, DELIVERY_NOT_DONE, DONE),
    Act.DISCARD: _End(Event.GIVEN_UP, DELIVERY_DISCARDED, DEAD),
    Act.CANCEL: _End(Event.GIVEN_UP, DELIVERY_CANCELLED, DEAD),
}
_OF: Final[Mapping[Act, frozenset[State]]] = {
    Act.DONE: frozenset({State.IN_DOUBT}),
    Act.NOT_DONE: frozenset({State.IN_DOUBT}),
    Act.RETRY: frozenset({State.QUEUED, State.IN_DOUBT}),
    Act.DISCARD: frozenset({State.QUEUED}),
    Act.CANCEL: frozenset({State.QUEUED}),
}
NOTES: Final[Mapping[Act, str]] = {
    Act.DONE: "settled",
    Act.NOT_DONE: "settled",
    Act.RETRY: "retried",
    Act.DISCARD: "discarded",
    Act.CANCEL: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`unsent` is what a person states for the retry of an operation that is not idempotent: the provider did not act.

    `bulk` names the bulk retry that this retry belongs to.
    """

    transfer: str
    act: Act
    reason: str
    actor: str
    at: float
    unsent: bool = False
    bulk: str | None = None


class _Terms(NamedTuple):
    """What the contract says of a transfer that ends: what is kept of it, and the columns that its event tells."""

    keep: Keeping
    fed: Fed | None


def possible(state: str, pattern: str) -> tuple[Act, ...]:
    """The decisions that a transfer in this state takes."""
    acts = [act for act in Act if state in _OF[act]]
    if state == State.IN_DOUBT and pattern != Pattern.DISPATCH:
        acts.remove(Act.RETRY)
    return tuple(acts)


def decide(engine: Engine, vault: Vault, decision: Decision) -> State:
    """The state afterwards."""
    terms = _terms(engine, decision.transfer) if decision.act in _ENDS else None
    with writing(engine) as connection:
        if terms is None:
            return retry(connection, decision)
        return _end(connection, vault, decision, terms)


def retry(connection: Connection, decision: Decision) -> State:
    """Makes a message due now, within the caller's writing transaction."""
    row, place = _locked(connection, decision)
    note = _note(connection, decision, row)
    if row.state == State.QUEUED:
        again = Write(
            log=(note,), queue=place._replace(state=WAITING, next_at=decision.at) if place is not None else None
        )
        return _applied(connection, decision, again, State.QUEUED)
    _check_repeatable(connection, decision, row)
    state = after(State.IN_DOUBT, Event.SAFE_TO_REPEAT)
    change = TransferChange(row.id, row.state, None, state.value)
    queue = place or QueueRow(row.id, row.provider, f"{row.id}/canonical", decision.at, tries=1)
    queue = queue._replace(state=WAITING, next_at=decision.at, last_failure=queue.last_failure or row.failure)
    return _applied(connection, decision, Write(change=change, log=(note,), queue=queue), state)


def _end(connection: Connection, vault: Vault, decision: Decision, terms: _Terms) -> State:
    row, place = _locked(connection, decision)
    intent = _intent(connection, row)
    event, failure, place_after = _ENDS[decision.act]
    state = State(row.state)
    opened = OpenTransfer(row.id, None, row.provider, state, terms.keep, None, intent.leaf, terms.fed)
    how = Ending(
        event=event,
        at=decision.at,
        status=200 if failure is None else failure.status,
        failure=None if failure is None else failure.code,
    )
    write = outcome.end(opened, how, vault).write
    queue = None if place is None else place._replace(state=place_after)
    write = outcome.with_notes(write._replace(queue=queue), (_note(connection, decision, row),))
    return _applied(connection, decision, write, after(state, event))


def _locked(connection: Connection, decision: Decision) -> tuple[Row[Any], QueueRow | None]:
    """The transfer and its place in the queue, locked until the transaction ends. None of them is waited for: a worker
    that ends the message locks both in another order. Whoever misses the place does not lock the transfer, so that one
    of two who decide at once comes through.
    """
    id, transfer, queue = decision.transfer, tables.transfer, tables.queue
    columns = [queue.c[name] for name in QueueRow._fields]
    waits = connection.execute(select(*columns).where(queue.c.transfer == id).with_for_update(skip_locked=True)).first()
    if waits is None and connection.scalar(select(queue.c.transfer).where(queue.c.transfer == id)) is not None:
        raise QUEUE_UNDER_WAY(transfer=id)
    row = connection.execute(select(transfer).where(transfer.c.id == id).with_for_update(skip_locked=True)).first()
    state = connection.scalar(select(transfer.c.state).where(transfer.c.id == id)) if row is None else row.state
    if state is None:
        raise QUEUE_UNKNOWN(transfer=id)
    if row is None or state == State.FORWARDING:
        raise QUEUE_UNDER_WAY(transfer=id)
    if state in FINAL:
        raise QUEUE_ENDED(transfer=id, state=state)
    if state not in _OF[decision.act]:
        raise QUEUE_OTHER_STATE(transfer=id, state=state, act=decision.act.value)
    if state == State.QUEUED and (waits is None or waits.state not in (WAITING, HELD)):
        raise tampered(id, "queue.state")
    return row, None if waits is None else QueueRow(*waits)


def _intent(connection: Connection, row: Row[Any]) -> Logged:
    intent = intent_of(connection, row)
    if entry_of(connection, row.id, "outcome") is not None:
        raise tampered(row.id, "transfer.state")
    return intent


def _check_repeatable(connection: Connection, decision: Decision, row: Row[Any]) -> None:
    """A transfer in doubt is sent again only if its message is kept, and if that does no harm."""
    _intent(connection, row)
    body = select(tables.vault.c.id).where(tables.vault.c.id == f"{row.id}/canonical")
    if row.pattern != Pattern.DISPATCH or row.provider is None or connection.scalar(body) is None:
        raise QUEUE_NOT_REPEATABLE(transfer=row.id)
    if not row.idempotent and not decision.unsent:
        raise QUEUE_UNCONFIRMED(transfer=row.id, operation=row.operation)


def _note(connection: Connection, decision: Decision, row: Row[Any]) -> LogRow:
    facts: dict[str, Json] = {"act": decision.act.value, "before": row.state, "reason": decision.reason}
    if row.provider is not None:
        facts["provider"] = row.provider
    if decision.unsent:
        facts["unsent"] = True
    if decision.bulk is not None:
        facts["bulk"] = decision.bulk
    what = NOTES[decision.act]
    note = entries.note(what, facts, decision.at, actor=decision.actor, about=row.id)
    return note._replace(phase=free_phase(connection, row.id, what))


def _applied(connection: Connection, decision: Decision, write: Write, state: State) -> State:
    (written,) = apply(connection, [write])
    if written.verdict is not Verdict.COMMITTED:
        raise QUEUE_UNDER_WAY(transfer=decision.transfer)
    return state


def _terms(engine: Engine, transfer: str) -> _Terms:
    """Read before the transaction: it takes a while, and its columns never change."""
    table = tables.transfer
    with engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.id == transfer)).first()
        if row is None:
            raise QUEUE_UNKNOWN(transfer=transfer)
        contract = terms_of(versions.load(connection, row.bundle))
    assert contract is not None  # it was published
    pattern = Pattern(row.pattern)
    operation = contract.operations[row.operation]
    keep = keeping(contract.evidence, contract.retention_months, pattern)
    return _Terms(keep, fed(operation, row) if pattern is Pattern.DISPATCH else None)

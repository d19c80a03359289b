"""Records each step and the end of an open transfer as one unit of the journal.

A unit holds the change of the row, the entry of the log, the evidence and the receipt. The exchange, the queue, the
recovery from dead processes and the restore of a backup use it.
Invariant: a step that is not in the table of states cannot be written.
Invariant: columns, entry and receipt of an end are built from one value (`Ending`).
Invariant: a unit applies only in the state that it was built for and, if a process is named, only to that process's
  transfer.
Invariant: a dispatched transfer of a feed gets its one event in the unit that ends it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from adapters.model import evidence_of
from contracts.base.errors import Failure
from gateway.journal.write import FeedRow, LogRow, QueueRow, TransferChange, TransferRow, Write
from gateway.transfer import entries
from gateway.transfer.stages import Doubt, Ending, OpenTransfer, Receipt
from gateway.transfer.states import Event, State, after, through
from gateway.transfer.transfer_records import NOT_READ, EndFacts, end_event, end_subject, failed_rules, receipt_text
from gateway.vault import binding
from gateway.vault.errors import TRANSFER_TAMPERED
from gateway.vault.vault import Vault

UNKNOWN: Final = "transfer.in-doubt"  # the failure of a transfer whose process died


class Ended(NamedTuple):
    write: Write
    receipt: Receipt


class EndedNew(NamedTuple):
    row: TransferRow
    entry: LogRow
    receipt: Receipt


def end(transfer: OpenTransfer, how: Ending, vault: Vault) -> Ended:
    """Ends a transfer, with its event if it has one. A caller that took it from the queue adds the queue's row."""
    entry = entries.outcome(transfer, how)
    receipt = Receipt(transfer.id, intent=transfer.intent, outcome=entry.leaf)
    parts = evidence_of(how.call)
    bound: dict[str, bytes] = {}
    if how.answer is not None:
        parts.append(("answer", how.answer))
        bound["answer"] = entry.leaf
    change = _changed(transfer, how)
    # An answer that nobody has seen (decided: done) is named all the same, as one that is not kept.
    answered = how.answer is not None or change.state == State.ANSWERED.value
    change = change._replace(
        finished=how.at, answer_ref=f"{transfer.id}/answer" if answered else None, receipt=receipt_text(receipt)
    )
    feed: tuple[FeedRow, ...] = ()
    if transfer.fed is not None and how.failure != TRANSFER_TAMPERED.code:  # nothing sure can be told of that one
        ended = event_of(transfer, change.state, how)
        feed = (ended,)
        parts.append((binding.EVENT_PART, ended.event.encode()))
        bound[binding.EVENT_PART] = binding.of_event(ended.contract, ended.event)
    kept = (
        () if not parts or transfer.keep is None else vault.seal_kept(transfer.keep, transfer.id, parts, how.at, bound)
    )
    return Ended(Write(change=change, log=(entry,), vault=kept, feed=feed), receipt)


def end_new(row: TransferRow, transfer: OpenTransfer, how: Ending) -> EndedNew:
    """Row, entry and receipt of a transfer that ends in the unit that begins it (no provider is called)."""
    entry = entries.outcome(transfer, how)
    receipt = Receipt(transfer.id, intent=transfer.intent, outcome=entry.leaf)
    ended = row._replace(
        finished=how.at,
        status=how.status,
        failure=how.failure,
        answer_ref=f"{row.id}/answer" if how.answer is not None else None,
        receipt=receipt_text(receipt),
    )
    return EndedNew(ended, entry, receipt)


def event_of(transfer: OpenTransfer, state: str, how: Ending) -> FeedRow:
    """The event of the end of a transfer that has one."""
    assert transfer.fed is not None
    subject = end_subject(transfer.fed, how.answer)
    told = EndFacts(subject, {**NOT_READ, **transfer.fed.facts}, failed_rules(how.failure, how.call))
    return end_event(transfer.id, transfer.fed, state, how.failure, how.at, told)


def ended_already(transfer: OpenTransfer, how: Ending) -> Write:
    """For an outcome that is already in the log: only the row changes."""
    return Write(change=_changed(transfer, how))


def _changed(transfer: OpenTransfer, how: Ending) -> TransferChange:
    """The queue gives up a transfer by way of the state `queued`."""
    aside = how.event is Event.GIVEN_UP and transfer.state is not State.QUEUED
    state = through(transfer.state, Event.PUT_ASIDE, how.event) if aside else after(transfer.state, how.event)
    # `value`: the drivers are slow with anything but plain text
    return TransferChange(
        transfer.id, transfer.state.value, transfer.process, state.value, status=how.status, failure=how.failure
    )


def put_aside(transfer: OpenTransfer, queue: QueueRow, note: LogRow | None = None) -> Write:
    """The transfer waits in the queue. `note` is given the first time."""
    change = TransferChange(
        transfer.id, transfer.state.value, transfer.process, after(transfer.state, Event.PUT_ASIDE).value
    )
    return Write(change=change, log=() if note is None else (note,), queue=queue)


def with_notes(write: Write, notes: tuple[LogRow, ...]) -> Write:
    """The unit with further notes of the log, which precede its own entry."""
    return write._replace(log=(*notes, *write.log)) if notes else write


def unknown(transfer: OpenTransfer, why: Doubt, failure: Failure, vault: Vault | None = None) -> Write:
    """The call of the provider failed, and it is unknown whether the provider acted. With a `vault`, evidence of the
    call is kept under names of this phase: another try may follow.
    """
    parts = [] if vault is None else [(f"{why.phase}-{part}", data) for part, data in evidence_of(failure)]
    kept = (
        ()
        if vault is None or not parts or transfer.keep is None
        else vault.seal_kept(transfer.keep, transfer.id, parts, why.at)
    )
    change = _doubted(transfer, failure.code, Event.OUTCOME_UNKNOWN)._replace(status=failure.status)
    return Write(change=change, log=(entries.in_doubt(transfer, why),), vault=kept)


def abandoned(transfer: OpenTransfer, why: Doubt, *events: Event) -> Write:
    """The process that held the transfer cannot end it. `events` lead to in doubt, or back to the queue."""
    return Write(change=_doubted(transfer, UNKNOWN, *events), log=(entries.in_doubt(transfer, why),))


def _doubted(transfer: OpenTransfer, failure: str, *events: Event) -> TransferChange:
    state = through(transfer.state, *events)
    known = failure if state is State.IN_DOUBT else None
    return TransferChange(transfer.id, transfer.state.value, transfer.process, state.value, failure=known)


def left_in_queue(row: Any) -> QueueRow | None:
    """What becomes of a queued message whose outcome is not known: one of an order holds up its key. None if it was not
    queued. `row` has the columns of `transfer` and `queue`; `queued_for` is the provider in `queue`.
    """
    if not row.queued_for:
        return None
    return QueueRow(
        transfer=row.id,
        provider=row.queued_for,
        body_ref=row.body_ref,
        next_at=row.next_at,
        state="dead" if row.order_key is None else "held",
        tries=row.tries,
        last_failure=UNKNOWN,
        priority=row.priority,
        order_key=row.order_key,
        callback=row.callback,
    )

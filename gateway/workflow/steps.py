"""Makes the unit of a step: entry of the log, rows, event and its sealed body, written together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.base.times import moment, rfc3339
from contracts.canonical.model import Pattern
from contracts.workflow.model import Party, State, Workflow
from gateway.journal.logged import parse
from gateway.journal.write import FeedRow, Handled, HandlingRow, HandlingStep, LogRow, VaultRow, Write
from gateway.registry.own_feed import HANDLING
from gateway.transfer import entries
from gateway.transfer.handling_events import (
    FAR,
    NOTE,
    OPEN,
    OPERATION,
    UPDATE,
    after,
    event_of,
    message_of,
    phase_of,
    seal_of,
)
from gateway.transfer.transfer_records import facts_of
from gateway.vault import binding
from gateway.vault.classes import keeping
from gateway.vault.errors import TRANSFER_TAMPERED
from gateway.workflow.errors import HANDLING_NO_FEED
from gateway.workflow.judging import Judged
from gateway.workflow.points import points_of
from gateway.workflow.records import GATEWAY, Actor, Office, Opened, Wanted
from gateway.workflow.terms import Moment, Terms, terms_of


class Before(NamedTuple):
    """A handling as it stands, with its steps."""

    row: HandlingRow
    steps: tuple[HandlingStep, ...]


class Unit(NamedTuple):
    """What a step writes; the caller may add it to a unit of its own."""

    handled: Handled
    log: LogRow
    body: VaultRow
    event: FeedRow

    @property
    def write(self) -> Write:
        return Write(log=(self.log,), vault=(self.body,), feed=(self.event,), handled=self.handled)

    def added_to(self, write: Write) -> Write:
        return write._replace(
            log=(*write.log, self.log),
            vault=(*write.vault, self.body),
            feed=(*write.feed, self.event),
            handled=self.handled,
        )


def moments(steps: Sequence[HandlingStep]) -> list[Moment]:
    return [Moment(each.at, each.target, each.step != UPDATE) for each in steps]


def is_sound(office: Office, row: HandlingRow) -> bool:
    """Whether the row is as a process of the gateway wrote it."""
    return row.seal == seal_of(row, office.hash_id)


def sealed(office: Office, row: HandlingRow) -> HandlingRow:
    return row._replace(seal=seal_of(row, office.hash_id))


def opening(
    office: Office, opened: Opened, party: Party = Party.GATEWAY, actor: Actor = GATEWAY, reason: str = ""
) -> Unit:
    """The first step of a handling."""
    workflow = opened.contract.workflow
    assert workflow is not None
    at, state = _whole(office.clock()), workflow.states[workflow.start]
    passed = [Moment(at, state.name)]
    terms = terms_of(workflow, passed)
    facts = {
        "contract": opened.contract.contract.name,
        "operation": workflow.operation,
        "bundle": opened.contract.digest,
        "transfer": opened.transfer,
        "message": opened.message,
        "sender_agency": opened.sender_agency,
        "sender_system": opened.sender_system,
        "kind": opened.kind,
        "area": opened.area,
        "party": party.value,
        "by": actor.agency or None,
        "agency": opened.agency,
        "system": opened.system,
    }
    id = opened.id
    unit = _unit(office, None, id, {**facts, **_step(1, OPEN, state, terms)}, actor, at, reason)
    return _watched(office, unit, workflow, passed)


def taken(office: Office, before: Before, wanted: Wanted, judged: Judged, actor: Actor) -> Unit:
    """A step of the workflow that was judged."""
    row = _sound(office, before.row)
    at, workflow = _next(office, before), office.workflow(row)
    passed = [*moments(before.steps), Moment(at, judged.state.name)]
    terms = terms_of(workflow, passed)
    facts = {
        **_known(row),
        "party": judged.party.value,
        "by": actor.agency or None,
        "report": actor.report,
        "agency": wanted.to or row.agency,
        "system": None if wanted.to else row.system,
        "merged_into": wanted.into,
        "source": row.state,
        **_step(row.version + 1, wanted.step, judged.state, terms),
    }
    unit = _watched(office, _unit(office, row, row.id, facts, actor, at, wanted.reason.strip()), workflow, passed)
    return unit._replace(handled=unit.handled._replace(into=wanted.into))


def corrected(office: Office, before: Before, sender: Actor) -> Unit:
    """The sender corrected the message, by another one: the state stays."""
    row = _sound(office, before.row)
    workflow = office.workflow(row)
    facts = {
        **_known(row),
        "party": Party.SENDER.value,
        "by": sender.agency,
        "report": sender.report,
        "agency": row.agency,
        "system": row.system,
        "merged_into": row.merged_into,
        "source": row.state,
        **_step(row.version + 1, UPDATE, workflow.states[row.state], terms_of(workflow, moments(before.steps))),
    }
    return _unit(office, row, row.id, facts, sender, _next(office, before), "")


def _unit(
    office: Office, before: HandlingRow | None, id: str, facts: Mapping[str, Any], actor: Actor, at: float, reason: str
) -> Unit:
    contract = office.registry.snapshot.contract(HANDLING)
    if contract is None or OPERATION not in contract.contract.operations:
        raise HANDLING_NO_FEED(contract=HANDLING)
    said = {"reason": office.hash_id(reason)} if reason else {}
    known = {name: value for name, value in {**facts, **said}.items() if value is not None}
    note = entries.note(NOTE, known, at, actor=actor.name, about=id)
    entry = parse(note.entry)
    handled = after(before, entry)
    handled = handled._replace(row=sealed(office, handled.row))
    message = message_of(entry, handled, reason or None)
    operation = contract.contract.operations[OPERATION]
    told = {"lgspbundle": contract.digest, **facts_of(contract, operation, message, at)}
    event = event_of(entry, handled, told)
    body = contract.codec("canonical").write_json(operation.request, message)
    kept = keeping(contract.contract.evidence, contract.contract.retention_months, Pattern.SUBMIT)
    bound = binding.of_event(HANDLING, event.text)
    hidden = office.vault.seal(event.id, "canonical", body, at, kept.of("canonical"), bound)
    return Unit(
        handled,
        note._replace(phase=phase_of(handled.row.version)),
        hidden,
        FeedRow(HANDLING, event.id, event.text, hidden.id),
    )


def _watched(office: Office, unit: Unit, workflow: Workflow, passed: Sequence[Moment]) -> Unit:
    """The same, with the time of its first notice."""
    row = unit.handled.row
    first = next((each.at for each in points_of(workflow, row, passed)), FAR)
    return unit._replace(handled=unit.handled._replace(row=sealed(office, row._replace(next_at=first))))


def _known(row: HandlingRow) -> dict[str, Any]:
    """What the entry of each step tells of the message."""
    return {"contract": row.contract, "operation": row.operation, "transfer": row.transfer}


def _step(number: int, step: str, state: State, terms: Terms) -> dict[str, Any]:
    return {
        "number": number,
        "step": step,
        "state": state.name,
        "shown": state.shown,
        "ended": state.ends,
        "due": terms.due,
        "whole_due": terms.whole_due,
    }


def _sound(office: Office, row: HandlingRow) -> HandlingRow:
    if not is_sound(office, row):
        raise TRANSFER_TAMPERED(transfer=row.transfer, what="handling")
    return row


def _next(office: Office, before: Before) -> float:
    """The time of the next step, never before that of the last one."""
    return max(_whole(office.clock()), before.steps[-1].at)


def _whole(seconds: float) -> float:
    """The time as entries tell it."""
    return moment(rfc3339(seconds)) or 0.0

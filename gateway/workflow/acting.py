"""Takes a step of a handling for a person, or for the gateway.

Invariant: a step and its entry in the log are one transaction. Of two steps at once one is taken; the other is judged
again by the state that it then meets.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.errors import WORKFLOW_OTHER_PARTY
from contracts.workflow.model import Party
from gateway.journal.append import apply
from gateway.journal.batch import DependentWrites
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import HandlingRow
from gateway.registry.records import ACTIVE
from gateway.transfer.handling_events import OPEN
from gateway.vault.errors import TRANSFER_TAMPERED
from gateway.workflow import steps
from gateway.workflow.errors import HANDLING_BUSY, HANDLING_NO_TARGET, HANDLING_TOO_MANY, HANDLING_UNKNOWN
from gateway.workflow.judging import check_reason, judge, parties
from gateway.workflow.records import FORWARD, MERGE, Actor, Office, Opened, Wanted, read_row, steps_of
from gateway.workflow.steps import Before, Unit

TRIES: Final = 5
MOST_OF_MESSAGE: Final = 100  # handlings, of those that ended too
INVOLVE: Final = OPEN  # for another agency
INVOLVE_BY: Final = (Party.AGENCY, Party.CENTRE)


def act(office: Office, id: str, wanted: Wanted, actor: Actor) -> HandlingRow:
    """Takes a step; returns the handling after it. With the step `@open` that is the one of the other agency.

    Raises: handling.unknown, handling.no-reason, handling.bad-reason, handling.no-target, handling.too-many,
    handling.too-many-steps, handling.busy, workflow.no-step, workflow.not-now, workflow.other-party.
    """
    made = involving if wanted.step == INVOLVE else prepare
    for _try in range(TRIES):
        try:
            with writing(office.engine, lock_of(office.engine)) as connection:
                unit = made(connection, office, id, wanted, actor)
                apply(connection, [unit.write])
                return unit.handled.row
        except DependentWrites:  # another step was taken meanwhile
            continue
    raise HANDLING_BUSY(retry_after=2)


def may_involve(row: HandlingRow, actor: Actor) -> bool:
    """Whether somebody may have another agency handle the message, too."""
    return bool(set(parties(row, actor)) & set(INVOLVE_BY))


def involving(connection: Connection, office: Office, id: str, wanted: Wanted, actor: Actor) -> Unit:
    """What opens a handling of the same message for another agency, beside the one of `id`.

    An agency that has handed its one on, or has ended it, can get another.
    """
    row = read_row(connection, id)
    party = next((each for each in parties(row, actor) if each in INVOLVE_BY), None)
    if not parties(row, actor):
        raise HANDLING_UNKNOWN(handling=id)
    if party is None:
        facts: dict[str, Any] = {
            "step": INVOLVE,
            "by": ", ".join(INVOLVE_BY),
            "party": Party.SENDER,
            "possible": "—",
        }
        raise WORKFLOW_OTHER_PARTY(**facts, state=row.state)
    check_reason(INVOLVE, True, wanted.reason)
    if not steps.is_sound(office, row):
        raise TRANSFER_TAMPERED(transfer=row.transfer, what="handling")
    table = tables.handling.c
    known = connection.execute(select(table.id, table.agency, table.ended).where(table.transfer == row.transfer)).all()
    agency = _active(office, wanted)
    if len(known) >= MOST_OF_MESSAGE:
        raise HANDLING_TOO_MANY(most=MOST_OF_MESSAGE)
    if wanted.into is not None or any(each.agency == agency and not each.ended for each in known):
        raise HANDLING_NO_TARGET(step=INVOLVE, field="to")
    opened = Opened(
        contract=office.registry.compiled(row.bundle),
        transfer=row.transfer,
        message=row.message,
        at=row.opened,
        agency=agency,
        system=None,
        sender_agency=row.sender_agency,
        sender_system=row.sender_system,
        kind=row.kind,
        area=row.area,
    )
    ids = {each.id for each in known}
    numbered = (opened._replace(number=number) for number in range(1, len(ids) + 2))
    opened = next(each for each in numbered if each.id not in ids)
    return steps.opening(office, opened, party, actor, wanted.reason.strip())


def prepare(connection: Connection, office: Office, id: str, wanted: Wanted, actor: Actor) -> Unit:
    """What a step writes, if it is permitted as the handling stands now."""
    row = read_row(connection, id)
    judged = judge(office.workflow(row), row, wanted, actor)
    if wanted.step == FORWARD:
        wanted = wanted._replace(to=_receiver(office, row, wanted))
    if wanted.step == MERGE:
        _check_other(connection, row, wanted, actor)
    return steps.taken(office, Before(row, steps_of(connection, id)), wanted, judged, actor)


def _receiver(office: Office, row: HandlingRow, wanted: Wanted) -> str:
    agency = _active(office, wanted)
    if agency == row.agency:
        raise HANDLING_NO_TARGET(step=wanted.step, field="to")
    return agency


def _active(office: Office, wanted: Wanted) -> str:
    """The agency that a step names. One that is suspended handles nothing."""
    agency = office.registry.snapshot.agency(wanted.to or "")
    if agency is None or agency.state != ACTIVE:
        raise HANDLING_NO_TARGET(step=wanted.step, field="to")
    return agency.code


def _check_other(connection: Connection, row: HandlingRow, wanted: Wanted, actor: Actor) -> None:
    """A handling is merged into another one of its contract that has not ended, in which the actor has a part."""
    other = read_row(connection, wanted.into or "")
    if not parties(other, actor):
        raise HANDLING_UNKNOWN(handling=other.id)
    if other.id == row.id or other.ended or other.contract != row.contract:
        raise HANDLING_NO_TARGET(step=wanted.step, field="into")

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
from gateway.workflow import steps
from gateway.workflow.errors import HANDLING_BUSY, HANDLING_NO_TARGET, HANDLING_UNKNOWN
from gateway.workflow.judging import check_reason, judge, parties
from gateway.workflow.records import FORWARD, MERGE, Actor, Office, Opened, Wanted, read_row, steps_of
from gateway.workflow.steps import Before, Unit

TRIES: Final = 5
INVOLVE: Final = "@open"  # for another agency
INVOLVE_BY: Final = (Party.AGENCY, Party.CENTRE)


def act(office: Office, id: str, wanted: Wanted, actor: Actor) -> HandlingRow:
    """Takes a step; returns the handling after it.

    Raises: handling.unknown, handling.no-reason, handling.no-target, handling.busy, workflow.no-step, workflow.not-now,
    workflow.other-party.
    """
    for _try in range(TRIES):
        try:
            with writing(office.engine, lock_of(office.engine)) as connection:
                unit = prepare(connection, office, id, wanted, actor)
                apply(connection, [unit.write])
                return unit.handled.row
        except DependentWrites:  # another step was taken meanwhile
            continue
    raise HANDLING_BUSY(retry_after=2)


def involve(office: Office, id: str, agency: str, reason: str, actor: Actor) -> HandlingRow:
    """Opens a handling of the same message for another agency, beside the one of `id`; returns it.

    Raises: handling.unknown, handling.no-reason, handling.no-target, workflow.other-party.
    """
    with writing(office.engine, lock_of(office.engine)) as connection:
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
        check_reason(INVOLVE, True, reason)
        known, table = office.registry.snapshot.agency(agency), tables.handling.c
        handled = connection.scalars(select(table.agency).where(table.transfer == row.transfer))
        if known is None or agency in [*handled]:
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
        unit = steps.opening(office, opened, party, actor, reason.strip())
        apply(connection, [unit.write])
        return unit.handled.row


def prepare(connection: Connection, office: Office, id: str, wanted: Wanted, actor: Actor) -> Unit:
    """What a step writes, if it is permitted as the handling stands now."""
    row = read_row(connection, id)
    judged = judge(office.workflow(row), row, wanted, actor)
    if wanted.step == FORWARD:
        wanted = wanted._replace(to=_receiver(office, row, wanted))
    if wanted.step == MERGE:
        _check_other(connection, row, wanted)
    return steps.taken(office, Before(row, steps_of(connection, id)), wanted, judged, actor)


def _receiver(office: Office, row: HandlingRow, wanted: Wanted) -> str:
    agency = office.registry.snapshot.agency(wanted.to or "")
    if agency is None or agency.code == row.agency:
        raise HANDLING_NO_TARGET(step=wanted.step, field="to")
    return agency.code


def _check_other(connection: Connection, row: HandlingRow, wanted: Wanted) -> None:
    """A handling is merged into another one of its contract and agency that has not ended."""
    other = read_row(connection, wanted.into or "")
    if other.id == row.id or other.ended or other.contract != row.contract:
        raise HANDLING_NO_TARGET(step=wanted.step, field="into")

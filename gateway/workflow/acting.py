"""Takes a step of a handling for a person, or for the gateway.

Invariant: a step and its entry in the log are one transaction. Of two steps at once one is taken; the other is judged
again by the state that it then meets.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from gateway.journal.append import apply
from gateway.journal.batch import DependentWrites
from gateway.journal.database import lock_of, writing
from gateway.journal.write import HandlingRow
from gateway.workflow import steps
from gateway.workflow.errors import HANDLING_BUSY, HANDLING_NO_TARGET
from gateway.workflow.judging import judge
from gateway.workflow.records import FORWARD, MERGE, Actor, Office, Wanted, read_row, steps_of
from gateway.workflow.steps import Before, Unit

TRIES: Final = 5


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

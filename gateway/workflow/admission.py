"""Judges the steps that agencies report, at the doors before the commit (`handling-report/v1`).

Invariant: a report and its step are one unit: whoever gets the answer has taken the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, or_, select

from contracts.base.times import rfc3339
from gateway.exchange.admission import Judges
from gateway.journal.schema import tables
from gateway.journal.write import Write
from gateway.registry.own_feed import CENTRE
from gateway.transfer.stages import Decoded
from gateway.workflow.acting import prepare
from gateway.workflow.errors import HANDLING_UNKNOWN
from gateway.workflow.records import Actor, Office, Wanted
from gateway.workflow.steps import Unit

REPORT: Final = ("handling-report/v1", "reportStep")
_MOST: Final = 20  # handlings of one message


class Reported(NamedTuple):
    """A step that was reported, and is permitted."""

    unit: Unit

    def added_to(self, write: Write) -> Write:
        return self.unit.added_to(write)

    @property
    def told(self) -> Mapping[str, str]:
        row = self.unit.handled.row
        due = {} if row.due is None else {"due": rfc3339(row.due)}
        return {"handling": row.id, "state": row.state, **due}


def judges(office: Office) -> Judges:
    """The messages by which steps are reported."""
    return {REPORT: lambda decoded: _judged(office, decoded)}


def _judged(office: Office, decoded: Decoded) -> Reported:
    caller, message = decoded.requested.caller, decoded.message
    agency = decoded.requested.snapshot.agency(caller.agency)
    centre = agency is not None and CENTRE in agency.roles
    actor = Actor(caller.name, caller.agency, centre, decoded.requested.received.transfer)
    wanted = Wanted(message["step"], message.get("reason", ""), message.get("to"), message.get("into"))
    with office.engine.connect() as connection:
        id = message.get("handling") or _of_message(connection, office, str(message.get("message", "")), actor)
        return Reported(prepare(connection, office, id, wanted, actor))


def _of_message(connection: Connection, office: Office, message: str, actor: Actor) -> str:
    """The handling of a message that somebody has a part in: that of his own agency before others, the newest first.
    `message` is its id, or that of its transfer.
    """
    row = tables.handling.c
    query = select(row.id, row.agency, row.sender_agency).where(
        or_(row.message == office.hash_id(message), row.transfer == message)
    )
    found = connection.execute(query.order_by(row.opened.desc(), row.id).limit(_MOST)).all() if message else []
    for part in (row.agency, row.sender_agency):
        for each in found:
            if getattr(each, part.name) == actor.agency:
                return str(each.id)
    if found and actor.centre:
        return str(found[0].id)
    raise HANDLING_UNKNOWN(handling=message or "–")

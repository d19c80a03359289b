"""Reads handlings: lists by agency and state, the nearest deadline first, and one with its steps and deadlines.

Invariant: a page costs the same however many handlings there are: it goes on behind the last one of the page before.
Invariant: a reason is shown only if its keyed hash is that of the step.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, false, func, or_, select

from contracts.base.integers import whole_number
from contracts.wire.jsontext import read_json
from contracts.workflow.model import Step, Workflow
from gateway.journal.schema import tables
from gateway.journal.write import HandlingRow, HandlingStep
from gateway.transfer.handling_events import event_id
from gateway.vault.vault import Opened
from gateway.workflow import judging, steps
from gateway.workflow.errors import HANDLING_BAD_CURSOR
from gateway.workflow.judging import parties
from gateway.workflow.records import Actor, Office, read_row, steps_of
from gateway.workflow.terms import Terms, terms_of

MOST: Final = 200  # handlings of a page
_table: Final = tables.handling.c
_logger: Final = logging.getLogger("lgsp.workflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """The handlings that are sought; None is all. `concerning`: an agency that handles the message or sent it. `kind`
    and `area`: one of its codes. `before`: of which a deadline lies before that time.
    """

    agency: str | None = None
    sender: str | None = None
    concerning: str | None = None
    contract: str | None = None
    state: str | None = None
    ended: bool | None = None
    kind: str | None = None
    area: str | None = None
    before: float | None = None
    transfer: str | None = None


class Page(NamedTuple):
    """`next`: the cursor of the next page; None if this is the last one."""

    handlings: tuple[HandlingRow, ...]
    next: str | None


class Shown(NamedTuple):
    """A step with the text of its reason; None if there is none, or if it is not at hand any more."""

    step: HandlingStep
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One handling. `sound`: whether its row is as the gateway wrote it."""

    row: HandlingRow
    workflow: Workflow
    steps: tuple[Shown, ...]
    terms: Terms
    sound: bool

    def possible(self, actor: Actor) -> tuple[Step, ...]:
        """The steps that somebody can take now."""
        return judging.possible(self.workflow, self.row, parties(self.row, actor)) if self.sound else ()


class Count(NamedTuple):
    """Of one agency: open handlings, and those of them whose deadline is over."""

    agency: str
    open: int
    overdue: int


def page(connection: Connection, sought: Sought, after: str | None = None, limit: int = 50) -> Page:
    """Up to `limit` handlings, the nearest deadline first; those without a deadline come last. handling.bad-cursor."""
    limit = max(1, min(limit, MOST))
    query = select(tables.handling).where(*_conditions(sought))
    if after is not None:
        nearest, id = _decode(after)
        query = query.where(or_(_table.nearest > nearest, and_(_table.nearest == nearest, _table.id > id)))
    rows = connection.execute(query.order_by(_table.nearest, _table.id).limit(limit + 1)).all()
    handlings = tuple(HandlingRow(*row) for row in rows[:limit])
    last = handlings[-1] if handlings else None
    return Page(handlings, f"{last.nearest}.{last.id}" if last is not None and len(rows) > limit else None)


def counts(connection: Connection, now: float, agency: str | None = None) -> tuple[Count, ...]:
    """Of each agency that has open handlings."""
    overdue = func.sum(case((_table.nearest < now, 1), else_=0))
    query = select(_table.agency, func.count(), overdue).where(_table.ended == false()).group_by(_table.agency)
    if agency is not None:
        query = query.where(_table.agency == agency)
    return tuple(Count(row[0], int(row[1]), int(row[2])) for row in connection.execute(query.order_by(_table.agency)))


def of_transfer(connection: Connection, transfer: str) -> tuple[HandlingRow, ...]:
    """The handlings of a message, by the transfer that handed it in."""
    query = select(tables.handling).where(_table.transfer == transfer).order_by(_table.opened, _table.id)
    return tuple(HandlingRow(*row) for row in connection.execute(query))


def of_transfers(connection: Connection, transfers: Collection[str]) -> tuple[HandlingRow, ...]:
    """The handlings of several messages."""
    query = select(tables.handling).where(_table.transfer.in_([*transfers])).order_by(_table.opened, _table.id)
    return tuple(HandlingRow(*row) for row in connection.execute(query))


def one(connection: Connection, office: Office, id: str) -> Seen:
    """Raises: handling.unknown."""
    row, taken = read_row(connection, id), steps_of(connection, id)
    workflow = office.workflow(row)
    reasons = _reasons(connection, office, taken)
    return Seen(
        row=row,
        workflow=workflow,
        steps=tuple(Shown(each, reasons.get(each.number)) for each in taken),
        terms=terms_of(workflow, steps.moments(taken)),
        sound=steps.is_sound(office, row),
    )


def _conditions(sought: Sought) -> list[ColumnElement[bool]]:
    exact = {"agency": sought.agency, "sender_agency": sought.sender, "contract": sought.contract,
             "state": sought.state, "ended": sought.ended, "transfer": sought.transfer}  # fmt: skip
    conditions: list[ColumnElement[bool]] = [
        _table[name] == value for name, value in exact.items() if value is not None
    ]
    if sought.concerning is not None:
        conditions.append(or_(_table.agency == sought.concerning, _table.sender_agency == sought.concerning))
    for column, code in ((_table.kind, sought.kind), (_table.area, sought.area)):
        if code is not None:
            conditions.append((" " + column + " ").contains(f" {code} ", autoescape=True))
    if sought.before is not None:
        conditions.append(_table.nearest < sought.before)
    return conditions


def _reasons(connection: Connection, office: Office, taken: tuple[HandlingStep, ...]) -> Mapping[int, str]:
    """The texts of reasons by number of step, from the bodies of their events."""
    ids = {f"{event_id(each.handling, each.number, each.at)}/canonical": each for each in taken if each.reason}
    bodies = office.vault.open_many(connection, [*ids]) if ids else {}
    reasons: dict[int, str] = {}
    for id, body in bodies.items():
        step = ids[id]
        message: Any = read_json(body.plain) if isinstance(body, Opened) else {}
        text = message.get("reason")
        if isinstance(text, str) and office.hash_id(text) == step.reason:
            reasons[step.number] = text
        elif isinstance(body, Opened):
            _logger.critical("handling %s: the reason of step %d was changed", step.handling, step.number)
    return reasons


def _decode(cursor: str) -> tuple[int, str]:
    nearest, _, id = cursor.partition(".")
    number = whole_number(nearest) if len(cursor) <= 100 else None
    if number is None or number > 2**53 or not id:
        raise HANDLING_BAD_CURSOR()
    return number, id

"""Handlings for people: an agency's inbox, one handling, and the steps that somebody can take.

Invariant: whoever sees one agency sees the handlings that it handles, sent or took a step of; the centre sees all.
Invariant: a step is taken for the agency of the account, by the rules of the workflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from contracts.workflow.model import State, Step, Workflow
from contracts.workflow.working_time import Deadline
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.journal.write import HandlingRow, HandlingStep
from gateway.registry.own_feed import CENTRE
from gateway.vault.stores import open_vault
from gateway.workflow import acting, reading
from gateway.workflow.errors import HANDLING_UNKNOWN
from gateway.workflow.points import is_soon
from gateway.workflow.reading import Count, Seen, Sought
from gateway.workflow.records import Actor, Office, Wanted, steps_by_handling
from gateway.workflow.showing import is_overdue
from gateway.workflow.steps import moments
from security.transparency.entry import keyed

PAGE: Final = 50
LISTS: Final = ("open", "overdue", "ended", "all")
FILTERS: Final = ("agency", "contract", "state", "kind", "area")
MOST: Final = 100  # characters of a filter


class Row(NamedTuple):
    """`state` is None if the contract of the handling cannot be read any more."""

    handling: HandlingRow
    state: State | None
    mark: str  # overdue | soon | paused | ""


@dataclass(frozen=True, slots=True)
class Inbox:
    which: str
    given: Mapping[str, str]
    rows: tuple[Row, ...]
    next: str | None
    counts: tuple[Count, ...]
    now: float
    states: Mapping[str, State]
    all: bool  # whether every agency is seen


@dataclass(frozen=True, slots=True)
class One:
    seen: Seen
    possible: tuple[Step, ...]
    mark: str
    now: float
    involves: bool  # whether he may have another agency handle it, too

    @property
    def deadlines(self) -> Iterator[tuple[str, Deadline]]:
        terms = self.seen.terms
        for name, each in (("state", terms.state), ("whole", terms.whole)):
            if each is not None:
                yield name, each


def office_of(desk: Desk) -> Office:
    services, settings = desk.services, desk.services.settings
    return Office(
        engine=services.engine,
        registry=services.registry,
        vault=open_vault(settings, services.engine),
        hash_id=partial(keyed, desk.hash_key),
        clock=desk.now,
    )


def actor_of(desk: Desk, viewer: Viewer) -> Actor:
    agency = desk.services.registry.snapshot.agency(viewer.account.agency)
    return Actor(viewer.actor, viewer.account.agency, agency is not None and CENTRE in agency.roles)


def scope_of(desk: Desk, viewer: Viewer) -> str | None:
    """The agency whose handlings somebody sees; None: all."""
    return None if actor_of(desk, viewer).centre else viewer.account.scope


def inbox(desk: Desk, viewer: Viewer, given: Mapping[str, str], after: str | None = None, limit: int = PAGE) -> Inbox:
    """A page of handlings, the nearest deadline first. Raises `console.form`, `handling.bad-cursor`."""
    which = given.get("list") or "open"
    if which not in LISTS:
        raise CONSOLE_FORM(field="list", why=" | ".join(LISTS))
    texts = {name: given.get(name, "").strip() for name in FILTERS}
    for name, text in texts.items():
        if len(text) > MOST:
            raise CONSOLE_FORM(field=name, why=f"more than {MOST} characters")
    scope, now = scope_of(desk, viewer), desk.now()
    sought = Sought(
        **{name: text or None for name, text in texts.items()},
        concerning=scope,
        ended={"open": False, "overdue": False, "ended": True}.get(which),
        before=now if which == "overdue" else None,
    )
    with desk.reading() as connection:
        found = reading.page(connection, sought, after, limit)
        counts = reading.counts(connection, now, scope)
        taken = steps_by_handling(connection, [each.id for each in found.handlings])
    office = office_of(desk)
    rows = tuple(
        Row(each, _state(office, each), _mark(office.workflow(each), each, taken.get(each.id, ()), now))
        for each in found.handlings
    )
    states = {
        name: state
        for contract in desk.services.registry.snapshot.handled.values()
        if contract.workflow is not None
        for name, state in contract.workflow.states.items()
    }
    return Inbox(which, texts, rows, found.next, counts, now, states, scope is None)


def one(desk: Desk, viewer: Viewer, id: str) -> One:
    """Raises `handling.unknown`."""
    office, actor, scope = office_of(desk), actor_of(desk, viewer), scope_of(desk, viewer)
    with desk.reading() as connection:
        seen = reading.one(connection, office, id)
    row = seen.row
    if scope is not None and scope not in {row.agency, row.sender_agency, *(each.step.agency for each in seen.steps)}:
        raise HANDLING_UNKNOWN(handling=id)
    handles = May.HANDLE in viewer.account.may
    possible = seen.possible(actor) if handles else ()
    involves = handles and acting.may_involve(row, actor)
    now = desk.now()
    mark = _mark(seen.workflow, row, [each.step for each in seen.steps], now)
    return One(seen, possible, mark, now, involves)


def take(desk: Desk, viewer: Viewer, id: str, wanted: Wanted) -> HandlingRow:
    """Takes a step for the agency of the account. Raises as `gateway.workflow.acting.act`."""
    return acting.act(office_of(desk), id, wanted, actor_of(desk, viewer))


def of_transfer(desk: Desk, viewer: Viewer, transfer: str) -> tuple[HandlingRow, ...]:
    """The handlings of a message that somebody sees."""
    scope = scope_of(desk, viewer)
    with desk.reading() as connection:
        found = reading.of_transfer(connection, transfer)
    return tuple(each for each in found if scope in (None, each.agency, each.sender_agency))


def _mark(workflow: Workflow, row: HandlingRow, taken: Sequence[HandlingStep], now: float) -> str:
    if row.ended:
        return ""
    if is_overdue(row, now):
        return "overdue"
    if row.due is None and row.whole_due is None:
        return "paused"
    return "soon" if row.state in workflow.states and is_soon(workflow, row, moments(taken), now) else ""


def _state(office: Office, row: HandlingRow) -> State | None:
    return office.workflow(row).states.get(row.state)

"""One transfer for somebody: its journey, and its neighbours within a filter.

Invariant: who sees one agency finds no transfer that does not concern it, and is not told that there is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select

from gateway.audit.search import journey as journeys
from gateway.audit.search.facts import Facts
from gateway.audit.search.journey import Journey, Step
from gateway.audit.search.search import Query, neighbours, reading, search
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.journal.schema import tables

_INQUIRY: Final = "package"  # its reason is no business of the parties; who read a message, and why, is
OWN: Final = frozenset({"intent", "outcome", "refusal", "repeat", "in-doubt", "queued", "try-failed"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A journey as somebody may see it. `begun` is the intent, or the refusal of what became no transfer."""

    journey: Journey
    begun: Step | None

    @property
    def transfer(self) -> str:
        return self.journey.transfer

    @property
    def refused(self) -> bool:
        return self.begun is not None and self.begun.facts.kind == "refusal"

    @property
    def entry(self) -> Mapping[str, Any]:
        return {} if self.begun is None else self.begun.entry

    @property
    def receipt(self) -> Mapping[str, str]:
        row = self.journey.row
        return json.loads(row["receipt"]) if row is not None and row["receipt"] else {}

    @property
    def failure(self) -> str | None:
        """The code by which it ended."""
        if self.journey.row is not None and self.journey.row["failure"]:
            return str(self.journey.row["failure"])
        return next((step.facts.failure for step in reversed(self.journey.steps) if step.facts.failure), None)


def find(desk: Desk, viewer: Viewer, id: str) -> Seen:
    """Raises `console.no-page`."""
    with reading(desk.services.engine) as connection:
        journey = journeys.of_transfer(connection, id)
        if not journey.steps and journey.row is None:
            raise CONSOLE_NO_PAGE(path=f"/console/transfers/{id[:60]}")
        scope = viewer.account.scope
        if scope is not None:
            journey = _within(journey, scope)
    begun = next((each for each in journey.steps if each.facts.kind == "intent"), None)
    if begun is None:
        begun = next((each for each in journey.steps if each.facts.kind == "refusal"), None)
    return Seen(journey, begun)


def beside(desk: Desk, query: Query, idx: int, about: str) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """The transfers before and after it in a filter, each with the entry that was found."""
    with reading(desk.services.engine) as connection:
        before, after = neighbours(connection, query, idx, about)
    return tuple((each.facts.about, each.idx) if each is not None else None for each in (before, after))  # type: ignore[return-value]


def entry_at(desk: Desk, viewer: Viewer, idx: int) -> str | None:
    """The transfer, or other event, that entry `idx` is about; None if there is none that he may see."""
    with reading(desk.services.engine) as connection:
        row = connection.execute(select(tables.log_entry.c.transfer).where(tables.log_entry.c.idx == idx)).first()
        if row is None:
            return None
        hits = search(connection, Query(transfer=row.transfer, agency=viewer.account.scope), limit=500).hits
    return next((each.facts.about for each in hits if each.idx == idx), None)


def of_message(desk: Desk, query: Query) -> str | None:
    """The one transfer of a message; None if there are several, or none."""
    with reading(desk.services.engine) as connection:
        hits = search(connection, query, limit=50).hits
    abouts = {each.facts.about for each in hits if each.facts.kind == "intent"} or {each.facts.about for each in hits}
    return next(iter(abouts)) if len(abouts) == 1 else None


def is_message(desk: Desk, query: Query) -> bool:
    """Whether an entry has this id of a message."""
    with reading(desk.services.engine) as connection:
        return bool(search(connection, query, limit=1).hits)


def _within(journey: Journey, scope: str) -> Journey:
    """What concerns one agency. Notes of others about it, such as exports, are not shown."""
    row = journey.row
    party = row is not None and row["caller_agency"] == scope
    party = party or any(each.facts.kind in OWN and _concerns(each.facts, scope) for each in journey.steps)
    steps = tuple(each for each in journey.steps if (party and each.facts.kind in OWN) or _concerns(each.facts, scope))
    if not party and not steps:
        raise CONSOLE_NO_PAGE(path=f"/console/transfers/{journey.transfer[:60]}")
    if not party:  # a note that concerns it tells nothing more of the transfer
        return Journey(journey.transfer, steps, None, None, (), ())
    return replace(journey, steps=steps)


def _concerns(facts: Facts, scope: str) -> bool:
    return facts.kind != _INQUIRY and (facts.agency == scope or any(each.agency == scope for each in facts.parties))

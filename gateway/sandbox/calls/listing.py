"""A tenant's calls, newest first: what it called, and what its systems were called with.

They are found by the index of the log (`gateway.audit.search`), so a page costs the same however many calls there are.
Invariant: every search names the viewer's own agency. What she gives for a system is one of her own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast
from urllib.parse import urlencode

from sqlalchemy import select

from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.fields import OUTCOMES
from gateway.audit.search.search import Page, Query
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.console.work import searching
from gateway.journal.schema import tables
from gateway.sandbox.vendors import showing
from security.transparency.entry import keyed

PAGE: Final = 50
NAMES: Final = ("contract", "operation", "outcome", "failure", "role", "system", "id", "from", "to")
ROLES: Final = ("caller", "provider")
BEGUN: Final = "intent,refusal,repeat"  # each call has one of these entries
_ENDED: Final = "outcome,refusal,in-doubt"
_KINDS: Final = {
    "ok": "outcome", "repeated": "repeat", "queued": "queued", "in-doubt": "in-doubt", "failed": "outcome",
    "refused": "refusal",
}  # fmt: skip
_TRANSFER: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STATES: Final = {
    "answered": "ok", "accepted": "ok", "queued": "queued", "failed": "failed", "dead": "failed", "in-doubt": "in-doubt"
}  # fmt: skip
_MOST: Final = 200
Role = Literal["caller", "provider"]


@dataclass(frozen=True, slots=True)
class Call:
    """A line of the list. `outcome` is None while the call is under way."""

    id: str
    at: str
    roles: tuple[Role, ...]
    system: str
    provider: str | None
    door: str | None
    contract: str | None
    operation: str | None
    outcome: str | None
    code: str | None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """One page. `next` is a cursor, None at the end."""

    calls: tuple[Call, ...]
    next: str | None


def given_in(query: Mapping[str, str]) -> dict[str, str]:
    """The conditions that are filled in. Raises `console.form`."""
    given = {name: text for name in NAMES if (text := query.get(name, "").strip())}
    for name, text in given.items():
        if len(text) > _MOST:
            raise CONSOLE_FORM(field=name, why=f"more than {_MOST} characters")
    for name, known in (("outcome", tuple(OUTCOMES)), ("role", ROLES)):
        if name in given and given[name] not in known:
            raise CONSOLE_FORM(field=name, why=" | ".join(known))
    return given


def page(desk: Desk, viewer: Viewer, given: Mapping[str, str], cursor: str | None, limit: int = PAGE) -> Listed:
    """Raises `console.no-page` for whoever has no tenant, `console.form`, `audit.bad-cursor`."""
    agency = showing.tenant(desk, viewer)
    found: Page = searching.page(desk, _query(desk, viewer, agency, given), cursor, limit)
    return Listed(tuple(_calls(desk, agency, found.hits)), found.next)


def newest(desk: Desk, viewer: Viewer) -> int | None:
    """The index of the newest entry of her calls, and None if there is none: what the live list waits for."""
    agency = showing.tenant(desk, viewer)
    hits = searching.page(desk, Query(agency=agency), None, 1).hits
    return hits[0].idx if hits else None


def address(given: Mapping[str, str], cursor: str | None = None) -> str:
    return urlencode({**given, **({} if cursor is None else {"cursor": cursor})})


def _query(desk: Desk, viewer: Viewer, agency: str, given: Mapping[str, str]) -> Query:
    wanted: dict[str, Any] = {name: given.get(name) for name in ("contract", "operation", "outcome", "failure")}
    if (id := given.get("id")) is not None:
        named = _TRANSFER.fullmatch(id) is not None
        wanted |= {"transfer": id.lower()} if named else {"message": keyed(desk.hash_key, id)}
    role = given.get("role")
    if (system := given.get("system")) is not None:
        showing.own(desk, viewer, system)
        wanted |= {"provider" if role == "provider" else "system": system}
    outcome = wanted["outcome"]
    ended = _ENDED if wanted["failure"] is not None else BEGUN
    query = Query(
        **wanted,
        agency=agency,
        role=cast(Any, role),
        kind=_KINDS[outcome] if outcome is not None else ended,
        since=searching.moment(given.get("from"), "from"),
        until=searching.moment(given.get("to"), "to", whole=True),
    )
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise CONSOLE_FORM(field="to", why="not after `from`")
    return query


def _calls(desk: Desk, agency: str, hits: Sequence[Logged]) -> list[Call]:
    """How those that were accepted went on is in their rows."""
    begun = [each.facts.transfer for each in hits if each.facts.kind == "intent"]
    table = tables.transfer.c
    query = select(table.id, table.state, table.failure).where(table.id.in_(begun))
    with desk.reading() as connection:
        rows = {row.id: row for row in connection.execute(query)} if begun else {}
    return [_call(agency, each.facts, rows.get(each.facts.transfer)) for each in hits]


def _call(agency: str, facts: Facts, row: Any) -> Call:
    roles = [each.role for each in facts.parties if each.agency == agency and each.role in ROLES]
    begun = facts.kind == "intent" and row is not None
    return Call(
        id=facts.transfer,
        at=facts.at,
        roles=tuple(dict.fromkeys(roles)),
        system=facts.system or "",
        provider=facts.provider,
        door=facts.door,
        contract=facts.contract,
        operation=facts.operation,
        outcome=_STATES.get(row.state) if begun else facts.outcome,
        code=row.failure if begun else facts.failure,
        times=facts.times,
    )

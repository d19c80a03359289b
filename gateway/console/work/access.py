"""Reviews access for somebody: who receives what, the matrix, grants with their history, changes, recorded reviews."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from contracts.base.phrases import vietnamese
from contracts.base.words import Words
from gateway.audit.search.details import detail_words
from gateway.audit.search.search import Query, reading, search
from gateway.console.accounts import store
from gateway.console.accounts.records import Account, Viewer
from gateway.console.errors import CONSOLE_FORBIDDEN, CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.registry import history, reviews
from gateway.registry.changes.called import Asked
from gateway.registry.changes.matrix import Cell, dropped, matrix
from gateway.registry.changes.receivers import Receivers, receivers
from gateway.registry.errors import unknown
from gateway.registry.history import GrantVersion, grant_names, grant_versions
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.snapshot import Snapshot, all_grants, load_snapshot
from gateway.registry.tenants import BY_POLICY
from security.grants.grants import Grant, Reason, judge
from security.grants.windows import moment

CHANGES: int = 50


@contextmanager
def registry_at(desk: Desk, at: str | None) -> Iterator[tuple[Snapshot, float]]:
    """The registry of a time as a person writes it; now, and in the future, the present one."""
    now = desk.now()
    if at is None:
        yield desk.services.registry.snapshot, now
        return
    try:
        then = moment(at)
    except ValueError:
        raise CONSOLE_FORM(field="at", why="2026-11-24 / 2026-11-24T17:30") from None
    if then >= now:
        yield desk.services.registry.snapshot, then
        return
    with desk.reading() as connection, history.opened(connection, history.revision_at(connection, then)) as past:
        yield load_snapshot(past), then


class Readers(NamedTuple):
    """Who receives fields, and who may open stored messages at the console; None for who sees one agency."""

    found: Receivers
    openers: tuple[Account, ...] | None


def who(desk: Desk, snapshot: Snapshot, asked: Asked, scope: str | None, now: float) -> Readers:
    """Every field of those asked about that somebody receives; `scope`: the one agency that is looked at."""
    openers = None
    if scope is None:
        with desk.accounts() as rows:
            accounts = store.listed(rows)
        openers = tuple(each for each in accounts if each.active and May.BODIES in each.may)
    return Readers(receivers(snapshot, asked, now, scope), openers)


def cells(snapshot: Snapshot, agency: str | None, contract: str | None, now: float) -> list[Cell]:
    """The matrix, or a part of it."""
    return [
        each for each in matrix(snapshot, now) if agency in (None, each.agency) and contract in (None, each.contract)
    ]


def files(snapshot: Snapshot, scope: str | None) -> list[Any]:
    return [each for each in dropped(snapshot) if scope in (None, each.agency)]


class Standing(NamedTuple):
    """A grant, and what holds of it now."""

    grant: Grant
    standing: str


def grants(connection: Connection, snapshot: Snapshot, scope: str | None, now: float) -> list[Standing]:
    return [Standing(each, standing(each, now)) for each in all_grants(connection) if holds(snapshot, each, scope)]


def standing(grant: Grant, now: float) -> str:
    verdict = judge(grant, now)
    if verdict is Reason.GRANTED and grant.adopted and not grant.confirmed:
        return "overdue" if grant.overdue(now) else "adopted"
    return "–" if verdict is None else str(verdict)


@dataclass(frozen=True, slots=True)
class GrantHistory:
    """One grant: as it stands, None if it does not any more, and all that ever held of it, newest first."""

    name: str
    present: Standing | None
    versions: tuple[tuple[GrantVersion, tuple[tuple[str, Any, Any], ...]], ...]


def grant(connection: Connection, snapshot: Snapshot, name: str, scope: str | None, now: float) -> GrantHistory:
    """Raises `registry.unknown`, also for one that another agency holds."""
    every = grant_versions(connection, name)
    present = next((each for each in all_grants(connection) if each.id == name), None)
    last = present or (Grant.from_json(every[-1].content) if every else None)
    if last is None or not holds(snapshot, last, scope):
        raise unknown("grant", name)
    every = [each for each in every if holds(snapshot, Grant.from_json(each.content), scope)]  # not of earlier holders
    told: list[tuple[GrantVersion, tuple[tuple[str, Any, Any], ...]]] = []
    before: Mapping[str, Any] = {}
    for each in every:
        names = sorted({*before, *each.content}) if before else []
        differing = tuple((key, before.get(key), each.content.get(key)) for key in names)
        told.append((each, tuple(row for row in differing if row[1] != row[2])))
        before = each.content
    held = None if present is None else Standing(present, standing(present, now))
    return GrantHistory(name, held, tuple(reversed(told)))


def ended(connection: Connection) -> list[str]:
    """The grants that do not stand any more."""
    return sorted(grant_names(connection) - {each.id for each in all_grants(connection)})


def holds(snapshot: Snapshot, grant: Grant, scope: str | None) -> bool:
    """Whether a grant is one of the agency, or of one of its roles; any is for None."""
    if scope is None or grant.agency == scope:
        return True
    agency = snapshot.agencies.get(scope)
    return agency is not None and grant.role is not None and grant.role in agency.roles


# --- changes ----------------------------------------------------------------------------------------------------------
class Change(NamedTuple):
    """One entry that changed something: by whom, who approved it, and what became of what."""

    at: str
    idx: int
    what: str
    actor: str
    signed: str
    reason: Words
    detail: Words


class Changes(NamedTuple):
    rows: tuple[Change, ...]
    next: str | None


def changes(desk: Desk, viewer: Viewer, span: tuple[float | None, float | None], cursor: str | None) -> Changes:
    """Every change of registry, access, contracts, accounts, own keys and settings within a span, newest first.

    Either end of the span may be open. Raises `console.forbidden`.
    """
    if viewer.account.scope is not None:  # a change concerns everybody
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=May.ACCESS)
    with reading(desk.services.engine) as connection:
        found = search(
            connection, Query(kind="change,keys,settings", since=span[0], until=span[1]), limit=CHANGES, cursor=cursor
        )
    rows = []
    for each in found.hits:
        facts = json.loads(each.entry).get("facts", {})
        approval, reason = facts.get("approval"), facts.get("reason")
        signed = str(approval.get("officer", "")) if isinstance(approval, dict) else ""
        said = Words(*(_reason(reason, language) for language in ("vi", "en")))
        if said.en == BY_POLICY:  # any other is a person's, and stays as it was written
            said = Words(vietnamese(said.vi), said.en)
        head = (each.facts.at, each.idx, each.facts.kind, each.facts.actor or "–")
        rest = {name: fact for name, fact in facts.items() if name != "reason"}  # it has a column of its own
        rows.append(Change(*head, signed, said, detail_words(each.facts.kind, rest)))
    return Changes(tuple(rows), found.next)


def _reason(reason: Any, language: str) -> str:
    return str(reason.get(language) or reason.get("vi") or "") if isinstance(reason, dict) else str(reason or "")


# --- reviews ----------------------------------------------------------------------------------------------------------
class Review(NamedTuple):
    at: str
    officer: str
    registry: int
    matrix: str
    idx: int


class Due(NamedTuple):
    """When the next review is due, and whether that is soon, or past."""

    at: float | None
    soon: bool
    late: bool


def recorded(desk: Desk) -> list[Review]:
    """The reviews that the log has, newest first."""
    with reading(desk.services.engine) as connection:
        hits = search(connection, Query(kind=reviews.KIND), limit=20).hits
    found = []
    for each in hits:
        facts = json.loads(each.entry).get("facts", {})
        read = reviews.Reviewed.read(str(facts.get("statement", "")).encode())
        if read is not None:
            found.append(Review(each.facts.at, str(facts.get("officer")), read.registry, read.matrix, each.idx))
    return found


def due(desk: Desk) -> Due:
    from datetime import datetime

    with reading(desk.services.engine) as connection:
        hits = search(connection, Query(kind=reviews.KIND), limit=1).hits
        last = datetime.fromisoformat(hits[0].facts.at).timestamp() if hits else None
        at, now = reviews.due(connection, last), desk.now()
    return Due(at, at is not None and now >= at - reviews.SOON, at is not None and now >= at)


def statement(desk: Desk) -> reviews.Reviewed:
    """What an officer signs who has reviewed access as it is now."""
    settings = desk.services.settings
    with desk.reading() as connection:
        return reviews.stated(connection, load_snapshot(connection), settings.origin, desk.now())


def review(desk: Desk, viewer: Viewer, text: str, officer: str, signature: str) -> None:
    """Record a signed review. Raises `review.other`, or an error of `approval.`."""
    settings, now = desk.services.settings, desk.now()
    with changing(desk.services.engine, Seal.of(settings)) as act:
        reviewed = reviews.take(act.connection, text.encode(), officer, signature.strip(), settings.origin, now)
        act.note(reviews.KIND, reviewed.facts(officer, signature.strip()), now, actor=viewer.actor)

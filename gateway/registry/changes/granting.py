"""Grants in the database: proposed, approved by officers, given up.

Invariants
- A grant comes in as a proposal. It holds once two officers have signed its content (`security.grants.approvals`); the row holds the very text they sign.
- What changes a grant's content, or revokes it, voids its approvals for good: a signature over what was given up is not taken again.
- What a document brought, a document takes back; what was proposed by itself stays until it is revoked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, delete, insert, select, update

from gateway.journal.schema import tables
from gateway.registry.changes.officers import officers, set_officer
from gateway.registry.errors import APPROVAL_GIVEN_UP, unknown
from gateway.registry.records import ACTIVE, REVOKED, Change
from gateway.registry.seals.revisions import alone
from security.grants.approvals import Approval, Officer, check, counted
from security.grants.grants import OFFICERS, Grant, digest

Source = Literal["document", "proposal"]
Signed = tuple[str, str]  # an officer's id and signature
GRANT: Final = "grant"
OFFICER: Final = "officer"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A grant as somebody hands it in, with the signatures that it carries already."""

    grant: Grant
    signed: tuple[Signed, ...] = ()


def grants(connection: Connection, known: Mapping[str, Officer]) -> list[Grant]:
    """All that are not revoked, each as it stands."""
    given = approvals(connection)
    found: list[Grant] = []
    table = tables.access_grant.c
    for row in connection.execute(
        select(table.id, table.body, table.state).where(table.state != REVOKED).order_by(table.id)
    ):
        grant = Grant.from_json(json.loads(row.body))
        content = grant.canonical()
        signed = given.get((f"{GRANT} {row.id}", digest(content)), ())
        found.append(grant.standing(row.state, counted(content, grant.proposed_by, signed, known)))
    return found


def approvals(connection: Connection) -> dict[tuple[str, str], list[Approval]]:
    """Those not voided, by subject and digest of the content."""
    table = tables.approval.c
    found: dict[tuple[str, str], list[Approval]] = {}
    for row in connection.execute(select(*table).where(table.voided.is_(None)).order_by(table.given, table.officer)):
        found.setdefault((row.subject, row.digest), []).append(Approval(row.officer, row.signature, row.given))
    return found


def apply_grants(connection: Connection, proposals: Iterable[Proposal], now: float) -> list[Change]:
    """Bring the grants that documents hold to what this one declares."""
    table = tables.access_grant
    gone = set(connection.scalars(select(table.c.id).where(table.c.source == "document")))
    changes: list[Change] = []
    for proposal in proposals:
        gone.discard(proposal.grant.id)
        changes += propose(connection, proposal, now, "document")
    for name in sorted(gone):
        _void(connection, name, now)
        connection.execute(delete(table).where(table.c.id == name))
        changes.append(Change("grant", name, "removed"))
    return changes


def propose(connection: Connection, proposal: Proposal, now: float, source: Source = "proposal") -> list[Change]:
    """Put a grant in, or in place of one with other contents, which gives up that one's approvals. The same content again changes nothing."""
    alone(connection)
    grant, table = proposal.grant, tables.access_grant
    body = grant.canonical().decode()
    before = connection.execute(select(table.c.body, table.c.state).where(table.c.id == grant.id)).first()
    changes: list[Change] = []
    if before is None:
        connection.execute(insert(table).values(id=grant.id, body=body, state=ACTIVE, source=source))
        changes.append(Change("grant", grant.id, "added"))
    elif before.body != body or before.state == REVOKED:
        old, new = json.loads(before.body), json.loads(body)
        _void(connection, grant.id, now)
        state = ACTIVE if before.state == REVOKED else before.state  # a change does not lift a suspension
        connection.execute(update(table).where(table.c.id == grant.id).values(body=body, state=state, source=source))
        differing = tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))
        changes.append(Change("grant", grant.id, "changed", differing))
    for officer, signature in proposal.signed:
        changes += approve_grant(connection, grant.id, officer, signature, now)
    return changes


def content_of(connection: Connection, name: str) -> Grant:
    """A grant's content as it is stored; `registry.unknown` for none, or one that was revoked."""
    table = tables.access_grant.c
    row = connection.execute(select(table.body).where(table.id == name, table.state != REVOKED)).first()
    if row is None:
        raise unknown("grant", name)
    return Grant.from_json(json.loads(row.body))


def approve_grant(connection: Connection, name: str, officer: str, signature: str, now: float) -> list[Change]:
    """Take in an officer's signature. The same officer's again changes nothing."""
    alone(connection)  # else a signature could come in for a content that is being given up
    grant = content_of(connection, name)
    return _take(connection, GRANT, name, grant.canonical(), grant.proposed_by, officer, signature, now)


def approve_officer(connection: Connection, name: str, officer: str, signature: str, now: float) -> list[Change]:
    """A signature for somebody who is to become an officer; the second one makes it so."""
    alone(connection)
    known = officers(connection)
    candidate = known.get(name)
    if candidate is None or candidate.state != "proposed":
        raise unknown("proposed officer", name)
    content = candidate.content()
    changes = _take(connection, OFFICER, name, content, name, officer, signature, now)
    given = approvals(connection).get((f"{OFFICER} {name}", digest(content)), ())
    if len(counted(content, name, given, known)) >= OFFICERS:
        set_officer(connection, name, "active", now)
        changes.append(Change("officer", name, "approved", ("state",)))
    return changes


def revoke(connection: Connection, name: str, now: float) -> list[Change]:
    """For good: what comes back must be proposed and approved anew, under another edition."""
    alone(connection)
    content_of(connection, name)
    _void(connection, name, now)
    connection.execute(update(tables.access_grant).where(tables.access_grant.c.id == name).values(state=REVOKED))
    return [Change("grant", name, "revoked", ("state",))]


def _take(
    connection: Connection,
    what: Literal["grant", "officer"],
    name: str,
    content: bytes,
    proposer: str | None,
    officer: str,
    mark: str,
    now: float,
) -> list[Change]:
    who = officers(connection).get(officer)
    if who is None:
        raise unknown("officer", officer)
    subject, bound = f"{what} {name}", digest(content)
    table = tables.approval
    row = connection.execute(
        select(table.c.signature, table.c.voided).where(
            table.c.subject == subject, table.c.digest == bound, table.c.officer == officer
        )
    ).first()
    if row is not None and row.voided is None and row.signature == mark:
        return []  # it stands already, and says the same
    check(subject, content, proposer, who, mark)
    if row is not None and row.voided is None:
        return []
    given_up = (
        select(table.c.officer)
        .where(table.c.subject == subject, table.c.digest == bound, table.c.voided.is_not(None))
        .limit(1)
    )
    if connection.scalar(given_up) is not None:
        raise APPROVAL_GIVEN_UP(subject=subject)
    connection.execute(insert(table).values(subject=subject, digest=bound, officer=officer, signature=mark, given=now))
    return [Change(what, name, "approved", (officer, bound))]


def _void(connection: Connection, name: str, now: float) -> None:
    table = tables.approval
    connection.execute(
        update(table).where(table.c.subject == f"{GRANT} {name}", table.c.voided.is_(None)).values(voided=now)
    )

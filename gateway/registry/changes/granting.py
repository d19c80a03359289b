"""Stores grants: proposals, approvals by officers, revocations.

Invariant: a grant starts as a proposal and is in force once two officers signed its content
    (`security.grants.approvals`). The row has the exact signed text.
Invariant: a change of content or a revocation voids the approvals for good; a voided signature is not accepted again,
    nor one that was given then and held back.
Invariant: a grant from a document is removed by a document; one proposed by command, or adopted, stays until it is
    revoked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.changes.officers import OFFICERS as OFFICER_ROLL
from gateway.registry.changes.officers import Roll, listed, officers, set_officer
from gateway.registry.errors import APPROVAL_GIVEN_UP, GRANT_REVOKED, unknown, words
from gateway.registry.records import ACTIVE, REVOKED, Change
from gateway.registry.seals.revisions import alone
from gateway.registry.seals.rows import key_of
from gateway.registry.tenants import POLICY, is_tenant
from security.grants.approvals import Approval, Officer, check, counted
from security.grants.grants import OFFICERS, Grant, digest

Source = Literal["document", "proposal", "adopted", "adopted-personal", "sandbox-self-service"]
Signed = tuple[str, str]  # an officer's id and signature
GRANT: Final = "grant"
OFFICER: Final = "officer"
ADOPTED: Final[Source] = "adopted"  # from a route of an older release (`adopting`)
ADOPTED_PERSONAL: Final[Source] = "adopted-personal"  # such a one that shows personal fields
_UNSIGNED: Final = (ADOPTED, ADOPTED_PERSONAL, POLICY)  # such a grant may be in force without a signature
_PROPOSED: Final = {"officer": "proposed officer", "person": "proposed person"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A submitted grant, with its signatures so far."""

    grant: Grant
    signed: tuple[Signed, ...] = ()


def grants(connection: Connection, known: Mapping[str, Officer]) -> list[Grant]:
    """All grants that are not revoked, with their standing."""
    signatures = approvals(connection)
    standing_grants: list[Grant] = []
    table = tables.access_grant.c
    for row in connection.execute(
        select(table.id, table.body, table.state, table.source).where(table.state != REVOKED).order_by(table.id)
    ):
        grant = Grant.from_json(json.loads(row.body))
        content = grant.canonical()
        signed = signatures.get((f"{GRANT} {row.id}", digest(content)), ())
        grant = grant.with_status(row.state, counted(content, grant.proposed_by, signed, known))
        if row.source in (ADOPTED, ADOPTED_PERSONAL):
            grant = replace(grant, adopted=True, personal=row.source == ADOPTED_PERSONAL)
        if row.source == POLICY and is_tenant(grant.agency):
            grant = replace(grant, policy=POLICY)
        standing_grants.append(grant)
    return standing_grants


def approvals(connection: Connection) -> dict[tuple[str, str], list[Approval]]:
    """The valid approvals by subject and digest of the content."""
    table = tables.approval.c
    by_subject: dict[tuple[str, str], list[Approval]] = {}
    for row in connection.execute(select(*table).where(table.voided.is_(None)).order_by(table.given, table.officer)):
        by_subject.setdefault((row.subject, row.digest), []).append(Approval(row.officer, row.signature, row.given))
    return by_subject


def apply_grants(connection: Connection, proposals: Iterable[Proposal], now: float) -> list[Change]:
    """Change the grants from documents to those that this one declares."""
    table = tables.access_grant
    in_document = (table.c.source == "document") & (table.c.state != REVOKED)
    gone = set(connection.scalars(select(table.c.id).where(in_document)))
    changes: list[Change] = []
    for proposal in proposals:
        gone.discard(proposal.grant.id)
        changes += propose(connection, proposal, now, "document")
    for name in sorted(gone):
        void(connection, f"{GRANT} {name}", now)
        connection.execute(delete(table).where(table.c.id == name))
        changes.append(Change("grant", name, "removed"))
    return changes


def propose(connection: Connection, proposal: Proposal, now: float, source: Source = "proposal") -> list[Change]:
    """Add a grant, or replace one with another content and void its approvals. The same content changes nothing.

    Raises `registry.unknown` where it names a proposer who is no officer: the name keeps him from signing it. Raises
    `approval.given-up` for a proposal that no officer could sign; what a document says stands all the same.
    """
    alone(connection)
    grant, table = proposal.grant, tables.access_grant
    content = grant.canonical()
    body = content.decode()
    before = connection.execute(select(table.c.body, table.c.state).where(table.c.id == grant.id)).first()
    changes: list[Change] = []
    if (before is None or before.body != body) and grant.proposed_by not in (None, *officers(connection)):
        raise unknown("officer", str(grant.proposed_by))
    stands = before is not None and before.body == body and before.state != REVOKED
    signable = stands or source != "proposal" or grant.denies  # or needs no signature
    if not signable and _given_up(connection, GRANT, grant.id, content):
        raise APPROVAL_GIVEN_UP(subject=_said(GRANT, grant.id))
    if before is None:
        connection.execute(insert(table).values(id=grant.id, body=body, state=ACTIVE, source=source))
        changes.append(Change("grant", grant.id, "added"))
    elif not stands:
        old, new = json.loads(before.body), json.loads(body)
        void(connection, f"{GRANT} {grant.id}", now)
        state = ACTIVE if before.state == REVOKED else before.state  # a change lifts no suspension
        connection.execute(update(table).where(table.c.id == grant.id).values(body=body, state=state, source=source))
        differing = tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))
        changes.append(Change("grant", grant.id, "changed", differing))
    for officer, signature in proposal.signed:
        changes += approve_grant(connection, grant.id, officer, signature, now)
    return changes


def proposed_by(connection: Connection, proposals: Iterable[Proposal], by: str | None) -> list[Proposal]:
    """The proposals as `by` makes them: an officer is named in them, whoever else they name, and so cannot sign them.

    What stands under its id with the same content otherwise keeps its proposer, and its signatures; also where somebody
    who is no officer brings it and names none.
    """
    officer = by if by in officers(connection) else None
    made = []
    for each in proposals:
        wanted = each.grant if officer is None else replace(each.grant, proposed_by=officer)
        found = stored(connection, wanted.id) if officer is not None or wanted.proposed_by is None else None
        if found is not None and not found[1]:
            same = replace(found[0], proposed_by=wanted.proposed_by).canonical() == wanted.canonical()
            wanted = found[0] if same else wanted
        made.append(replace(each, grant=wanted))
    return made


def stored(connection: Connection, name: str) -> tuple[Grant, bool] | None:
    """The content that has this id, and whether it was revoked. None if there is none."""
    table = tables.access_grant.c
    row = connection.execute(select(table.body, table.state).where(table.id == name)).first()
    return None if row is None else (Grant.from_json(json.loads(row.body)), row.state == REVOKED)


def content_of(connection: Connection, name: str) -> Grant:
    """A grant's stored content. Raises `registry.unknown` or `grant.revoked`."""
    found = stored(connection, name)
    if found is None:
        raise unknown("grant", name)
    if found[1]:
        raise GRANT_REVOKED(grant=name)
    return found[0]


def ends(connection: Connection, wanted: Grant) -> bool:
    """Whether this other content would end at once what stands under its id: signed, a denial, or adopted."""
    found = stored(connection, wanted.id)
    if found is None or found[1] or found[0].canonical() == wanted.canonical():
        return False
    grants, given = tables.access_grant.c, tables.approval.c
    source = connection.scalar(select(grants.source).where(grants.id == wanted.id))
    signed = select(given.officer).where(
        given.subject == f"{GRANT} {wanted.id}",
        given.digest == digest(found[0].canonical()),
        given.voided.is_(None),
    )
    return found[0].denies or source in _UNSIGNED or connection.execute(signed).first() is not None


def approve_grant(connection: Connection, name: str, officer: str, signature: str, now: float) -> list[Change]:
    """Add an officer's signature. A second one of the same officer changes nothing."""
    alone(connection)  # else a signature could arrive for a content that is being replaced
    grant = content_of(connection, name)
    return take(connection, Approved(GRANT, name, grant.canonical(), grant.proposed_by), officer, signature, now)


def approve_officer(
    connection: Connection, name: str, officer: str, signature: str, now: float, *, roll: Roll = OFFICER_ROLL
) -> list[Change]:
    """Add a signature for a proposed officer, or of `roll`; the second one activates the officer or person."""
    alone(connection)
    candidate = listed(connection, roll).get(name)
    if candidate is None or candidate.state != "proposed":
        raise unknown(_PROPOSED[roll.what], name)
    content = candidate.content()
    changes = take(connection, Approved(roll.what, name, content, name), officer, signature, now)
    signatures = approvals(connection).get((f"{roll.what} {name}", digest(content)), ())
    if len(counted(content, name, signatures, officers(connection))) >= OFFICERS:
        set_officer(connection, name, "active", now, roll)
        changes.append(Change(roll.what, name, "approved", ("state",)))
    return changes


def revoke(connection: Connection, name: str, now: float) -> list[Change]:
    """Revoke a grant for good: it must be proposed and approved again, under another edition."""
    alone(connection)
    content_of(connection, name)
    void(connection, f"{GRANT} {name}", now)
    connection.execute(update(tables.access_grant).where(tables.access_grant.c.id == name).values(state=REVOKED))
    return [Change("grant", name, "revoked", ("state",))]


class Approved(NamedTuple):
    """What an officer signs. `proposer` is the officer who proposed it and must not sign."""

    what: Literal["grant", "officer", "passkey", "person", "agency", "system", "route", "workflow"]
    name: str
    content: bytes
    proposer: str | None


def take(connection: Connection, approved: Approved, officer: str, mark: str, now: float) -> list[Change]:
    """Store a signature if it is an officer's over this content, and was not given up."""
    what, name, content, proposer = approved
    signer = officers(connection).get(officer)
    if signer is None:
        raise unknown("officer", officer)
    subject, bound = f"{what} {name}", digest(content)
    table = tables.approval
    row = connection.execute(
        select(table.c.signature, table.c.voided).where(
            table.c.subject == subject, table.c.digest == bound, table.c.officer == officer
        )
    ).first()
    if row is not None and row.voided is None and row.signature == mark:
        return []  # already stored
    said = _said(what, name)
    check(said, content, proposer, signer, mark)
    if row is not None and row.voided is None:
        return []
    if _given_up(connection, what, name, content):
        raise APPROVAL_GIVEN_UP(subject=said)
    connection.execute(insert(table).values(subject=subject, digest=bound, officer=officer, signature=mark, given=now))
    return [Change(what, name, "approved", (officer, bound))]


def _said(what: str, name: str) -> Words:
    return Words(f"{words(what).vi} {name}", f"{words(what).en} {name}")


def _given_up(connection: Connection, what: str, name: str, content: bytes) -> bool:
    """Whether this content takes no signature any more."""
    table = tables.approval.c
    voided = (
        select(table.officer)
        .where(table.subject == f"{what} {name}", table.digest == digest(content), table.voided.is_not(None))
        .limit(1)
    )
    return connection.scalar(voided) is not None or what == GRANT and _replaced(connection, name, content.decode())


def _replaced(connection: Connection, name: str, body: str) -> bool:
    """Whether the grant had this content, and then another or none: signatures of then may have been held back."""
    table = tables.registry_history.c
    of_grant = (table.of_table == tables.access_grant.name, table.key == key_of([name]))
    versions = connection.scalars(select(table.content).where(*of_grant).order_by(table.revision))
    rows = [json.loads(each) if each is not None else {"state": REVOKED} for each in versions]
    stood = [row["state"] != REVOKED and row["body"] == body for row in rows]
    return any(held and not still for held, still in pairwise(stood))


def void(connection: Connection, subject: str, now: float, content: str | None = None) -> None:
    """Void the approvals of a subject, or only those of one content's digest."""
    table = tables.approval.c
    these = (table.subject == subject) & table.voided.is_(None)
    if content is not None:
        these &= table.digest == content
    connection.execute(update(tables.approval).where(these).values(voided=now))

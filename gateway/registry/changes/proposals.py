"""Stores proposals of approved content (`changes.content`), and puts them in force once two officers signed them.

The body of a proposal is canonical JSON (RFC 8785) of the content, its edition and its proposer. Officers sign it as
they sign a grant. Theory of operation
1. A document of an empty instance founds it: its content is in force at once. What was in force before content needed
   approval is adopted, once.
2. Later content that differs is a proposal under the next edition of its subject. A document without that content
   withdraws it. A route's proposal is made anew when a system that it names is proposed otherwise.
3. The second signature puts it in force in its transaction. A route waits for the proposals of its systems.
Invariant: no two bodies of a subject have the same edition, so no signature counts for a later proposal.
Invariant: rows are never deleted, and basis and body never change; the seals of the log cover what was founded.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, func, insert, select, update

from contracts.base import jcs
from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.changes.content import Content, Subject, clear_route, in_force, named_systems, put, unsigned
from gateway.registry.changes.dependencies import waits_for
from gateway.registry.changes.fitting import misfit
from gateway.registry.changes.flows import of_contracts
from gateway.registry.changes.granting import Approved, approvals, take, void
from gateway.registry.changes.officers import officers
from gateway.registry.errors import PROPOSAL_OUTDATED, unknown, words
from gateway.registry.records import ACTIVE, Change
from gateway.registry.seals.revisions import alone
from gateway.registry.tenants import POLICY
from gateway.registry.workflows import WORKFLOW
from security.grants.approvals import Officer, counted
from security.grants.grants import OFFICERS, digest

State = Literal["waiting", "in-force", "replaced", "withdrawn", "removed"]
Basis = Literal["officers", "founding", "adopted", "sandbox-self-service"]
FOUNDING: Final = "founding"
ADOPTED: Final = "adopted"
_LAPSES: Final = 30 * 86_400.0  # seconds after which a workflow that waits cannot be signed any more


@dataclass(frozen=True, slots=True)
class Proposal:
    """One row: `standing` is the state that a new system takes with it."""

    subject: Subject
    edition: int
    body: str
    state: str
    basis: str
    standing: str
    proposed: float

    @property
    def content(self) -> Content:
        return unsigned(self.body)

    @property
    def proposed_by(self) -> str | None:
        by: str | None = json.loads(self.body).get("proposed_by")
        return by

    @property
    def digest(self) -> str:
        return digest(self.body.encode())

    @property
    def owner(self) -> str | None:
        """The agency of which one of the officers has to be: of a workflow, the owner of its contract."""
        return str(self.content["owner"] or "") if self.subject.what == WORKFLOW else None

    def lapsed(self, now: float) -> bool:
        """Whether it waited for too long: a workflow was written for the days when it was proposed."""
        return self.subject.what == WORKFLOW and self.state == "waiting" and now >= self.proposed + _LAPSES

    def suffices(self, signers: Collection[str], known: Mapping[str, Officer]) -> bool:
        """Whether these officers, whose signatures count, are enough."""
        owned = self.owner is None or any(known[each].agency == self.owner for each in signers)
        return len(signers) >= OFFICERS and owned

    def facts(self) -> dict[str, Any]:
        """For the log."""
        return {
            "subject": str(self.subject),
            "edition": self.edition,
            "digest": self.digest,
            "proposed_by": self.proposed_by,
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """A proposal that came into force, by whose signatures, and the digest of what it replaced."""

    proposal: Proposal
    signed_by: tuple[str, ...]
    before: str | None
    change: Change

    def facts(self) -> dict[str, Any]:
        """For the log."""
        return {**self.proposal.facts(), "before": self.before, "signed_by": list(self.signed_by)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a document declares: content by subject, the stated states of systems, and who proposes."""

    contents: Mapping[Subject, Content]
    states: Mapping[str, str]
    proposer: str | None


def proposals(connection: Connection, state: State) -> dict[Subject, Proposal]:
    """The proposals in this state, `waiting` or `in-force`: at most one of each subject."""
    table = tables.registry_proposal.c
    rows = connection.execute(select(*table).where(table.state == state).order_by(table.subject, table.edition))
    return {
        (subject := Subject.of(row.subject)): Proposal(
            subject, row.edition, row.body, row.state, row.basis, row.standing, row.proposed
        )
        for row in rows
    }


def founds(connection: Connection) -> bool:
    """Whether the instance is empty: no system, route, officer or approved content, now or ever."""
    every = (tables.system, tables.route, tables.officer, tables.registry_proposal)
    return all(connection.scalar(select(func.count()).select_from(each)) == 0 for each in every)


def found(connection: Connection, contents: Mapping[Subject, Content], now: float) -> list[Change]:
    """Put the content of an empty instance's first document in force, with the workflows of its contracts."""
    for subject, content in contents.items():
        put(connection, subject, content, ACTIVE)
    recorded = {**contents, **of_contracts(connection)}
    _record(connection, recorded, FOUNDING, now)
    return [Change(each.what, each.id, "added") for each in recorded if each.what in ("route", WORKFLOW)]


def adoptable(connection: Connection) -> bool:
    """Whether content is in force, and none of it was ever recorded."""
    recorded = connection.scalar(select(func.count()).select_from(tables.registry_proposal))
    return not recorded and bool(_needing(in_force(connection)))


def adopt(connection: Connection, now: float) -> int:
    """Record what is in force since before content needed approval; how much."""
    if not adoptable(connection):
        return 0
    return _record(connection, {**in_force(connection), **of_contracts(connection)}, ADOPTED, now)


def _record(connection: Connection, contents: Mapping[Subject, Content], basis: Basis, now: float) -> int:
    needing = _needing(contents)
    for subject, content in needing.items():
        _insert(connection, Proposal(subject, 1, _body(content, 1, None), "in-force", basis, ACTIVE, now))
    return len(needing)


def approve_by_policy(connection: Connection, subject: Subject, content: Content, now: float) -> list[Change]:
    """Put content of a tenant in force by the policy. Its rows exist. The caller checks that the policy may."""
    table = tables.registry_proposal.c
    known = proposals(connection, "in-force").get(subject)
    if known is not None and known.content == content:
        return []
    last = connection.scalar(select(func.max(table.edition)).where(table.subject == str(subject))) or 0
    _close(connection, subject, "in-force", "replaced", now)
    put(connection, subject, content, ACTIVE)
    body = _body(content, last + 1, None)
    _insert(connection, Proposal(subject, last + 1, body, "in-force", POLICY, ACTIVE, now))
    return [Change(subject.what, subject.id, "approved", _differing(None if known is None else known.content, content))]


def _needing(contents: Mapping[Subject, Content]) -> dict[Subject, Content]:
    """An agency without roles needs no approval."""
    return {subject: content for subject, content in contents.items() if content.get("roles") != []}


def apply_contents(connection: Connection, wanted: Wanted, now: float) -> list[Change]:
    """Propose what differs from the content in force, withdraw what is no longer proposed, remove routes."""
    waiting, recorded = proposals(connection, "waiting"), proposals(connection, "in-force")
    approved: dict[Subject, Content] = {subject: each.content for subject, each in recorded.items()}
    before = {  # rows that were edited count as nothing: nobody approved them
        subject: content if approved.get(subject, {**content, "roles": []}) == content else {}
        for subject, content in in_force(connection).items()
    }
    routes = [each for each in wanted.contents if each.what == "route"]
    changes: list[Change] = []
    for subject, content in wanted.contents.items():
        if subject.what != "route":
            changes += _propose(connection, (subject, content, before.get(subject)), waiting.get(subject), wanted, now)
    for subject in sorted(each for each in waiting.keys() - wanted.contents.keys() if each.what != WORKFLOW):
        changes.append(withdraw(connection, waiting[subject], now))
    moved = {each.id for each in changes if each.what == "system"}
    for subject in routes:
        content, held = wanted.contents[subject], waiting.get(subject)
        if held is not None and moved & named_systems(held.content):  # it was signed for other systems
            changes.append(withdraw(connection, held, now))
            held = None
        changes += _propose(connection, (subject, content, before.get(subject)), held, wanted, now)
    for subject in sorted(before.keys() - wanted.contents.keys()):
        if subject.what == "route":  # it only restricts
            clear_route(connection, subject)
            _close(connection, subject, "in-force", "removed", now)
            changes.append(Change("route", subject.id, "removed"))
    return changes


def _propose(
    connection: Connection,
    asked: tuple[Subject, Content, Content | None],
    held: Proposal | None,
    wanted: Wanted,
    now: float,
) -> list[Change]:
    subject, content, known = asked
    if content == known:
        return [withdraw(connection, held, now)] if held is not None else []
    standing = wanted.states.get(subject.id, held.standing if held is not None else ACTIVE)
    if held is not None and held.content == content:
        if subject.what == "system" and held.standing != standing:
            same = _row(subject, held.edition)
            connection.execute(update(tables.registry_proposal).where(same).values(standing=standing))
        return []
    if held is not None:
        withdraw(connection, held, now)
    add(connection, subject, content, wanted.proposer, now, standing=standing)
    return [Change(subject.what, subject.id, "proposed", _differing(known, content))]


def add(
    connection: Connection,
    subject: Subject,
    content: Content,
    proposer: str | None,
    now: float,
    *,
    standing: str = ACTIVE,
    state: State = "waiting",
) -> Proposal:
    """Store a proposal under the next edition of its subject."""
    table = tables.registry_proposal.c
    last = connection.scalar(select(func.max(table.edition)).where(table.subject == str(subject))) or 0
    body = _body(content, last + 1, proposer)
    proposal = Proposal(subject, last + 1, body, state, "officers", standing, now)
    _insert(connection, proposal)
    return proposal


def approve(
    connection: Connection, subject: Subject, officer: str, signature: str, now: float
) -> tuple[list[Change], list[Effect]]:
    """Add an officer's signature to what waits, else to what is in force; puts in force what is then complete."""
    alone(connection)
    adopt(connection, now)
    proposal = open_proposal(connection, subject)
    if proposal.state == "waiting" and (why := _outdated(connection, proposal, now)) is not None:
        raise PROPOSAL_OUTDATED(subject=subject.path, why=why)
    approved = Approved(subject.what, subject.id, proposal.body.encode(), proposal.proposed_by)
    changes = take(connection, approved, officer, signature, now)
    effects = settle(connection, now)
    return changes + [each.change for each in effects], effects


def _outdated(connection: Connection, proposal: Proposal, now: float) -> Words | None:
    if proposal.lapsed(now):
        return words("proposal.lapsed")
    return misfit(connection, proposal.subject, proposal.content)


def refuse(connection: Connection, subject: Subject, now: float) -> tuple[Proposal, Change]:
    """Take a workflow back that waits, with its signatures. Raises `registry.unknown`.

    Other content comes from a document, which would propose it again: the document is mended instead.
    """
    alone(connection)
    proposal = proposals(connection, "waiting").get(subject)
    if proposal is None or subject.what != WORKFLOW:
        raise unknown("proposal", subject.path)
    return proposal, withdraw(connection, proposal, now)


def open_proposal(connection: Connection, subject: Subject) -> Proposal:
    """What officers sign of a subject: the proposal that waits, else the content in force."""
    proposal = proposals(connection, "waiting").get(subject) or proposals(connection, "in-force").get(subject)
    if proposal is None:
        raise unknown("proposal", subject.path)
    return proposal


def signed_by(connection: Connection, proposal: Proposal) -> tuple[str, ...]:
    """The officers whose signatures of it count."""
    signatures = approvals(connection).get((str(proposal.subject), proposal.digest), ())
    return counted(proposal.body.encode(), proposal.proposed_by, signatures, officers(connection))


def settle(connection: Connection, now: float) -> list[Effect]:
    """Put in force every proposal that two officers signed and that waits for nothing else."""
    effects: list[Effect] = []
    while (effect := next(_ready(connection, now), None)) is not None:
        effects.append(effect)
    return effects


def _ready(connection: Connection, now: float) -> Iterator[Effect]:
    waiting, force, known_officers = proposals(connection, "waiting"), in_force(connection), officers(connection)
    for subject, proposal in waiting.items():
        signers = signed_by(connection, proposal)
        if not proposal.suffices(signers, known_officers) or waits_for(subject, proposal.content, waiting, force):
            continue
        if _outdated(connection, proposal, now) is not None:
            continue
        known = force.get(subject)
        put(connection, subject, proposal.content, proposal.standing)
        before = proposals(connection, "in-force").get(subject)
        _close(connection, subject, "in-force", "replaced", now)
        _close(connection, subject, "waiting", "in-force", now)
        how: Literal["added", "changed"] = "added" if known is None else "changed"
        change = Change(subject.what, subject.id, how, _differing(known, proposal.content))
        yield Effect(proposal, signers, None if before is None else before.digest, change)


def withdraw(connection: Connection, proposal: Proposal, now: float) -> Change:
    """Its signatures count no more, for nothing."""
    _close(connection, proposal.subject, "waiting", "withdrawn", now)
    void(connection, str(proposal.subject), now, proposal.digest)
    return Change(proposal.subject.what, proposal.subject.id, "withdrawn")


def _close(connection: Connection, subject: Subject, state: State, after: State, now: float) -> None:
    table = tables.registry_proposal
    here = (table.c.subject == str(subject)) & (table.c.state == state)
    connection.execute(update(table).where(here).values(state=after, decided=now))


def _row(subject: Subject, edition: int) -> Any:
    table = tables.registry_proposal.c
    return (table.subject == str(subject)) & (table.edition == edition)


def _insert(connection: Connection, proposal: Proposal) -> None:
    connection.execute(
        insert(tables.registry_proposal).values(
            subject=str(proposal.subject),
            edition=proposal.edition,
            body=proposal.body,
            state=proposal.state,
            basis=proposal.basis,
            standing=proposal.standing,
            proposed=proposal.proposed,
        )
    )


def _body(content: Content, edition: int, proposer: str | None) -> str:
    by = {} if proposer is None else {"proposed_by": proposer}
    return jcs.encode({**content, "edition": edition, **by}).decode()


def _differing(old: Content | None, new: Content) -> tuple[str, ...]:
    names = sorted({*new, *(old or {})})
    return tuple(name for name in names if old is None or old.get(name) != new.get(name))

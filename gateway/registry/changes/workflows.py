"""Proposes the workflows of contracts: each needs two officers, one of them of the agency that owns the contract.

Theory of operation (article 13.3 of the regulation)
1. A workflow is content of the registry, with the subject `workflow CONTRACT`: the table as it was read, the bundle
   that it is in, and the owner.
2. A publication or roll-back whose workflow is not the live one proposes it, in its transaction. The contract's version
   does not wait: until officers have signed, the former workflow is live (`gateway.registry.workflows`).
3. A workflow without a former one starts with the first message of its feed, so that none is lost by waiting.
4. A proposal lapses (`Proposal.lapsed`), and may be refused. Publishing the same bundle again proposes it again, by the
   command line or by a draft of the console.
5. The first document of an instance founds the workflows too. What an older release left stays live, and is named as
   not approved until officers have signed it.
Invariant: a workflow that differs in anything from the live one is another content, with signatures of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, select

from contracts.compiled.contract import CompiledContract
from gateway.journal.schema import tables
from gateway.registry.changes import proposals as proposing
from gateway.registry.changes.content import Subject
from gateway.registry.changes.flows import in_force, of_contract
from gateway.registry.changes.officers import officers
from gateway.registry.changes.proposals import Proposal
from gateway.registry.records import Change
from gateway.registry.workflows import WORKFLOW


class Proposed(NamedTuple):
    """What became of a contract's proposals. Without changes there was nothing to propose."""

    changes: tuple[Change, ...] = ()
    proposal: Proposal | None = None

    def facts(self) -> dict[str, Any]:
        """For the log; empty if nothing changed."""
        if not self.changes:
            return {}
        proposed = {} if self.proposal is None else {"proposed": self.proposal.facts()}
        return {WORKFLOW: {**proposed, "how": [each.how for each in self.changes]}}


def propose(
    connection: Connection, compiled: CompiledContract, before: CompiledContract | None, now: float, by: str | None
) -> Proposed:
    """Propose the workflow of a version that was put in force in place of `before`, unless it is live or proposed.

    `by` is who publishes: an officer cannot sign it then. Nothing is proposed in an instance that is not founded.
    """
    if proposing.founds(connection):
        return Proposed()
    subject = Subject(WORKFLOW, compiled.contract.name)
    changes: list[Change] = []
    if before is not None:
        changes += _left(connection, before, now)
    content, held, live = _standing(connection, compiled, subject)
    if content is None or live:
        return Proposed((*changes, *_withdrawn(connection, held, now)))
    if _waits(held, content, now):
        return Proposed(tuple(changes))
    changes += _withdrawn(connection, held, now)
    proposal = proposing.add(connection, subject, content, by if by in officers(connection) else None, now)
    return Proposed((*changes, Change(WORKFLOW, subject.id, "proposed", (proposal.digest,))), proposal)


def proposes(connection: Connection, compiled: CompiledContract, now: float) -> bool:
    """Whether publishing the version in force again would propose its workflow: it was refused, or it lapsed."""
    subject = Subject(WORKFLOW, compiled.contract.name)
    if proposing.founds(connection) or not _is_known(connection, subject):
        return False
    content, held, live = _standing(connection, compiled, subject)
    return content is not None and not live and not _waits(held, content, now)


def renew(connection: Connection, now: float) -> list[Change]:
    """Propose anew what waits for an owner that the contract no longer has; record what an older release left."""
    waiting = proposing.proposals(connection, "waiting")
    changes: list[Change] = []
    for compiled in in_force(connection):
        changes += _left(connection, compiled, now)
        held = waiting.get(Subject(WORKFLOW, compiled.contract.name))
        content = None if held is None else of_contract(connection, compiled)
        if held is None or content is None or held.content["owner"] == content["owner"]:
            continue
        changes += _withdrawn(connection, held, now)
        proposal = proposing.add(connection, held.subject, content, held.proposed_by, now)
        changes.append(Change(WORKFLOW, held.subject.id, "proposed", (proposal.digest,)))
    return changes


def _left(connection: Connection, compiled: CompiledContract, now: float) -> list[Change]:
    """Record the workflow in force of a contract that never had a proposal; officers have yet to sign it."""
    subject = Subject(WORKFLOW, compiled.contract.name)
    content = None if _is_known(connection, subject) else of_contract(connection, compiled)
    if content is None:
        return []
    proposing.add(connection, subject, content, None, now, state="in-force")
    return [Change(WORKFLOW, subject.id, "added")]


def _is_known(connection: Connection, subject: Subject) -> bool:
    """Whether it has a proposal, past or present."""
    return bool(connection.scalar(select(exists().where(tables.registry_proposal.c.subject == str(subject)))))


def _standing(
    connection: Connection, compiled: CompiledContract, subject: Subject
) -> tuple[Mapping[str, Any] | None, Proposal | None, bool]:
    """The content of a version's workflow, what waits for officers, and whether the content is live."""
    content = of_contract(connection, compiled)
    standing = proposing.proposals(connection, "in-force").get(subject)
    live = content is not None and standing is not None and bool(standing.content[WORKFLOW] == content[WORKFLOW])
    return content, proposing.proposals(connection, "waiting").get(subject), live


def _waits(held: Proposal | None, content: Mapping[str, Any], now: float) -> bool:
    """Whether this content can be signed already."""
    same = held is not None and all(held.content[name] == content[name] for name in ("owner", WORKFLOW))
    return held is not None and same and not held.lapsed(now)


def _withdrawn(connection: Connection, held: Proposal | None, now: float) -> list[Change]:
    return [] if held is None else [proposing.withdraw(connection, held, now)]

"""Names content in force that neither two officers, nor the founding of the instance, nor a tenant's policy cover.

Rows with a genuine seal can be wrong too: whoever holds the keys of an instance seals what he likes, but signs for no
officer.
Invariant: what is founded or adopted counts only as the first sealed entry with a basis states it, if there is one.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.journal.schema import tables
from gateway.registry.changes.content import SOURCES, Content, Subject, in_force
from gateway.registry.changes.granting import approvals
from gateway.registry.changes.officers import officers
from gateway.registry.changes.proposals import Proposal, proposals
from gateway.registry.seals.basis import BASES, basis
from gateway.registry.seals.sealing import PHASES, borne
from gateway.registry.tenants import POLICY, ROLE, is_tenant
from security.grants.approvals import counted


def unapproved(connection: Connection) -> list[str]:
    """The paths of subjects whose content in force nobody approved, in order; none before content was adopted."""
    recorded = proposals(connection, "in-force")
    founded = first_basis(connection) in (None, basis(connection))
    if not recorded and founded:
        return []
    known, signatures = officers(connection), approvals(connection)

    def covers(proposal: Proposal) -> bool:
        signed = signatures.get((str(proposal.subject), proposal.digest), ())
        if proposal.basis == POLICY:
            return within_tenant(proposal.subject, proposal.content)
        signers = counted(proposal.body.encode(), proposal.proposed_by, signed, known)
        return proposal.suffices(signers, known) or founded and proposal.basis in BASES

    wrong: list[Subject] = []
    for subject, content in in_force(connection).items():
        proposal = recorded.pop(subject, None)
        if proposal is None and content.get("roles") == []:
            continue
        if proposal is None or proposal.content != content or not covers(proposal):
            wrong.append(subject)
    return [each.path for each in sorted([*wrong, *recorded])]  # those left are recorded, and not in force


def within_tenant(subject: Subject, content: Content) -> bool:
    """Whether the policy of tenants may approve this content: a tenant's role, or a system of a tenant."""
    if subject.what == "agency":
        return is_tenant(subject.id) and content["roles"] == [ROLE]
    return subject.what == "system" and is_tenant(content["agency"]) and SOURCES not in content


def first_basis(connection: Connection) -> str | None:
    """The basis that the log stated first; None if it states none."""
    for order in (tables.past_entry.c.sequenced, tables.log_entry.c.idx, tables.log_pending.c.id):
        table = order.table
        query = select(table.c.entry).where(tables.NOTES, table.c.phase.in_(PHASES)).order_by(order)
        for entry in connection.execute(query).scalars():
            stated = (borne(bytes(entry)) or {}).get("basis")
            if stated is not None:
                return str(stated)
    return None

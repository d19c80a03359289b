"""Verifies what a named policy approved in place of officers: only content and grants of a sandbox's tenants."""

from __future__ import annotations

import json

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.schema import tables
from gateway.registry.changes.content import Subject
from gateway.registry.changes.unapproved import within_tenant
from gateway.registry.tenants import POLICY, is_tenant

_UNSIGNED = ("edition", "proposed_by")


def check_policies(connection: Connection, wrong: Findings) -> None:
    grant, proposal, count = tables.access_grant.c, tables.registry_proposal.c, 0
    for row in connection.execute(select(grant.id, grant.body).where(grant.source == POLICY).order_by(grant.id)):
        count += 1
        if not is_tenant(json.loads(row.body).get("agency")):
            wrong.add(f"the grant {row.id}: the policy {POLICY} approved it, and its holder is no tenant of a sandbox")
    query = select(proposal.subject, proposal.edition, proposal.body).where(proposal.basis == POLICY)
    for text, edition, content in connection.execute(query.order_by(proposal.subject, proposal.edition)):
        count += 1
        subject, body = Subject.of(text), json.loads(content)
        if not within_tenant(subject, {name: value for name, value in body.items() if name not in _UNSIGNED}):
            wrong.add(f"{subject.path}, edition {edition}: the policy {POLICY} approved it, and may not")
    if count:
        wrong.count(f"approvals by the policy {POLICY}", count)

"""Writes what the policy `sandbox-self-service` approves: one tenant's agency, systems and grants.

The rows are those that two officers would approve, with the policy as their basis. So everything that holds between
agencies holds between tenants.
Invariant: nothing outside the tenant is approved here: no role but `vendor`, no feed, no other agency's system.
Invariant: in a production instance nothing is (`gateway.registry.tenants.refuse_policy` runs at each check of a seal).
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from gateway.journal.schema import tables
from gateway.registry import contacts
from gateway.registry.changes import granting, proposals
from gateway.registry.changes.content import Subject, declared, endpoint_text, text
from gateway.registry.changes.granting import Proposal
from gateway.registry.changes.unapproved import within_tenant
from gateway.registry.errors import REGISTRY_POLICY_SCOPE
from gateway.registry.own_feed import FEED, OWN
from gateway.registry.records import ACTIVE, Agency, Change, System
from gateway.registry.tenant_clock import TenantClock
from gateway.registry.tenants import POLICY, is_tenant
from security.grants.grants import ALL, Grant


def admit(connection: Connection, agency: Agency, now: float) -> list[Change]:
    """A new tenant. Raises `registry.policy-scope` for any other agency."""
    ((subject, content),) = declared((agency,), (), (), {}).items()
    if not within_tenant(subject, content):
        raise _outside(subject)
    connection.execute(
        insert(tables.agency).values(
            code=agency.code,
            name_vi=agency.name.vi,
            name_en=agency.name.en,
            level=agency.level,
            roles="[]",
            contact=contacts.row(agency.contacts),
            state=ACTIVE,
        )
    )
    return [
        Change("agency", agency.code, "added"),
        *proposals.approve_by_policy(connection, subject, content, now),
    ]


def put_system(connection: Connection, system: System, now: float) -> list[Change]:
    """A new system of a tenant, or another address of one. Raises `registry.policy-scope` for any other."""
    ((subject, content),) = declared((), (system,), (), {system.id: {}}).items()
    table = tables.system.c
    owner = connection.scalar(select(table.agency).where(table.id == system.id))
    if not within_tenant(subject, content) or owner not in (None, system.agency):
        raise _outside(subject)
    changes: list[Change] = []
    if owner is None:
        connection.execute(
            insert(tables.system).values(
                id=system.id,
                agency=system.agency,
                title_vi=system.title.vi,
                title_en=system.title.en,
                formats=text(dict(system.formats)),
                endpoint=endpoint_text(system),
                state=ACTIVE,
                versions=None,
                contact=None,
            )
        )
        changes.append(Change("system", system.id, "added"))
    return changes + proposals.approve_by_policy(connection, subject, content, now)


def grant(connection: Connection, wanted: Grant, now: float) -> list[Change]:
    """A grant to a tenant. Raises `registry.policy-scope` for any other holder, for a feed, or for all operations."""
    open_ended = {ALL, FEED} & set(wanted.operations)
    if not is_tenant(wanted.agency) or open_ended or wanted.contract in OWN or wanted.denies:
        raise REGISTRY_POLICY_SCOPE(policy=POLICY, what=f"grant/{wanted.id}")
    known = select(tables.access_grant.c.source).where(tables.access_grant.c.id == wanted.id)
    if connection.scalar(known) not in (None, POLICY):
        raise REGISTRY_POLICY_SCOPE(policy=POLICY, what=f"grant/{wanted.id}")
    return granting.propose(connection, Proposal(wanted), now, POLICY)


def set_clock(connection: Connection, agency: str, clock: TenantClock) -> list[Change]:
    """The clock of a tenant. Raises `registry.policy-scope` for any other agency."""
    if not is_tenant(agency):
        raise REGISTRY_POLICY_SCOPE(policy=POLICY, what=f"agency/{agency}")
    table = tables.agency
    connection.execute(update(table).where(table.c.code == agency).values(clock=clock.text()))
    return [Change("agency", agency, "changed")]


def count(connection: Connection) -> int:
    """The tenants of the instance that are in force: one who was expelled leaves her place."""
    agency = tables.agency.c
    return sum(map(is_tenant, connection.scalars(select(agency.code).where(agency.state == ACTIVE))))


def systems_of(connection: Connection, agency: str) -> list[str]:
    return sorted(connection.scalars(select(tables.system.c.id).where(tables.system.c.agency == agency)))


def certificates_of(connection: Connection, agency: str) -> int:
    """The keys that were ever registered for the systems of an agency."""
    query = select(func.count()).join_from(tables.system_key, tables.system, onclause=_SAME)
    return int(connection.scalar(query.where(tables.system.c.agency == agency)) or 0)


_SAME = tables.system_key.c.system == tables.system.c.id


def _outside(subject: Subject) -> Exception:
    return REGISTRY_POLICY_SCOPE(policy=POLICY, what=subject.path)

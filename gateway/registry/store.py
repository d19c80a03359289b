"""Writes the registry: applies documents, publishes contracts. Keys and authorities are in `changes.keys`.

Invariant: a document declares the whole registry. A grant or route of an earlier document that it omits is deleted; an
    agency or system that it omits is suspended, never deleted, since transfers name it. Tenants of a sandbox stay.
Invariant: roles of agencies, systems and routes of a document are proposals, except the first of an empty instance.
Invariant: a state that the document does not mention stays; applying it again lifts no suspension. Invariant: a change
raises the revision in its transaction, so that each process sees it. It is returned for the audit log. Invariant: a
stored bundle never changes; publishing moves a pointer.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from adapters.kinds import FILES
from adapters.model import DropFolder, DropRule
from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.registry import contacts, sources
from gateway.registry.changes import proposals, workflows
from gateway.registry.changes.content import CALLBACK, PROPOSED, SOURCES, declared, endpoint_text, sources_in, text
from gateway.registry.changes.content import in_force as content_in_force
from gateway.registry.changes.document import Document
from gateway.registry.changes.granting import apply_grants
from gateway.registry.changes.keys import add_key, apply_authorities, apply_keys, revoke_key
from gateway.registry.changes.officers import apply_officers
from gateway.registry.changes.proposals import Wanted
from gateway.registry.errors import GRANT_REVOKED, REGISTRY_NO_CONTACT, unknown
from gateway.registry.records import ACTIVE, REVOKED, SUSPENDED, Agency, Change, System
from gateway.registry.seals.revisions import alone, raise_revision, revision
from gateway.registry.tenants import is_tenant
from gateway.registry.versions import in_force, minor_of
from security.pki.chains import Trust

__all__ = [
    "add_key", "apply", "check_contacts", "mark_withdrawn", "publish_bundle", "put_in_force", "raise_revision",
    "revision", "revoke_key", "set_state", "systems",
]  # fmt: skip

_APPROVED: Final = ("roles", "agency", "formats", "endpoint", "versions")  # columns that only approval changes


def apply(document: Document, connection: Connection, now: float, embedded: Trust | None = None) -> list[Change]:
    """Change the registry to what the document declares; returns the changes in order.

    `now` is the time of officers and approvals. `embedded` is the embedded authority, needed if the document states
    keys.
    """
    alone(connection)
    founding = proposals.founds(connection)
    changes: list[Change] = []
    if not founding and proposals.adopt(connection, now):
        raise_revision(connection)
    settled = _settled(connection, document)
    contents = declared(document.agencies, document.systems, document.routes, settled)
    sources.check(contents, content_in_force(connection))
    agencies = {agency.code: _agency_row(agency) for agency in document.agencies}
    systems = {system.id: _system_row(system, settled[system.id]) for system in document.systems}
    changes += _merge(connection, _Kind(tables.agency, "code", "agency", founding), agencies, document.stated)
    changes += _merge(connection, _Kind(tables.system, "id", "system", founding), systems, document.stated)
    changes += apply_authorities(connection, document.authorities)
    changes += apply_keys(connection, document.keys, now, embedded)
    changes += apply_officers(connection, document.officers, document.persons, now)
    changes += apply_grants(connection, document.grants, now)
    if founding:
        changes += proposals.found(connection, contents, now)
    else:
        states = {each.id: each.state for each in document.systems if f"system {each.id}" in document.stated}
        changes += proposals.apply_contents(connection, Wanted(contents, states, document.proposed_by), now)
        changes += workflows.renew(connection, now)
    check_contacts(connection)
    for change in changes:
        if change.how == "resumed":  # its notice no longer applies
            connection.execute(
                delete(tables.notice).where(tables.notice.c.what == change.what, tables.notice.c.id == change.id)
            )
    if changes:
        raise_revision(connection)
        keep(connection, "registry.applied", repr(now))
    return changes


def _agency_row(agency: Agency) -> dict[str, Any]:
    return {
        "code": agency.code,
        "name_vi": agency.name.vi,
        "name_en": agency.name.en,
        "level": agency.level,
        "roles": text(list(agency.roles)),
        "contact": contacts.row(agency.contacts),
        "state": agency.state,
    }


def _settled(connection: Connection, document: Document) -> dict[str, dict[str, str]]:
    """System -> contract -> minor version, for each contract whose format a system names.

    It is the document's, else the system's proposed or present one with that format, else the one in force. So a system
    keeps its version until its agency states a newer one.
    """
    known = {system.id: [(system.formats, system.versions)] for system in systems(connection)}
    for subject, waiting in proposals.proposals(connection, "waiting").items():
        if subject.what == "system":
            known[subject.id].insert(0, (waiting.content["formats"], waiting.content.get("versions", {})))
    now = {contract: minor_of(each.version) for contract, each in in_force(connection).items()}

    def kept(system: System, contract: str) -> str | None:
        same = (
            versions.get(contract)
            for formats, versions in known.get(system.id, ())
            if formats.get(contract) == system.formats[contract]
        )
        return next(same, None)

    return {
        system.id: {
            contract: system.versions.get(contract) or kept(system, contract) or now[contract]
            for contract in system.formats
        }
        for system in document.systems
    }


def systems(connection: Connection) -> list[System]:
    """The registered systems from their rows, without the keys, addresses and states of a snapshot."""
    table = tables.system.c
    return [
        System(
            id=row.id,
            agency=row.agency,
            title=Words(row.title_vi, row.title_en),
            formats=json.loads(row.formats),
            endpoint=None,
            state=row.state,
            drop=drop_of(row.endpoint),
            callback=callback_of(row.endpoint),
            versions=json.loads(row.versions or "{}"),
            contacts=contacts.read(row.contact),
            sources=sources_in(json.loads(row.endpoint or "{}").get(SOURCES, ())),
        )
        for row in connection.execute(select(*table))
    ]


def drop_of(endpoint: str | None) -> DropFolder | None:
    """The drop folder of a system, from its row's endpoint."""
    at = json.loads(endpoint) if endpoint is not None else {}
    return (
        DropFolder(at["folder"], tuple(DropRule(**rule) for rule in at["rules"]))
        if at.get("kind") == FILES.name
        else None
    )


def callback_of(endpoint: str | None) -> str | None:
    """The callback address of a system, from its row's endpoint."""
    address: str | None = json.loads(endpoint).get(CALLBACK) if endpoint is not None else None
    return address


def _system_row(system: System, versions: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": system.id,
        "agency": system.agency,
        "title_vi": system.title.vi,
        "title_en": system.title.en,
        "formats": text(dict(system.formats)),
        "endpoint": endpoint_text(system),
        "state": system.state,
        "versions": text(dict(versions)) if versions else None,
        "contact": contacts.row(system.contacts) if system.contacts else None,
    }


def check_contacts(connection: Connection) -> None:
    """Raises if the system has no contact, own or its agency's: an active one needs it (article 12.3)."""
    system, agency = tables.system.c, tables.agency.c
    query = select(system.id).join_from(tables.system, tables.agency, agency.code == system.agency)
    lacking = query.where(
        system.state == ACTIVE, agency.state == ACTIVE, system.contact.is_(None), agency.contact == "{}"
    )
    for name in connection.scalars(lacking.order_by(system.id)):
        raise REGISTRY_NO_CONTACT(system=name)


class _Kind(NamedTuple):
    table: Table
    key: str
    what: Literal["agency", "system"]
    founding: bool


def _merge(
    connection: Connection, kind: _Kind, wanted: Mapping[str, dict[str, Any]], stated: Collection[str]
) -> list[Change]:
    """Write what needs no approval. A new agency has no roles, a new system waits, until their content is in force."""
    table, key, what, founding = kind
    changes: list[Change] = []
    column = table.c[key]
    stored: dict[str, dict[str, Any]] = {row[key]: dict(row) for row in connection.execute(select(table)).mappings()}
    for name, row in wanted.items():
        before = stored.pop(name, None)
        if before is None:
            held = {"roles": "[]"} if what == "agency" else {} if founding else {"state": PROPOSED}
            connection.execute(insert(table).values({**row, **held}))
            if founding or what == "agency":
                changes.append(Change(what, name, "added", tuple(sorted(set(row) - {key}))))
            continue
        waits = before["state"] == PROPOSED
        if waits or f"{what} {name}" not in stated:
            row = {**row, "state": before["state"]}
        if not waits:
            row = {field: before[field] if field in _APPROVED else value for field, value in row.items()}
        fields = tuple(sorted(field for field, value in row.items() if before[field] != value))
        if fields:
            connection.execute(update(table).where(column == name).values({field: row[field] for field in fields}))
            only_state = fields == ("state",)
            how: Literal["changed", "suspended", "resumed"] = "changed"
            if only_state:
                how = "suspended" if row["state"] == SUSPENDED else "resumed"
            changes.append(Change(what, name, how, fields))
    for name, before in stored.items():
        if before["state"] not in (SUSPENDED, PROPOSED) and not _of_tenant(before):
            connection.execute(update(table).where(column == name).values(state=SUSPENDED))
            changes.append(Change(what, name, "suspended", ("state",)))
    return changes


def _of_tenant(row: Mapping[str, Any]) -> bool:
    """Whether an agency's or a system's row belongs to a tenant, which no document declares."""
    return is_tenant(row.get("code", row.get("agency")))


def set_state(
    connection: Connection, what: Literal["agency", "system", "grant"], name: str, active: bool
) -> list[Change]:
    """Suspend or resume one agency, system or grant; `gateway.registry.changes.notices` stores the reason."""
    table, column = {
        "agency": (tables.agency, tables.agency.c.code),
        "system": (tables.system, tables.system.c.id),
        "grant": (tables.access_grant, tables.access_grant.c.id),
    }[what]
    before = connection.scalar(select(table.c.state).where(column == name))
    if what == "grant" and before == REVOKED:
        raise GRANT_REVOKED(grant=name)
    if before in (None, REVOKED, PROPOSED):
        raise unknown(what, name)
    after = ACTIVE if active else SUSPENDED
    if before == after:
        return []
    connection.execute(update(table).where(column == name).values(state=after))
    check_contacts(connection)
    raise_revision(connection)
    return [Change(what, name, "resumed" if active else "suspended", ("state",))]


def publish_bundle(connection: Connection, bundle: Bundle, compiled: CompiledContract | None = None) -> list[Change]:
    """Compile a bundle, store it by digest, and put it in force for its major version.

    `gateway.registry.changes.publish` decides whether it may follow the version in force.
    """
    compiled = compiled or compile_bundle(bundle)
    contract = compiled.contract
    changes: list[Change] = []
    table = tables.bundle
    if connection.scalar(select(func.count()).select_from(table).where(table.c.digest == bundle.digest)) == 0:
        connection.execute(
            insert(table).values(
                digest=bundle.digest, contract=contract.name, version=contract.version, content=bundle.to_bytes()
            )
        )
        changes.append(Change("bundle", bundle.digest, "added"))
    if put_in_force(connection, contract.name, bundle.digest):
        changes.append(Change("contract", contract.name, "published", (bundle.digest,)))
    return changes


def put_in_force(connection: Connection, contract: str, digest: str) -> bool:
    """Move a contract's pointer to a stored bundle; whether it moved."""
    force = tables.contract_in_force
    before = connection.scalar(select(force.c.digest).where(force.c.contract == contract))
    if before == digest:
        return False
    if before is None:
        connection.execute(insert(force).values(contract=contract, digest=digest))
    else:
        connection.execute(update(force).where(force.c.contract == contract).values(digest=digest))
    raise_revision(connection)
    return True


def mark_withdrawn(connection: Connection, digest: str, withdrawn: bool) -> None:
    """Whether a stored bundle was withdrawn."""
    connection.execute(update(tables.bundle).where(tables.bundle.c.digest == digest).values(withdrawn=withdrawn))

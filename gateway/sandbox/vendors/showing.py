"""What a vendor sees of her own tenant: systems, grants, calls used, credentials and first calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from contracts.base.times import rfc3339
from contracts.faces.pages.first_calls import FirstCall
from contracts.faces.pages.first_calls import first_calls as first_calls_of
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.console.work import board
from gateway.doors.programs import programs
from gateway.exchange.quotas import VendorLimits
from gateway.journal.schema import tables
from gateway.registry.changes import enrolment, self_service
from gateway.registry.records import System
from gateway.registry.tenants import is_tenant
from gateway.sandbox.vendors import certificates, first_calls
from security.grants.grants import Grant


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a limit is used; `per` is minute, day, systems or certificates."""

    per: str
    used: int
    most: int


@dataclass(frozen=True, slots=True)
class Mine:
    """A tenant."""

    agency: str
    systems: tuple[System, ...]
    grants: tuple[Grant, ...]
    used: tuple[Used, ...]


def own(desk: Desk, viewer: Viewer, id: str) -> System:
    """A system of the viewer's tenant. Raises `console.no-page`, as for one that does not exist."""
    system = board.system_of(desk, viewer, id)
    if not is_tenant(system.agency) or system.agency != viewer.account.agency:
        raise CONSOLE_NO_PAGE(path=id[:60])
    return system


def tenant(desk: Desk, viewer: Viewer) -> str:
    """The code of the viewer's tenant. Raises `console.no-page` for whoever has none, or sees other agencies too."""
    agency, known = viewer.account.agency, desk.services.registry.snapshot.agencies
    if viewer.account.scope != agency or not is_tenant(agency) or agency not in known:
        raise CONSOLE_NO_PAGE(path=agency[:60])
    return agency


def mine(desk: Desk, viewer: Viewer) -> Mine:
    """The viewer's tenant. Raises `console.no-page` for whoever has none."""
    agency, snapshot = tenant(desk, viewer), desk.services.registry.snapshot
    systems = tuple(sorted((each for each in snapshot.systems.values() if each.agency == agency), key=_id))
    return Mine(agency, systems, snapshot.grants(agency), _used(desk, agency, len(systems)))


def hosts(desk: Desk, system: str) -> tuple[str, ...]:
    """The hosts that the system's TLS certificate must name, since the gateway calls it there."""
    known = desk.services.registry.snapshot.systems.get(system)
    url = known.endpoint.url if known is not None and known.endpoint is not None else ""
    return enrolment.hosts_of(url)


def calls(desk: Desk, system: System) -> list[FirstCall]:
    """The first calls of the tenant's grants to ask."""
    snapshot, base, found = desk.services.registry.snapshot, desk.services.settings.base, list[FirstCall]()
    for grant in snapshot.grants(system.agency):
        contract = snapshot.contracts.get(grant.contract)
        if not grant.receives and contract is not None:
            operations = [each for each in grant.operations if each in contract.contract.operations]
            found += first_calls_of(contract, operations, base, programs())
    return found


def for_programs(desk: Desk, viewer: Viewer) -> dict[str, Any]:
    """The tenant as JSON."""
    tenant = mine(desk, viewer)
    return {
        "tenant": tenant.agency,
        "systems": [_system(desk, each) for each in tenant.systems],
        "grants": [
            {
                "id": each.id,
                "contract": each.contract,
                "operations": list(each.operations),
                "receives": each.receives,
                "approved_by": list(each.approvers),
                "valid_until": rfc3339(each.valid_until),
            }
            for each in tenant.grants
        ],
        "limits": [{"per": each.per, "used": each.used, "most": each.most} for each in tenant.used],
    }


def _system(desk: Desk, system: System) -> dict[str, Any]:
    issued: Mapping[str, Mapping[str, Any]] = certificates.issued(desk, system.id)
    names = hosts(desk, system.id)
    return {
        "system": system.id,
        "state": system.state,
        "address": None if system.endpoint is None else system.endpoint.url,
        "protocol": None if system.endpoint is None else system.endpoint.kind,
        "provides": sorted(system.formats),
        "keys": {use: each["key"] for use, each in sorted(issued.items())},
        "hosts": list(names),
        "openssl": first_calls.openssl(system.id, names),
        "calls": first_calls.as_json(calls(desk, system)) if issued else [],
    }


def _used(desk: Desk, agency: str, systems: int) -> tuple[Used, ...]:
    settings, use = desk.services.settings, tables.quota_use.c
    limits = VendorLimits.of(settings)
    found: list[Used] = []
    with desk.reading() as connection:
        for each in limits.uses(agency, desk.now()):
            same = (use.grant_id == each.grant_id, use.agency == agency, use.per == each.per, use.begins == each.begins)
            found.append(Used(each.per, int(connection.scalar(select(use.used).where(*same)) or 0), each.limit))
        issued = self_service.certificates_of(connection, agency)
    found.append(Used("systems", systems, settings.sandbox_vendor_systems))
    found.append(Used("certificates", issued, settings.sandbox_vendor_certificates))
    return tuple(found)


def _id(system: System) -> str:
    return system.id

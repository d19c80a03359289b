"""Tells the tenants of a sandbox from the agencies of its province.

A tenant is the agency of a vendor who enrolled without an officer. Its code is made by the gateway. What it holds was
approved by a named policy, not by two officers.
Invariant: no registry document states a code of this form, so no agency of a province is a tenant.
Invariant: the policy approves within one tenant only, and never in a production instance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, func, select

from gateway.journal.schema import tables
from gateway.registry.errors import REGISTRY_POLICY

if TYPE_CHECKING:
    from gateway.registry.records import System

POLICY: Final[Literal["sandbox-self-service"]] = "sandbox-self-service"
BY_POLICY: Final = f"by the policy {POLICY}"  # the reason of what a tenant does
ROLE: Final = "vendor"  # of a tenant in the registry
PREFIX: Final = "NCC."  # nhà cung cấp
CODE: Final = re.compile(r"NCC\.[0-9A-HJKMNP-TV-Z]{8}")


def is_tenant(agency: str | None) -> bool:
    """Whether an agency's code is that of a tenant."""
    return agency is not None and agency.startswith(PREFIX)


def approved_by_policy(connection: Connection) -> int:
    """How much is in force by the policy: grants, contents of agencies and systems, and clocks of tenants."""
    grant, proposal, agency = tables.access_grant.c, tables.registry_proposal.c, tables.agency.c
    granted = select(func.count()).where(grant.source == POLICY, grant.state != "revoked")
    contents = select(func.count()).where(proposal.basis == POLICY, proposal.state == "in-force")
    clocks = select(func.count()).where(agency.clock.is_not(None))
    return sum(int(connection.scalar(each) or 0) for each in (granted, contents, clocks))


def refuse_policy(connection: Connection) -> None:
    """Of a production instance. Raises `registry.policy` if something is in force by the policy."""
    if count := approved_by_policy(connection):
        raise REGISTRY_POLICY(policy=POLICY, count=count)


def providers(systems: Iterable[System]) -> dict[tuple[str, str], str]:
    """(tenant, contract) -> the tenant's system that provides it: it has an address, and names a format for it."""
    found: dict[tuple[str, str], str] = {}
    for system in sorted(systems, key=lambda each: each.id):
        if is_tenant(system.agency) and system.endpoint is not None and system.active:
            for contract in system.formats:
                found.setdefault((system.agency, contract), system.id)
    return found


def own_provider(known: Mapping[tuple[str, str], str], agency: str, contract: str) -> str | None:
    """The tenant's own provider of a contract; None for an agency that is no tenant."""
    return known.get((agency, contract)) if is_tenant(agency) else None

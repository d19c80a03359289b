"""Finds the agency that owns a contract: whom to ask for a grant, and who approves how messages are handled."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping

from sqlalchemy import Connection, select

from contracts.canonical.model import Contract
from gateway.journal.schema import tables
from gateway.registry.own_feed import CENTRE
from gateway.registry.routing import tables_of


def owner_among(
    roles: Mapping[str, Collection[str]], contract: Contract, provided: Callable[[], set[str]]
) -> str | None:
    """The code of the agency with the owner's role if there is exactly one, else of the only provider, else of the
    centre. `roles` are those of each agency; `provided` gives the agencies that the contract's routes lead to.

    Of several agencies none is taken by its order: it would be asked, and named as publisher, for others' data.
    """
    owners = [code for code, its in roles.items() if contract.owner_role in its]
    if len(owners) != 1:
        codes = provided()
        owners = [code for code in owners if code in codes]
    return owners[0] if len(owners) == 1 else next((code for code, its in roles.items() if CENTRE in its), None)


def owner_of(connection: Connection, contract: Contract) -> str | None:
    """By the rows of the registry, without a snapshot."""
    agency, system = tables.agency.c, tables.system.c
    rows = connection.execute(select(agency.code, agency.roles).order_by(agency.code))

    def provided() -> set[str]:
        targets = {
            name for (of, _), table in tables_of(connection).items() if of == contract.name for name in table.systems
        }
        return set(connection.scalars(select(system.agency).where(system.id.in_(targets))))

    return owner_among({row.code: json.loads(row.roles) for row in rows}, contract, provided)

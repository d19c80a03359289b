"""Ordered faults for programs: of a vendor for her own calls, of an operator for anybody's.

GET    /sandbox/api/faults           the orders
POST   /sandbox/api/faults           another one (`ordering.read`)
DELETE /sandbox/api/faults           ends all of them
DELETE /sandbox/api/faults/{mark}    ends one
"""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.registry.tenants import is_tenant
from gateway.sandbox.vendors import ordering, showing
from gateway.sandbox.vendors.ordering import Orderer
from gateway.sandbox.vendors.programs import Given, served

WHO = (May.TENANT, May.OPERATE)


def routes(desk: Desk) -> list[Route]:
    return [
        *served(desk, WHO, "faults", ordering.FIELDS, GET=_listed, POST=_order, DELETE=_end),
        *served(desk, WHO, "faults/{mark}", DELETE=_end),
    ]


def _by(given: Given) -> Orderer:
    """A tenant's person orders for his tenant, whatever else he may."""
    viewer = given.viewer
    if May.OPERATE in viewer.account.may and not is_tenant(viewer.account.agency):
        return Orderer(viewer.actor, None)
    return Orderer(viewer.actor, showing.mine(given.desk, viewer).agency)


def _listed(given: Given) -> Any:
    with given.desk.reading() as connection:
        found = ordering.listed(connection, _by(given))
    return {"faults": [{**ordering.shown(each), "holds": each.holds(given.now)} for each in found]}


def _order(given: Given) -> Any:
    wanted = ordering.read(given.content, _by(given), given.desk.services.registry.snapshot, given.now)
    with given.desk.writing() as connection:
        ordering.order(connection, wanted)
    return ordering.shown(wanted)


def _end(given: Given) -> Any:
    with given.desk.writing() as connection:
        ended = ordering.end(connection, _by(given), given.path.get("mark"), given.now)
    return {"ended": [each.mark for each in ended]}

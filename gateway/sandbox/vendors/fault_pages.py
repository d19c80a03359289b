"""Pages of ordered faults: a vendor's own, and an operator's for anybody's calls."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.registry.tenants import is_tenant
from gateway.sandbox.simulation.faults import KINDS, NONE
from gateway.sandbox.vendors import ordering, showing
from gateway.sandbox.vendors.ordering import Orderer
from gateway.sandbox.vendors.programs import PAGE_ONLY

HERE: Final = "/sandbox/faults"
ALL: Final = "/sandbox/vendors/faults"


def own(ask: Ask) -> Shown:
    return _shown(ask, Orderer(ask.viewer.actor, showing.mine(ask.desk, ask.viewer).agency), HERE)


def every(ask: Ask) -> Shown:
    return _shown(ask, Orderer(ask.viewer.actor, None), ALL)


def _shown(ask: Ask, by: Orderer, here: str) -> Shown:
    snapshot = ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:
        found = ordering.listed(connection, by)
    systems = sorted(each.id for each in snapshot.systems.values() if each.endpoint and not is_tenant(each.agency))
    values = {
        "orders": [(each, each.holds(ask.now)) for each in found],
        "kinds": {name: getattr(each, ask.language) for name, each in KINDS.items() if name != NONE},
        "operations": ordering.operations(snapshot, by.agency),
        "all": by.agency is None,
        "systems": systems if by.agency is None else [],
        "agencies": sorted(snapshot.agencies) if by.agency is None else [],
        "here": here,
    }
    return Shown("sandbox-faults.html", values)


def order(ask: Ask) -> Moved:
    return _order(ask, Orderer(ask.viewer.actor, showing.mine(ask.desk, ask.viewer).agency), HERE)


def order_any(ask: Ask) -> Moved:
    return _order(ask, Orderer(ask.viewer.actor, None), ALL)


def _order(ask: Ask, by: Orderer, here: str) -> Moved:
    wanted = ordering.read(ask.form, by, ask.desk.services.registry.snapshot, ask.now)
    with ask.desk.writing() as connection:
        ordering.order(connection, wanted)
    return Moved(here, "sandbox-fault")


def end(ask: Ask) -> Moved:
    return _end(ask, Orderer(ask.viewer.actor, showing.mine(ask.desk, ask.viewer).agency), HERE)


def end_any(ask: Ask) -> Moved:
    return _end(ask, Orderer(ask.viewer.actor, None), ALL)


def _end(ask: Ask, by: Orderer, here: str) -> Moved:
    with ask.desk.writing() as connection:
        ordering.end(connection, by, ask.form.get("mark") or None, ask.now)
    return Moved(here, "sandbox-fault-reset")


PAGES: Final = (
    Page("/faults", own, May.TENANT, N_("Faults on demand"), Menu.SANDBOX, root="/sandbox"),
    Page("/faults", order, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/faults/reset", end, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/vendors/faults", every, May.OPERATE, N_("Faults on demand"), Menu.SANDBOX, root="/sandbox"),
    Page("/vendors/faults", order_any, May.OPERATE, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/vendors/faults/reset", end_any, May.OPERATE, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
)

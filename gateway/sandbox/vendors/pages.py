"""The pages below `/sandbox`, in the order of the menu. Here: a vendor's systems, certificates and first calls."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Failure
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work.system_certificates import USES
from gateway.registry.own_feed import OWN
from gateway.sandbox.vendors import bundles, certificates, fault_pages, first_calls, operating, showing
from gateway.sandbox.vendors.joining import Vendors
from gateway.sandbox.vendors.programs import PAGE_ONLY

HERE: Final = "/sandbox/tenant"


def tenant(ask: Ask) -> Shown:
    snapshot = ask.desk.services.registry.snapshot
    contracts = [(name, each.contract.title) for name, each in sorted(snapshot.contracts.items()) if name not in OWN]
    return Shown("sandbox-tenant.html", {"it": showing.mine(ask.desk, ask.viewer), "contracts": contracts})


def add(ask: Ask) -> Moved:
    showing.mine(ask.desk, ask.viewer)
    system = Vendors(ask.desk).add_system(ask.viewer.account.agency, ask.form)
    return Moved(f"{HERE}/systems/{system}")


def system(ask: Ask) -> Shown:
    return _system(ask, None)


def _system(ask: Ask, failure: Failure | None) -> Shown:
    it = showing.own(ask.desk, ask.viewer, ask.path["system"])
    issued, names = certificates.issued(ask.desk, it.id), showing.hosts(ask.desk, it.id)
    order = certificates.waiting(ask.desk, it.id)
    snapshot = ask.desk.services.registry.snapshot
    values = {
        "it": it,
        "hosts": names,
        "openssl": first_calls.openssl(it.id, names),
        "issued": issued,
        "order": order,
        "trouble": None if order is None else order.facts.get("trouble"),
        "calls": showing.calls(ask.desk, it) if issued else [],
        "uses": USES,
        "given": {use: ask.form.get(use, "")[:16_384] for use in USES},
        "origin": ask.origin,
        "gateway": ask.desk.services.settings.base,
        "held": sorted({each.contract for each in snapshot.grants(it.agency)}),
        "contracts": [(name, each.contract.title) for name, each in sorted(snapshot.contracts.items())
                      if name not in OWN],
        "failure": None if failure is None else failure_values(failure, ask.language),
    }  # fmt: skip
    return Shown("sandbox-system.html", values, 200 if failure is None else failure.status)


def change(ask: Ask) -> Moved:
    it = showing.own(ask.desk, ask.viewer, ask.path["system"])
    Vendors(ask.desk).change_system(ask.viewer.account.agency, it.id, ask.form)
    return Moved(f"{HERE}/systems/{it.id}")


def order(ask: Ask) -> Shown | Moved:
    it = showing.own(ask.desk, ask.viewer, ask.path["system"])
    try:
        certificates.order(ask.desk, ask.viewer, it.id, ask.form)
    except Failure as failure:
        return _system(ask, failure)
    return Moved(f"{HERE}/systems/{it.id}")


def events(ask: Ask) -> Live:
    it = showing.own(ask.desk, ask.viewer, ask.path["system"])

    def look() -> object:
        job = certificates.waiting(ask.desk, it.id)
        return None if job is None else job.state

    return Live(("sandbox-system", it.id), look, going=lambda: look() is not None)


def identity(ask: Ask) -> Sent:
    it = showing.own(ask.desk, ask.viewer, ask.path["system"])
    files = certificates.credentials(ask.desk, it, certificates.issued(ask.desk, it.id))
    return Sent(certificates.archive(files), "application/zip", f"{it.id}.zip")


def bundle(ask: Ask) -> Sent:
    showing.mine(ask.desk, ask.viewer)
    text = bundles.bundle(ask.desk, ask.viewer.account.agency)
    return Sent(text.encode(), "application/yaml", f"{ask.viewer.account.agency}.yaml")


PAGES: Final = (
    Page("/tenant", tenant, May.TENANT, N_("My systems"), Menu.SANDBOX, root="/sandbox"),
    Page("/tenant/systems", add, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/tenant/systems/{system}", system, May.TENANT, N_("A system of mine"), root="/sandbox"),
    Page("/tenant/systems/{system}", change, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page(
        "/tenant/systems/{system}/certificates", order, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"
    ),
    Page("/tenant/systems/{system}/events", events, May.TENANT, root="/sandbox"),
    Page("/tenant/systems/{system}/identity", identity, May.TENANT, root="/sandbox"),
    Page("/tenant/bundle", bundle, May.TENANT, root="/sandbox"),
    *operating.LIST,
    *fault_pages.PAGES,
    *operating.ONE,
)

"""Routes: which system gets which message, and where one of somebody would go."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import routes, searching
from gateway.registry.tenants import is_tenant

HERE: Final = "/console/routes"


def listed(ask: Ask) -> Shown:
    snapshot, scope = ask.desk.services.registry.snapshot, ask.viewer.account.scope
    contract, system = ask.query.get("contract", ""), ask.query.get("system", "")
    found = routes.routes(ask.desk, ask.viewer, contract, system)
    asked = {name: ask.query.get(name, "") for name in ("agency", "of", "at")}
    of, _, operation = asked["of"].partition(" ")
    paths = routes.conditions(ask.desk, of, operation) if operation else ()
    values = {path: ask.query.get(f"v{number}", "").strip() for number, path in enumerate(paths)}
    where = None
    if operation and (asked["agency"] or scope):
        at = searching.moment(asked["at"] or None, "at")
        where = routes.where(ask.desk, ask.viewer, (asked["agency"], of, operation), values, at)
    every = routes.operations(snapshot)
    return Shown(
        "routes.html",
        {
            "routes": found,
            "contracts": list(every),
            "operations": [f"{name} {each}" for name, known in every.items() for each in known],
            "systems": sorted(each.id for each in snapshot.systems.values() if not is_tenant(each.agency)),
            "names": {each.code: each.name.of(ask.language) for each in snapshot.agencies.values()},
            "agencies": {
                each.code: each.name.of(ask.language)
                for each in snapshot.agencies.values()
                if scope in (None, each.code)
            },
            "contract": contract,
            "system": system,
            "asked": asked,
            "values": values,
            "where": where,
        },
    )


PAGES = (Page("/routes", listed, May.CONTRACTS, N_("Routes"), Menu.CONTRACTS),)

"""The page of a vendor's own clock, and the same for programs.

GET /sandbox/api/clock   how it stands
PUT /sandbox/api/clock   forward, to a moment, or back to real time (`moving.read`)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.routing import Route

from contracts.base.errors import Failure
from gateway.console.accounts.records import Viewer
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.site.render import failure_values
from gateway.registry.tenant_clock import MOST
from gateway.sandbox.clock import moving
from gateway.sandbox.clock.moving import DAY, Stands
from gateway.sandbox.vendors.programs import PAGE_ONLY, Given, served

HERE: Final = "/sandbox/clock"
FIELDS: Final = ("days", "hours", "to", "reset")


def told(desk: Desk, viewer: Viewer) -> Stands:
    """The clock of the viewer's tenant."""
    with desk.reading() as connection:
        return moving.stands(connection, viewer.account.agency, desk.now())


def move(desk: Desk, viewer: Viewer, given: Mapping[str, Any]) -> Stands:
    """Moves the clock of the viewer's tenant, and of no other. Raises `sandbox.form`, `sandbox.clock-…`."""
    services, wanted = desk.services, moving.read(given)
    after = moving.move(services.settings, services.engine, viewer.account.agency, wanted, viewer.actor, desk.now())
    desk.follow()
    return after


def routes(desk: Desk) -> list[Route]:
    return served(desk, (May.TENANT,), "clock", FIELDS, GET=_told, PUT=_moved)


def _told(given: Given) -> Any:
    return told(given.desk, given.viewer).told()


def _moved(given: Given) -> Any:
    return move(given.desk, given.viewer, given.content).told()


def clock(ask: Ask) -> Shown:
    return _shown(ask, None)


def moved(ask: Ask) -> Shown | Moved:
    try:
        move(ask.desk, ask.viewer, {name: ask.form.get(name, "") for name in FIELDS})
    except Failure as failure:
        return _shown(ask, failure)
    return Moved(HERE)


def _shown(ask: Ask, failure: Failure | None) -> Shown:
    values = {
        "it": told(ask.desk, ask.viewer),
        "days": MOST // DAY,
        "given": {name: ask.form.get(name, "")[:40] for name in FIELDS},
        "failure": None if failure is None else failure_values(failure, ask.language),
    }
    return Shown("sandbox-clock.html", values, 200 if failure is None else failure.status)


PAGES: Final = (
    Page("/clock", clock, May.TENANT, N_("My clock"), Menu.SANDBOX, root="/sandbox"),
    Page("/clock", moved, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
)

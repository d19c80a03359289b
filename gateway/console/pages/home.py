"""The first page: what needs attention."""

from __future__ import annotations

from typing import Any

from contracts.base.errors import Failure
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Page, Shown
from gateway.console.work import attention
from gateway.console.work.home import mark, needs
from gateway.delivery import listing
from gateway.doors.api import status

HOME_PAUSE = 10.0  # seconds between two looks for a page that is open
MONTH = 30  # days: the longer span of the table of refusals


def home(ask: Ask) -> Shown:
    services, scope = ask.desk.services, ask.viewer.account.scope
    days = MONTH if ask.query.get("days") == str(MONTH) else attention.DAYS
    values: dict[str, Any] = {"status": None, "trouble": None, "unready": (), "scope": scope}
    values |= {"days": days, "spans": (attention.DAYS, MONTH), "counted": listing.COUNTED}
    agencies = services.registry.snapshot.agencies
    values["names"] = {code: each.name.of(ask.language) for code, each in agencies.items()}
    try:
        values["status"] = status.pulse_now(services, ask.desk.vitals, services.registry.snapshot)
    except Failure as failure:  # a registry that was altered is what the page has to say
        values["trouble"] = failure
    found = needs(ask.desk, ask.viewer, days)
    values |= {**found._asdict(), "refusals": found.refusals or (), "ending": found.ending or ()}
    if values["status"] is not None:
        systems = values["status"]["systems"]
        values["unready"] = [each for each in systems if each["ready"] != "ready" and scope in (None, each["agency"])]
    return Shown("home.html", values)


def events(ask: Ask) -> Live:
    return Live(("home",), lambda: mark(ask.desk), HOME_PAUSE)


PAGES = (
    Page("", home, May.ENTER, N_("Home"), Menu.HOME),
    Page("/events", events, May.ENTER),
)

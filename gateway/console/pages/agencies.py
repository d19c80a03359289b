"""Agencies, one agency, and its suspension with a notice."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import agencies as work
from gateway.console.work.noticing import notice_of

HERE: Final = "/console/agencies"


def agencies(ask: Ask) -> Shown:
    return Shown("agencies.html", {"rows": work.agencies(ask.desk, ask.viewer)})


def agency(ask: Ask) -> Shown:
    return Shown("agency.html", {"it": work.agency(ask.desk, ask.viewer, ask.path["agency"])})


def suspend(ask: Ask) -> Moved:
    code = ask.path["agency"]
    work.suspend(ask.desk, ask.viewer, code, notice_of(ask.form, ask.now))
    return Moved(f"{HERE}/{code}", "agency-suspended")


def resume(ask: Ask) -> Moved:
    code = ask.path["agency"]
    work.resume(ask.desk, ask.viewer, code, ask.reason())
    return Moved(f"{HERE}/{code}", "agency-resumed")


PAGES = (
    Page("/agencies", agencies, May.SYSTEMS, N_("Agencies"), Menu.OPERATION),
    Page("/agencies/{agency}", agency, May.SYSTEMS, N_("An agency")),
    Page("/agencies/{agency}/suspend", suspend, May.OPERATE, method="POST", operation="suspendAgency"),
    Page("/agencies/{agency}/resume", resume, May.OPERATE, method="POST", operation="resumeAgency"),
)

"""Agencies, one agency, and its suspension with a notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import agencies as work
from gateway.console.work.noticing import notice_of
from gateway.registry.contacts import DAYS, DETAILS, DUTIES, MOST

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


def set_contacts(ask: Ask) -> Moved:
    code = ask.path["agency"]
    work.set_contacts(ask.desk, ask.viewer, code, work.given(_rows(ask.form)), ask.reason())
    return Moved(f"{HERE}/{code}", "contacts-set")


def _rows(form: Mapping[str, str]) -> list[dict[str, Any]]:
    """The contacts of a form: `NAME-0`, `NAME-1`, …; one without office, phone and email is left out."""
    rows = []
    for number in range(MOST):
        texts = {name: form.get(f"{name}-{number}", "").strip() for name in (*DETAILS, *DAYS)}
        if not any(texts[name] for name in ("name", "office", "phone", "email")):
            continue
        duties = [duty for duty in DUTIES if form.get(f"{duty}-{number}")]
        rows.append({**{name: text for name, text in texts.items() if text}, "duties": duties})
    return rows


PAGES = (
    Page("/agencies", agencies, May.SYSTEMS, N_("Agencies"), Menu.OPERATION),
    Page("/agencies/{agency}", agency, May.SYSTEMS, N_("An agency")),
    Page("/agencies/{agency}/suspend", suspend, May.OPERATE, method="POST", operation="suspendAgency"),
    Page("/agencies/{agency}/resume", resume, May.OPERATE, method="POST", operation="resumeAgency"),
    Page("/agencies/{agency}/contacts", set_contacts, May.OPERATE, method="POST", operation="setContacts"),
)

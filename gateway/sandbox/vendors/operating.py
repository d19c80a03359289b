"""The operator's pages of vendors and invitations, and the same for programs.

    GET  /sandbox/api/vendors?after=…                 the vendors, by code
    GET  /sandbox/api/vendors/{vendor}                one
    POST /sandbox/api/vendors/{vendor}/expel          {"reason"}
    GET  /sandbox/api/invitations                     the invitations
    POST /sandbox/api/invitations                     {"label", "uses", "days"}: the answer has the code, this once
    POST /sandbox/api/invitations/{mark}/withdraw     {"reason"}

Each act has a person, a reason (of an invitation: whom it is for), and an entry of the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.routing import Route

from contracts.base.times import rfc3339
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown, checked_reason
from gateway.sandbox.vendors import invitations, overview
from gateway.sandbox.vendors.errors import SANDBOX_FORM
from gateway.sandbox.vendors.expelling import expel as expelled
from gateway.sandbox.vendors.invitations import Invitation
from gateway.sandbox.vendors.programs import PAGE_ONLY, Given, served

HERE: Final = "/sandbox/vendors"
_NUMBER: Final = re.compile(r"[0-9]{1,3}")


# --- acts -------------------------------------------------------------------------------------------------------------
def _invite(desk: Desk, actor: str, given: Mapping[str, Any]) -> tuple[str, Invitation]:
    """Raises `sandbox.form`."""
    label = given.get("label")
    if not isinstance(label, str) or not 0 < len(label.strip()) <= invitations.MOST_LABEL or not label.isprintable():
        raise SANDBOX_FORM(field="label", why=f"a text of 1 to {invitations.MOST_LABEL} visible characters")
    uses = _number(given, "uses", 1, invitations.MOST_USES)
    days = _number(given, "days", invitations.DAYS, invitations.MOST_DAYS)
    with desk.writing() as connection:
        return invitations.invite(connection, label.strip(), uses, days, (actor, desk.now()))


def _withdraw(desk: Desk, actor: str, mark: str, reason: str) -> Invitation:
    with desk.writing() as connection:
        found = invitations.take_back(connection, mark, (actor, desk.now()), reason)
    if found is None:
        raise SANDBOX_FORM(field="mark", why="there is no such invitation")
    return found


def _expel(desk: Desk, actor: str, vendor: str, reason: str) -> None:
    services = desk.services
    expelled(services.engine, services.settings, vendor, (actor, reason), desk.now())
    desk.follow()


def _number(given: Mapping[str, Any], name: str, usual: int, most: int) -> int:
    value = given.get(name)
    text = str(usual) if value in (None, "") else str(value).strip()
    if isinstance(value, bool) or _NUMBER.fullmatch(text) is None or not 1 <= int(text) <= most:
        raise SANDBOX_FORM(field=name, why=f"1 – {most}")
    return int(text)


# --- pages ------------------------------------------------------------------------------------------------------------
def vendors(ask: Ask) -> Shown:
    return _vendors(ask, "")


def _vendors(ask: Ask, code: str) -> Shown:
    found, after = overview.vendors(ask.desk, ask.query.get("after", "")[:40])
    with ask.desk.reading() as connection:
        invited = [(each, each.holds(ask.now)) for each in invitations.listed(connection)]
    values = {
        "vendors": found,
        "after": after,
        "paged": bool(ask.query.get("after")),
        "invitations": invited,
        "way": ask.desk.services.settings.sandbox_join,
        "code": code,
        "join": f"{ask.origin}/sandbox/join",
        "days": invitations.DAYS,
    }
    return Shown("sandbox-vendors.html", values)


def invite(ask: Ask) -> Shown:
    code, _made = _invite(ask.desk, ask.viewer.actor, ask.form)
    return _vendors(ask, code)


def withdraw(ask: Ask) -> Moved:
    _withdraw(ask.desk, ask.viewer.actor, ask.field("mark"), ask.reason())
    return Moved(HERE, "sandbox-withdrawn")


def vendor(ask: Ask) -> Shown:
    return Shown("sandbox-vendor.html", {"it": overview.vendor(ask.desk, ask.path["vendor"])})


def expel(ask: Ask) -> Moved:
    overview.vendor(ask.desk, ask.path["vendor"])
    _expel(ask.desk, ask.viewer.actor, ask.path["vendor"], ask.reason())
    return Moved(f"{HERE}/{ask.path['vendor']}", "sandbox-expelled")


LIST: Final = (
    Page("/vendors", vendors, May.OPERATE, N_("Vendors"), Menu.SANDBOX, root="/sandbox"),
    Page("/vendors/invite", invite, May.OPERATE, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/vendors/withdraw", withdraw, May.OPERATE, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
)
ONE: Final = (  # behind every other address below /sandbox/vendors
    Page("/vendors/{vendor}", vendor, May.OPERATE, N_("A vendor"), root="/sandbox"),
    Page("/vendors/{vendor}/expel", expel, May.OPERATE, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
)


# --- programs ---------------------------------------------------------------------------------------------------------
def routes(desk: Desk) -> list[Route]:
    who = (May.OPERATE,)
    return [
        *served(desk, who, "vendors", GET=_list),
        *served(desk, who, "vendors/{vendor}", GET=lambda given: _one(given, given.path["vendor"])),
        *served(desk, who, "vendors/{vendor}/expel", ("reason",), POST=_expel_it),
        *served(desk, who, "invitations", ("label", "uses", "days"), GET=_invitations, POST=_invite_one),
        *served(desk, who, "invitations/{mark}/withdraw", ("reason",), POST=_withdraw_it),
    ]


def _list(given: Given) -> Any:
    found, after = overview.vendors(given.desk, given.query.get("after", "")[:40])
    return {"vendors": [each.shown() for each in found], "after": after or None}


def _one(given: Given, vendor: str) -> Any:
    return overview.vendor(given.desk, vendor).shown()


def _expel_it(given: Given) -> Any:
    vendor = given.path["vendor"]
    _expel(given.desk, given.viewer.actor, vendor, checked_reason(str(given.content.get("reason", ""))))
    return _one(given, vendor)


def _invitations(given: Given) -> Any:
    with given.desk.reading() as connection:
        return {"invitations": [_shown(each, given.now) for each in invitations.listed(connection)]}


def _invite_one(given: Given) -> Any:
    code, made = _invite(given.desk, given.viewer.actor, given.content)
    return {"code": code, **_shown(made, given.now)}


def _withdraw_it(given: Given) -> Any:
    reason = checked_reason(str(given.content.get("reason", "")))
    return _shown(_withdraw(given.desk, given.viewer.actor, given.path["mark"], reason), given.now)


def _shown(each: Invitation, now: float) -> dict[str, Any]:
    return {
        "mark": each.mark,
        "label": each.label,
        "used": each.used,
        "uses": each.uses,
        "until": rfc3339(each.until),
        "holds": each.holds(now),
    }

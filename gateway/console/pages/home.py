"""The first page: what needs attention."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from contracts.base.errors import Failure
from gateway.audit.search.search import Query, reading, search
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import access, attention, board, waiting
from gateway.delivery import listing
from gateway.doors.api import status
from gateway.journal import log_checks
from gateway.journal.schema import tables

_REFUSALS = 8
MONTH = 30  # days: the longer span of the table of refusals


def home(ask: Ask) -> Shown:
    desk, may, scope = ask.desk, ask.viewer.account.may, ask.viewer.account.scope
    services = desk.services
    days = MONTH if ask.query.get("days") == str(MONTH) else attention.DAYS
    values: dict[str, Any] = {"status": None, "trouble": None, "refusals": (), "denials": None, "volumes": None}
    values |= {"days": days, "spans": (attention.DAYS, MONTH)}
    values |= {"queue": {}, "counted": listing.COUNTED, "approvals": 0, "review": None}
    values |= {"ending": (), "unready": (), "scope": scope, "verified_since": ask.now - log_checks.FRESH}
    agencies = services.registry.snapshot.agencies
    values["names"] = {code: each.name.of(ask.language) for code, each in agencies.items()}
    try:
        values["status"] = status.gather_now(services, desk.vitals, services.registry.snapshot)
    except Failure as failure:  # a registry that was altered is what the page has to say
        values["trouble"] = failure
    with desk.reading() as connection:
        values["verdict"] = log_checks.verdict(connection)
        values["only_link"] = ask.viewer.how == "link" and not _can_return(connection, ask.viewer.account.id)
        if May.QUEUE in may:
            lists = (listing.IN_DOUBT, listing.WAITS, listing.GIVEN_UP)
            values["queue"] = {each: listing.count(connection, listing.Wanted(each)) for each in lists}
        if May.ACCESS in may:
            values["approvals"] = len(waiting.every(connection, services.registry.snapshot, scope, ask.now))
        if May.SYSTEMS in may:
            values["ending"] = attention.ending(connection, scope, ask.now)
    if May.ACCESS in may and scope is None:
        values["review"] = access.due(desk)
    if May.SEARCH in may:
        with reading(services.engine) as connection:
            query = Query(outcome="refused", agency=scope, since=ask.now - attention.DAYS * attention.DAY)
            values["refusals"] = search(connection, query, limit=_REFUSALS).hits
            values["denials"] = attention.denials(connection, desk, scope, ask.now, days)
            values["volumes"] = attention.volumes(connection, desk, scope, ask.now)
    if May.SYSTEMS in may and values["trouble"] is None:
        values["unready"] = board.unready(desk, ask.viewer)
    return Shown("home.html", values)


def _can_return(connection: Connection, account: str) -> bool:
    """Whether this person has a password or a passkey. A link signs in once."""
    known, passkey = tables.console_account.c, tables.console_passkey.c
    has_password = select(known.id).where(known.id == account, known.password.is_not(None))
    has_passkey = select(passkey.id).where(passkey.account == account).limit(1)
    return any(connection.scalar(each) is not None for each in (has_password, has_passkey))


PAGES = (Page("", home, May.ENTER, N_("Home"), Menu.HOME),)

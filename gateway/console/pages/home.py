"""The first page: what needs attention."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from contracts.base.errors import Failure
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Page, Shown
from gateway.console.work import attention, board, months
from gateway.console.work.home import mark, needs
from gateway.delivery import listing
from gateway.doors.api import status
from gateway.exchange.feed_readers import MOST_BEHIND
from gateway.journal import log_checks
from gateway.journal.schema import tables
from gateway.push.operating import MOST_WAITING

HOME_PAUSE = 10.0  # seconds between two looks for a page that is open
MONTH = 30  # days: the longer span of the table of refusals


def home(ask: Ask) -> Shown:
    services, scope = ask.desk.services, ask.viewer.account.scope
    days = MONTH if ask.query.get("days") == str(MONTH) else attention.DAYS
    values: dict[str, Any] = {"status": None, "trouble": None, "unready": (), "scope": scope}
    month = ask.query.get("month", "")
    values |= {
        "today": months.Span(attention.first_of(ask.now, 1)).first,
        "month": month,
        "days": days,
        "spans": (attention.DAYS, MONTH),
        "counted": listing.COUNTED,
    }
    values["verified_since"] = ask.now - log_checks.FRESH
    agencies = services.registry.snapshot.agencies
    systems = services.registry.snapshot.systems
    values["titles"] = {id: each.title.of(ask.language) for id, each in systems.items()}
    values["names"] = {code: each.name.of(ask.language) for code, each in agencies.items()}
    try:
        values["status"] = status.pulse_now(services, ask.desk.vitals, services.registry.snapshot)
    except Failure as failure:  # a registry that was altered is what the page has to say
        values["trouble"] = failure
    found = needs(ask.desk, ask.viewer, days, month)
    values |= {
        **found._asdict(),
        "refusals": found.refusals or (),
        "ending": found.ending or (),
        "most_waiting": MOST_WAITING,
    }
    values["most_behind"] = MOST_BEHIND
    with ask.desk.reading() as connection:
        values["months"] = months.known(connection, ask.now)
        values["verdict"] = log_checks.verdict(connection)
        values["only_link"] = ask.viewer.how == "link" and not _can_return(connection, ask.viewer.account.id)
    if May.SYSTEMS in ask.viewer.account.may and values["trouble"] is None:
        values["unready"] = board.unready(ask.desk, ask.viewer)
    return Shown("home.html", values)


def _can_return(connection: Connection, account: str) -> bool:
    """Whether this person has a password or a passkey. A link signs in once."""
    known, passkey = tables.console_account.c, tables.console_passkey.c
    has_password = select(known.id).where(known.id == account, known.password.is_not(None))
    has_passkey = select(passkey.id).where(passkey.account == account).limit(1)
    return any(connection.scalar(each) is not None for each in (has_password, has_passkey))


def events(ask: Ask) -> Live:
    return Live(("home",), lambda: mark(ask.desk), HOME_PAUSE)


PAGES = (
    Page("", home, May.ENTER, N_("Home"), Menu.HOME),
    Page("/events", events, May.ENTER),
)

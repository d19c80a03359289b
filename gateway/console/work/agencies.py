"""Agencies with their contacts, systems, grants and state; and their suspension with a notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.console.work import noticing
from gateway.registry import contacts
from gateway.registry.changes import contacting
from gateway.registry.changes.notices import Notice
from gateway.registry.contacts import DAYS, Contact
from gateway.registry.records import Agency, System
from gateway.registry.seals.sealing import Seal, changing
from security.grants.grants import Grant


class Held(NamedTuple):
    """A contact with what holds now: whether it is in force, and the days until it ends."""

    contact: Contact
    holds: bool
    left: int | None


class Row(NamedTuple):
    """`systems` with what each can do (`Snapshot.readiness`)."""

    agency: Agency
    systems: tuple[tuple[System, str], ...]
    grants: tuple[Grant, ...]
    notice: Notice | None
    contacts: tuple[Held, ...]
    missing: tuple[str, ...]  # duties that no contact in force has


def agencies(desk: Desk, viewer: Viewer) -> list[Row]:
    """By code."""
    codes = sorted(desk.services.registry.snapshot.agencies)
    return [_row(desk, code) for code in codes if viewer.account.scope in (None, code)]


def agency(desk: Desk, viewer: Viewer, code: str) -> Row:
    """Raises `console.no-page`."""
    if code not in desk.services.registry.snapshot.agencies or viewer.account.scope not in (None, code):
        raise CONSOLE_NO_PAGE(path=code[:60])
    return _row(desk, code)


def suspend(desk: Desk, viewer: Viewer, code: str, notice: Notice) -> None:
    """With all its systems; the notice is what whoever is refused reads."""
    agency(desk, viewer, code)
    noticing.suspend(desk, viewer, ("agency", code), notice)


def resume(desk: Desk, viewer: Viewer, code: str, reason: str) -> None:
    """Raises `registry.no-contact` for an agency without a contact."""
    agency(desk, viewer, code)
    noticing.resume(desk, viewer, ("agency", code), reason)


def given(stated: Sequence[Mapping[str, Any]]) -> tuple[Contact, ...]:
    """Contacts with days as texts. Raises `registry.invalid` with all findings."""
    return contacting.parse([{name: _day(each, name) for name in each} for each in stated])


def _day(stated: Mapping[str, Any], name: str) -> Any:
    value = stated[name]
    if name not in DAYS or not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value


def set_contacts(desk: Desk, viewer: Viewer, code: str, stated: Sequence[Contact], reason: str) -> None:
    """Raises `registry.no-contact`; in production `registry.contact-duty` if a live system would lack a duty."""
    agency(desk, viewer, code)
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        contacting.set_contacts(act, code, stated, (viewer.actor, reason), desk.now())
    desk.follow()


def _row(desk: Desk, code: str) -> Row:
    snapshot, now = desk.services.registry.snapshot, desk.now()
    ready, of_agency = snapshot.readiness(now), snapshot.agencies[code].contacts
    own = sorted((each for each in snapshot.systems.values() if each.agency == code), key=lambda system: system.id)
    return Row(
        snapshot.agencies[code],
        tuple((each, ready[each.id]) for each in own),
        snapshot.grants(code),
        snapshot.notices.get(("agency", code)),
        tuple(Held(each, each.holds(now), each.left(now)) for each in of_agency),
        contacts.missing(of_agency, now),
    )

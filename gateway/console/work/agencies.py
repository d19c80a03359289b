"""Agencies with their contacts, systems, grants and state; and their suspension with a notice."""

from __future__ import annotations

from typing import NamedTuple

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.console.work import noticing
from gateway.registry.changes.notices import Notice
from gateway.registry.records import Agency, System
from security.grants.grants import Grant


class Row(NamedTuple):
    """`systems` with what each can do (`Snapshot.readiness`)."""

    agency: Agency
    systems: tuple[tuple[System, str], ...]
    grants: tuple[Grant, ...]
    notice: Notice | None


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


def _row(desk: Desk, code: str) -> Row:
    snapshot = desk.services.registry.snapshot
    ready = snapshot.readiness(desk.now())
    own = sorted((each for each in snapshot.systems.values() if each.agency == code), key=lambda system: system.id)
    return Row(
        snapshot.agencies[code],
        tuple((each, ready[each.id]) for each in own),
        snapshot.grants(code),
        snapshot.notices.get(("agency", code)),
    )

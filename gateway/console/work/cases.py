"""Cases between agencies, for pages and operations.

Invariant: who sees one agency reads its cases alone, and acts for it alone. Somebody of the whole province acts for the
centre, or for the agency that he names; the log has his name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.base.times import moment
from contracts.workflow.working_time import Deadline
from gateway.cases import reading, texts
from gateway.cases.acting import ACTS, Acting, By, Reply
from gateway.cases.calendar import of_province, within
from gateway.cases.checks import Wanted, may_open
from gateway.cases.kinds import Kind
from gateway.cases.reading import VIEWS, Asked, Listed, Seen
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.transfer.case_entries import Folded
from gateway.vault.stores import open_vault
from gateway.vault.vault import Vault

_MOST_ID: Final = 60


def listed(desk: Desk, viewer: Viewer, view: str, kind: str = "", after: str = "") -> Listed:
    """Raises: console.form."""
    if (view := view or VIEWS[0]) not in VIEWS:
        raise CONSOLE_FORM(field="view", why=" | ".join(VIEWS))
    asked = Asked(viewer.account.scope, view, kind[:_MOST_ID] or None, after[:_MOST_ID] or None)
    with desk.reading() as connection:
        return reading.listed(connection, _vault(desk), asked, desk.now())


def counts(desk: Desk, viewer: Viewer) -> Mapping[str, int]:
    with desk.reading() as connection:
        return reading.counts(connection, viewer.account.scope, desk.now())


def one(desk: Desk, viewer: Viewer, case: str) -> Seen:
    """Raises: case.unknown, case.altered."""
    with desk.reading() as connection:
        return reading.one(connection, _vault(desk), case, viewer.account.scope, desk.now())


def deadline_of(desk: Desk, seen: Seen) -> Deadline | None:
    """The minutes that count until the deadline, and those that do not, with the reason. None if the calendar of today
    gives another deadline than the one that the case was opened with.
    """
    opened, due = moment(seen.case.opened), moment(seen.case.due)
    days = seen.steps[0][0].facts.get("days") if seen.steps else None
    if opened is None or due is None or not isinstance(days, int):
        return None
    counted = within(of_province(desk.services.registry.snapshot), opened, days)
    return counted if counted.due is not None and counted.due * 60 == int(due) else None


def agency_of(desk: Desk, viewer: Viewer, named: str = "") -> str:
    """The agency for which somebody acts. Raises: console.form."""
    snapshot, scope = desk.services.registry.snapshot, viewer.account.scope
    centre = snapshot.centre()
    code = scope or named or ("" if centre is None else centre.code)
    if code not in snapshot.agencies or named not in ("", code):
        raise CONSOLE_FORM(field="agency", why="one of the registry, and yours")
    return code


def kinds_for(desk: Desk, agency: str) -> tuple[Kind, ...]:
    return may_open(desk.services.registry.snapshot, agency)


def acts(desk: Desk, viewer: Viewer, seen: Seen) -> Mapping[str, tuple[str, ...]]:
    """Agency -> the steps that the viewer may take for it now."""
    known, scope = desk.services.registry.snapshot.agencies, viewer.account.scope
    every = {code: seen.acts(code) for code in seen.case.parties if code in known and scope in (None, code)}
    return {code: each for code, each in every.items() if each}


def wanted_of(given: Mapping[str, str], receivers: tuple[str, ...]) -> Wanted:
    """What a form or a body asks for. Raises: console.form, case.text."""
    times = {name: _time(given, name) for name in ("begins", "ends")}
    days = given.get("days", "").strip()
    if days and not (days.isascii() and days.isdigit() and len(days) < 4):
        raise CONSOLE_FORM(field="days", why="a whole number")
    return Wanted(
        kind=given.get("kind", ""),
        content=texts.checked(given.get("subject", ""), given.get("text", "")),
        receivers=receivers,
        reference=given.get("reference", "").strip() or None,
        days=int(days) if days else None,
        urgent=given.get("urgent", "") in ("yes", "true"),
        **times,
    )


def open_case(desk: Desk, viewer: Viewer, agency: str, wanted: Wanted) -> Folded:
    """Raises as `Acting.open`."""
    return _acting(desk).open(By(agency_of(desk, viewer, agency), viewer.actor), wanted)


def take(desk: Desk, viewer: Viewer, case: str, act: str, given: Mapping[str, str]) -> Folded:
    """Raises: console.form, and as `Acting.act`; case.unknown for a case of others."""
    if act not in ACTS:
        raise CONSOLE_FORM(field="act", why=" | ".join(ACTS))
    one(desk, viewer, case)
    by = By(agency_of(desk, viewer, given.get("agency", "")), viewer.actor)
    text = given.get("text", "").strip()
    reply = Reply(
        content=texts.reply(text) if text else None,
        decision=given.get("decision") or None,
        link=given.get("link", "").strip() or None,
    )
    return _acting(desk).act(by, case, act, reply)


def _time(given: Mapping[str, str], name: str) -> float | None:
    """A time with its zone, or one of a form, which is Viet Nam's."""
    text = given.get(name, "").strip()
    if not text:
        return None
    at = moment(text) or moment(f"{text}+07:00")
    if at is None:
        raise CONSOLE_FORM(field=name, why="2026-11-27T08:00+07:00")
    return at


def _acting(desk: Desk) -> Acting:
    services = desk.services
    return Acting(
        engine=services.engine,
        vault=_vault(desk),
        snapshot=services.registry.snapshot,
        clock=desk.now,
        mails=bool(services.settings.mail_server),
    )


def _vault(desk: Desk) -> Vault:
    return open_vault(desk.services.settings, desk.services.engine)

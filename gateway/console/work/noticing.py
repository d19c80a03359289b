"""Suspends and resumes a system or an agency, with the notice that somebody wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.console.work.searching import moment
from gateway.registry.changes import suspending
from gateway.registry.changes.notices import Notice, in_both
from gateway.registry.seals.sealing import Seal, changing

MOST: Final = 500
Suspended = tuple[Literal["system", "agency"], str]


def notice_of(given: Mapping[str, str], now: float) -> Notice:
    """Whoever is refused reads the reason. Raises `console.form`."""
    texts = {name: given.get(name, "").strip() for name in ("reason_vi", "reason_en")}
    if not any(texts.values()):
        raise CONSOLE_FORM(field=" | ".join(texts), why="missing")
    for name, text in texts.items():
        if len(text) > MOST:
            raise CONSOLE_FORM(field=name, why=f"more than {MOST} characters")
    until = moment(given.get("until", "").strip() or None, "until", whole=True)
    if until is not None and until <= now:
        raise CONSOLE_FORM(field="until", why="not after now")
    return Notice(in_both(texts["reason_vi"], texts["reason_en"]), now, until)


def suspend(desk: Desk, viewer: Viewer, what: Suspended, notice: Notice) -> None:
    """Whoever is refused reads the notice."""
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        suspending.suspend(act, what, notice, viewer.actor)
    desk.follow()


def resume(desk: Desk, viewer: Viewer, what: Suspended, reason: str) -> None:
    """Raises `registry.no-contact` for an agency without a contact."""
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        suspending.resume(act, what, (viewer.actor, reason), desk.now())
    desk.follow()

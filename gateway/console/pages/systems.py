"""The board of systems, one system, its suspension and keys, and the test of its connection."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Shown
from gateway.console.work import board
from gateway.console.work.noticing import notice_of
from gateway.journal.jobs import RUNNING
from gateway.registry.changes.keys import REASONS
from gateway.registry.records import ACTIVE

HERE: Final = "/console/systems"
BOARD_PAUSE = 5.0  # seconds between two looks for a page that is open
ALL: Final = "*"  # all keys of the system


def systems(ask: Ask) -> Shown:
    return Shown("systems.html", {"board": board.board(ask.desk, ask.viewer)})


def system(ask: Ask) -> Shown:
    found = board.detail(ask.desk, ask.viewer, ask.path["system"])
    active = [key.key_id for key in found.keys if key.state == ACTIVE]
    wanted = ask.query.get("key", "")
    values = {"it": found, "reasons": REASONS, "now": ask.now, "active": active, "all_keys": ALL}
    values["tested"] = board.verdict(found.tests[0]) if found.tests else None
    return Shown("system.html", {**values, "wanted": wanted if wanted in active else ""})


def board_events(ask: Ask) -> Live:
    return Live(("systems",), lambda: board.mark(ask.desk), BOARD_PAUSE)


def events(ask: Ask) -> Live:
    """The steps of a connection test, as they come."""
    id = ask.path["system"]

    def look() -> object:
        return [(each.id, each.state, each.facts) for each in board.newest_tests(ask.desk, ask.viewer, id)]

    def going() -> bool:
        return any(each.state == RUNNING for each in board.newest_tests(ask.desk, ask.viewer, id))

    look()
    return Live(("system", id), look, going=going)


def suspend(ask: Ask) -> Moved:
    id = ask.path["system"]
    board.suspend(ask.desk, ask.viewer, id, notice_of(ask.form, ask.now))
    return Moved(f"{HERE}/{id}", "system-suspended")


def resume(ask: Ask) -> Moved:
    board.resume(ask.desk, ask.viewer, ask.path["system"], ask.reason())
    return Moved(f"{HERE}/{ask.path['system']}", "system-resumed")


def revoke(ask: Ask) -> Moved:
    chosen = ask.field("key", 128)
    key = None if chosen == ALL else chosen
    board.revoke(ask.desk, ask.viewer, ask.path["system"], (key, ask.field("code", 40), ask.reason()))
    return Moved(f"{HERE}/{ask.path['system']}", "keys-revoked")


def test(ask: Ask) -> Moved:
    board.test(ask.desk, ask.viewer, ask.path["system"])
    return Moved(f"{HERE}/{ask.path['system']}#test")


PAGES = (
    Page("/systems", systems, May.SYSTEMS, N_("Systems"), Menu.OPERATION),
    Page("/systems/events", board_events, May.SYSTEMS),
    Page("/systems/{system}", system, May.SYSTEMS, N_("A system")),
    Page("/systems/{system}/events", events, May.SYSTEMS),
    Page("/systems/{system}/suspend", suspend, May.OPERATE, method="POST", operation="suspendSystem"),
    Page("/systems/{system}/resume", resume, May.OPERATE, method="POST", operation="resumeSystem"),
    Page("/systems/{system}/revoke", revoke, May.OPERATE, method="POST", operation="revokeSystemKeys"),
    Page("/systems/{system}/test", test, May.OPERATE, method="POST", operation="testConnection"),
)

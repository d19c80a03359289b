"""The integrity of the log: what was signed, who witnessed it, and a verification on demand."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Shown
from gateway.console.work import integrity
from gateway.console.work.log_findings import groups

HERE: Final = "/console/log"
PAUSE: Final = 2.0  # seconds between two looks for a page that is open


def log(ask: Ask) -> Shown:
    found = integrity.integrity(ask.desk)
    wrong = groups(found.checks[0].facts.get("wrong", ())) if found.checks else ()
    return Shown("log.html", {"it": found, "wrong": wrong})


def events(ask: Ask) -> Live:
    def look() -> object:
        found = integrity.integrity(ask.desk)
        checks = [(each.id, each.state, each.facts) for each in found.checks]
        witnesses = [(each["kind"], each["size"], each["ok"], each["trouble"]) for each in found.witnesses]
        signed = (found.checkpoints, found.cosigned, found.stamps)
        return found.size, found.pending, checks, found.interrupted, witnesses, signed

    return Live(("log",), look, PAUSE)


def verify(ask: Ask) -> Moved:
    integrity.verify(ask.desk, ask.viewer)
    return Moved(HERE, "verifying")


PAGES = (
    Page("/log", log, May.LOG, N_("Integrity of the log"), Menu.AUDIT),
    Page("/log/events", events, May.LOG),
    Page("/log/verify", verify, May.LOG, method="POST", operation="verifyLog"),
)

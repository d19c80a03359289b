"""The integrity of the log: what was signed, who witnessed it, and a verification on demand."""

from __future__ import annotations

from typing import Final

from gateway.audit.search.index import REINDEX
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Sent, Shown
from gateway.console.work import integrity, log_acts
from gateway.console.work.log_findings import groups
from gateway.journal.jobs import RUNNING
from gateway.keeper.witnessing.stamps import ORDER as STAMP

HERE: Final = "/console/log"
_ORDERED: Final = {"stamp-asked": STAMP, "reindex-asked": REINDEX}
PAUSE: Final = 2.0  # seconds between two looks for a page that is open


def log(ask: Ask) -> Shown:
    found = integrity.integrity(ask.desk)
    wrong = groups(found.checks[0].facts.get("wrong", ())) if found.checks else ()
    orders = log_acts.newest(ask.desk)
    running = {name: kind in orders and orders[kind].state == RUNNING for name, kind in _ORDERED.items()}
    running["verifying"] = any(each.state == RUNNING for each in found.checks[:1]) and not found.interrupted
    values = {"it": found, "wrong": wrong, "orders": orders, "stamps": log_acts.stamps(ask.desk)}
    return Shown("log.html", {**values, **ask.begun(running)})


def events(ask: Ask) -> Live:
    def look() -> object:
        found = integrity.integrity(ask.desk)
        checks = [(each.id, each.state, each.facts) for each in found.checks]
        orders = [(each.id, each.state, each.facts) for each in log_acts.newest(ask.desk).values()]
        witnesses = [(each["kind"], each["size"], each["ok"], each["trouble"]) for each in found.witnesses]
        signed = (found.checkpoints, found.cosigned, found.stamps)
        return found.size, found.pending, checks, orders, found.interrupted, witnesses, signed

    return Live(("log",), look, PAUSE)


def verify(ask: Ask) -> Moved:
    integrity.verify(ask.desk, ask.viewer)
    return Moved(HERE, "verifying")


def stamp(ask: Ask) -> Moved:
    log_acts.ask_stamp(ask.desk, ask.viewer)
    return Moved(HERE, "stamp-asked")


def reindex(ask: Ask) -> Moved:
    log_acts.ask_reindex(ask.desk, ask.viewer)
    return Moved(HERE, "reindex-asked")


def stamp_files(ask: Ask) -> Sent:
    return Sent(log_acts.stamp(ask.desk, ask.path["id"]), "application/zip", f"stamp-{ask.path['id']}.zip")


PAGES = (
    Page("/log", log, May.LOG, N_("Integrity of the log"), Menu.AUDIT),
    Page("/log/events", events, May.LOG),
    Page("/log/verify", verify, May.LOG, method="POST", operation="verifyLog"),
    Page("/log/stamp", stamp, May.OPERATE, method="POST", operation="stampLog"),
    Page("/log/stamps/{id}", stamp_files, May.LOG),
    Page("/log/reindex", reindex, May.OPERATE, method="POST", operation="reindexLog"),
)

"""Handlings: an agency's inbox, and one handling with its steps, deadlines and drawing."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from markupsafe import Markup

from contracts.faces.pages.workflow import drawing
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import handled_messages, handlings
from gateway.console.work.openings import OPEN_SECONDS
from gateway.registry.records import ACTIVE
from gateway.registry.tenants import is_tenant
from gateway.workflow.acting import INVOLVE
from gateway.workflow.records import FORWARD, LONGEST_REASON, MERGE, Wanted

HERE: Final = "/console/handlings"
NAMES: Final = {"open": N_("Open"), "overdue": N_("Overdue"), "ended": N_("Ended"), "all": N_("All")}


def _address(given: dict[str, str]) -> str:
    return f"{HERE}?{urlencode({name: text for name, text in given.items() if text})}"


def inbox(ask: Ask) -> Shown:
    cursor = ask.query.get("cursor") or None
    found = handlings.inbox(ask.desk, ask.viewer, ask.query, cursor)
    snapshot, given = ask.desk.services.registry.snapshot, {"list": found.which, **found.given}
    values = {
        "it": found,
        "tabs": [(name, label, _address(given | {"list": name})) for name, label in NAMES.items()],
        "next": _address(given | {"cursor": found.next}) if found.next else None,
        "first": _address(given) if cursor else None,
        "names": {each.code: each.name.of(ask.language) for each in snapshot.agencies.values()},
        "agencies": [code for code in snapshot.agencies if found.all or not is_tenant(code)],
        "contracts": list(snapshot.handled),
        "states": {name: each.title.of(ask.language) for name, each in found.states.items()},
    }
    return Shown("handlings.html", values)


def one(ask: Ask) -> Shown:
    found = handlings.one(ask.desk, ask.viewer, ask.path["id"])
    snapshot, row = ask.desk.services.registry.snapshot, found.seen.row
    flow = found.seen.workflow
    values = {
        "it": found,
        "row": row,
        "flow": flow,
        "state": flow.states[row.state],
        # The drawing is made from the contract's table; every text in it is escaped.
        "drawing": Markup(drawing(flow, ask.language, row.state)),  # noqa: S704
        "names": {each.code: each.name.of(ask.language) for each in snapshot.agencies.values()},
        "reach": [
            each.code
            for each in snapshot.agencies.values()
            if each.state == ACTIVE and each.code != row.agency and not is_tenant(each.code)
        ],
        "forward": FORWARD,
        "involve": INVOLVE,
        "message": handled_messages.opened(ask.desk, ask.viewer, found, ask.query),
        "minutes": OPEN_SECONDS // 60,
        "merge": MERGE,
        "most": LONGEST_REASON,
    }
    return Shown("handling.html", values)


def take(ask: Ask) -> Moved:
    id = ask.path["id"]
    wanted = Wanted(
        step=ask.field("step", 40),
        reason=ask.form.get("reason", ""),
        to=ask.form.get("to", "").strip() or None,
        into=ask.form.get("into", "").strip() or None,
    )
    row = handlings.take(ask.desk, ask.viewer, id, wanted)
    return Moved(f"{HERE}/{row.id}", "step-taken")


def message(ask: Ask) -> Moved:
    id = ask.path["id"]
    opening = handled_messages.open_message(ask.desk, ask.viewer, id)
    return Moved(f"{HERE}/{id}?{urlencode({'until': opening.until, 'code': opening.code})}")


PAGES = (
    Page("/handlings", inbox, May.SEARCH, N_("Handling of alerts and reports"), Menu.OPERATION),
    Page("/handlings/{id}", one, May.SEARCH, N_("A handling")),
    Page("/handlings/{id}/steps", take, May.HANDLE, method="POST", operation="takeHandlingStep"),
    Page("/handlings/{id}/message", message, May.HANDLE, method="POST", operation="readHandlingMessage"),
)

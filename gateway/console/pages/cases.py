"""Cases between agencies: the list with overdue ones first, one case with its steps, and a new one."""

from __future__ import annotations

from typing import Final

from gateway.cases.kinds import kinds
from gateway.cases.reading import VIEWS
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import cases as work

HERE: Final = "/console/cases"


def listed(ask: Ask) -> Shown:
    view, kind = ask.query.get("view", "") or VIEWS[0], ask.query.get("kind", "")
    found = work.listed(ask.desk, ask.viewer, view, kind, ask.query.get("after", ""))
    return Shown(
        "cases.html",
        {
            "found": found,
            "counts": work.counts(ask.desk, ask.viewer),
            "view": view,
            "views": VIEWS,
            "kind": kind,
            "kinds": {code: each.title.of(ask.language) for code, each in kinds().items()},
            "names": _names(ask),
            "own": ask.viewer.account.scope,
        },
    )


def new(ask: Ask) -> Shown:
    agency = work.agency_of(ask.desk, ask.viewer, ask.query.get("agency", ""))
    offered = {each.code: each for each in work.kinds_for(ask.desk, agency)}
    return Shown(
        "case-new.html",
        {
            "agency": agency,
            "offered": offered,
            "kind": offered.get(ask.query.get("kind", "")),
            "names": _names(ask),
            "free": ask.viewer.account.scope is None,
            "reference": ask.query.get("reference", "")[:200],
        },
    )


def open_case(ask: Ask) -> Moved:
    chosen = tuple(code for code in _names(ask) if ask.form.get(f"to-{code}"))
    case = work.open_case(ask.desk, ask.viewer, ask.form.get("agency", ""), work.wanted_of(ask.form, chosen))
    return Moved(f"{HERE}/{case.id}", "case-opened")


def one(ask: Ask) -> Shown:
    seen = work.one(ask.desk, ask.viewer, ask.path["case"])
    return Shown(
        "case.html",
        {
            "seen": seen,
            "kind": kinds()[seen.case.kind],
            "deadline": work.deadline_of(ask.desk, seen),
            "acts": work.acts(ask.desk, ask.viewer, seen) if May.CORRESPOND in ask.viewer.account.may else {},
            "names": _names(ask),
        },
    )


def take(ask: Ask) -> Moved:
    case = work.take(ask.desk, ask.viewer, ask.path["case"], ask.path["act"], ask.form)
    return Moved(f"{HERE}/{case.id}", "case-step")


def _names(ask: Ask) -> dict[str, str]:
    agencies = ask.desk.services.registry.snapshot.agencies
    return {code: each.name.of(ask.language) for code, each in sorted(agencies.items())}


PAGES = (
    Page("/cases", listed, May.CASES, N_("Cases"), Menu.OPERATION),
    Page("/cases/new", new, May.CORRESPOND, N_("A new case")),
    Page("/cases/new", open_case, May.CORRESPOND, method="POST", operation="openCase"),
    Page("/cases/{case}", one, May.CASES, N_("A case")),
    Page("/cases/{case}/{act}", take, May.CORRESPOND, method="POST", operation="takeCaseStep"),
)

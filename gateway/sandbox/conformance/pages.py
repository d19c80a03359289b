"""The pages of conformance below `/sandbox`: runs of the vendor's systems, and each with its report."""

from __future__ import annotations

import json
from typing import Any, Final

from contracts.faces.pages.first_calls import verified_by
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Sent, Shown
from gateway.journal.jobs import RUNNING
from gateway.registry.own_feed import OWN
from gateway.sandbox.conformance import runs
from gateway.sandbox.vendors import showing
from gateway.sandbox.vendors.programs import PAGE_ONLY

HERE: Final = "/sandbox/conformance"


def every(ask: Ask) -> Shown:
    mine = showing.mine(ask.desk, ask.viewer)
    values = {
        "runs": runs.listed(ask.desk, ask.viewer),
        "systems": {each.id: f"{each.title.of(ask.language)} ({each.id})" for each in mine.systems},
        "contracts": sorted({each.contract for each in mine.grants if each.contract not in OWN}),
        "groups": runs.GROUPS,
        "here": HERE,
    }
    return Shown("sandbox-conformance.html", values)


def start(ask: Ask) -> Moved:
    return Moved(f"{HERE}/{runs.start(ask.desk, ask.viewer, ask.form).id}")


def one(ask: Ask) -> Shown:
    job = runs.one(ask.desk, ask.viewer, ask.path["run"])
    files = runs.files_of(ask.desk.services.settings, job.id)
    report: dict[str, Any] = json.loads(files.report.read_text("utf-8")) if files.report.is_file() else {}
    results = report.get("results", [])
    values = {
        "job": job,
        "going": job.state == RUNNING,
        "report": report,
        "wrong": [each for each in results if "wrong" in each and each["verdict"] != "not-judged"],
        "well": [each for each in results if each["verdict"] == "passed" and "request" in each],
        "open": [each for each in results if each["verdict"] == "not-judged"],
        "certified": files.certificate.is_file(),
        "picture": files.picture.is_file(),
        "here": f"{HERE}/{job.id}",
        "check": verified_by(ask.desk.services.settings.base, f"{job.id}.certificate.json"),
    }
    return Shown("sandbox-run.html", values)


def go_on(ask: Ask) -> Moved:
    return Moved(f"{HERE}/{runs.go_on(ask.desk, ask.viewer, ask.path['run']).id}")


def stop(ask: Ask) -> Moved:
    return Moved(f"{HERE}/{runs.stop(ask.desk, ask.viewer, ask.path['run']).id}")


def events(ask: Ask) -> Live:
    id = runs.one(ask.desk, ask.viewer, ask.path["run"]).id

    def look() -> tuple[object, ...]:
        job = runs.one(ask.desk, ask.viewer, id)
        certified = runs.files_of(ask.desk.services.settings, id).certificate.is_file()
        return job.state, job.facts.get("done"), job.facts.get("calls"), certified

    def going() -> bool:
        state, _, _, certified = look()
        return state == RUNNING or not certified and bool(runs.one(ask.desk, ask.viewer, id).facts.get("certificate"))

    return Live(("sandbox-run", id), look, going=going)


def report(ask: Ask) -> Sent:
    return _file(ask, "report", "application/json", "json")


def junit(ask: Ask) -> Sent:
    return _file(ask, "junit", "application/xml", "xml")


def certificate(ask: Ask) -> Sent:
    return _file(ask, "certificate", "application/json", "certificate.json")


def picture(ask: Ask) -> Sent:
    return _file(ask, "picture", "image/svg+xml")


def _file(ask: Ask, what: str, media: str, ending: str = "") -> Sent:
    """Raises `console.no-page` where there is none yet."""
    job = runs.one(ask.desk, ask.viewer, ask.path["run"])
    file = getattr(runs.files_of(ask.desk.services.settings, job.id), what)
    if not file.is_file():
        raise CONSOLE_NO_PAGE(path=job.id)
    return Sent(file.read_bytes(), media, f"{job.id}.{ending}" if ending else "")


PAGES: Final = (
    Page("/conformance", every, May.TENANT, N_("Conformance"), Menu.SANDBOX, root="/sandbox"),
    Page("/conformance", start, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/conformance/{run}", one, May.TENANT, N_("A run of conformance"), root="/sandbox"),
    Page("/conformance/{run}/next", go_on, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/conformance/{run}/stop", stop, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/conformance/{run}/events", events, May.TENANT, root="/sandbox"),
    Page("/conformance/{run}/report", report, May.TENANT, root="/sandbox"),
    Page("/conformance/{run}/junit", junit, May.TENANT, root="/sandbox"),
    Page("/conformance/{run}/certificate", certificate, May.TENANT, root="/sandbox"),
    Page("/conformance/{run}/qr", picture, May.TENANT, root="/sandbox"),
)

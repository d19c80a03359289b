"""Reports: those that were made, making one, one as a page, and its documents."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Sent, Shown
from gateway.console.work import reports
from gateway.reports.forms import FORMS, MEDIA

HERE: Final = "/console/reports"


def every(ask: Ask) -> Shown:
    found = reports.every(ask.desk, ask.viewer)
    known = ask.desk.services.registry.snapshot.agencies
    names = {code: agency.name.of(ask.language) for code, agency in known.items()}
    return Shown("reports.html", {"it": found, "names": names})


def order(ask: Ask) -> Moved:
    texts = {name: ask.form.get(name, "").strip()[:20] for name in ("month", "from", "until")}
    given = reports.Given(
        month=texts["month"],
        first=texts["from"],
        last=texts["until"],
        agency=ask.form.get("agency", "").strip()[:60],
        anew=ask.form.get("anew") == "yes",
    )
    reports.order(ask.desk, ask.viewer, given)
    return Moved(HERE, "report-ordered")


def live(ask: Ask) -> Live:
    key = ("reports", ask.viewer.account.id)
    return Live(key, lambda: reports.mark(ask.desk, ask.viewer), going=lambda: reports.going(ask.desk, ask.viewer))


def one(ask: Ask) -> Shown:
    found = reports.content(ask.desk, ask.viewer, ask.path["report"], ask.language)
    return Shown("report.html", {"it": found, "report": found.report, "forms": FORMS})


def document(ask: Ask) -> Sent:
    language = ask.query.get("language", ask.language)
    file = reports.file(ask.desk, ask.viewer, ask.path["report"], ask.query.get("form", ""), language)
    return Sent(file.raw, MEDIA[file.form], file.name)


PAGES = (
    Page("/reports", every, May.REPORTS, N_("Reports"), Menu.OPERATION),
    Page("/reports", order, May.REPORTS, method="POST", operation="makeReport"),
    Page("/reports/events", live, May.REPORTS),
    Page("/reports/{report}", one, May.REPORTS, N_("A report")),
    Page("/reports/{report}/document", document, May.REPORTS),
)

"""Reports for people: which there are, making one, reading one (`gateway.reports`).

Whoever sees all, and the centre's own people, have every report; others have those of their agency alone. The keeper
makes a report, as a job. Its entry in the log names who asked.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from contracts.base.words import Language
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.roles import Role
from gateway.console.site.desk import Desk
from gateway.journal import jobs
from gateway.journal.jobs import RUNNING, Job
from gateway.reports import orders, store
from gateway.reports.content import Content
from gateway.reports.drawing import Wanted
from gateway.reports.forms import FORMS, Form, document, file_name
from gateway.reports.periods import BadPeriod, Period
from gateway.reports.store import Listed, Report

MOST_JOBS: Final = 10


class Listing(NamedTuple):
    """`agencies`: of which the viewer may make a report; `whole`: also of the whole instance."""

    reports: tuple[Listed, ...]
    jobs: tuple[Job, ...]
    agencies: tuple[str, ...]
    whole: bool


class Given(NamedTuple):
    """What somebody asks for."""

    month: str = ""
    first: str = ""
    last: str = ""
    agency: str = ""
    anew: bool = False


def every(desk: Desk, viewer: Viewer) -> Listing:
    whole = _sees_all(desk, viewer)
    own = None if whole else viewer.account.agency
    with desk.reading() as connection:
        found = store.listed(connection, own)
        orders_ = [each for each in jobs.newest(connection, orders.KIND, limit=100) if _may_see(each, own)]
    agencies = sorted(desk.services.registry.snapshot.agencies) if whole else [viewer.account.agency]
    return Listing(tuple(found), tuple(orders_[:MOST_JOBS]), tuple(agencies), whole)


def mark(desk: Desk, viewer: Viewer) -> object:
    """A small value that changes with the orders that the viewer sees."""
    return [(each.id, each.state, each.facts.get("step")) for each in every(desk, viewer).jobs]


def going(desk: Desk, viewer: Viewer) -> bool:
    return any(each.state == RUNNING for each in every(desk, viewer).jobs)


def order(desk: Desk, viewer: Viewer, given: Given) -> Job:
    """Orders a report. Raises `console.form`, and `console.no-page` for an agency of others."""
    try:
        period = Period.of(desk.now(), given.month, given.first, given.last)
    except BadPeriod as bad:
        raise CONSOLE_FORM(field="month, from, until", why=str(bad)) from None
    agency = given.agency
    if not _sees_all(desk, viewer):
        if agency not in ("", viewer.account.agency):
            raise CONSOLE_NO_PAGE(path=agency[:60])
        agency = viewer.account.agency
    elif agency and agency not in desk.services.registry.snapshot.agencies:
        raise CONSOLE_FORM(field="agency", why="unknown")
    with desk.writing() as connection:
        return orders.add(connection, Wanted(period, agency), viewer.actor, desk.now(), anew=given.anew)


def one(desk: Desk, viewer: Viewer, id: str) -> Report:
    """Raises `console.no-page` and `report.altered`."""
    with desk.reading() as connection:
        agency = store.agency_of(connection, id)
        if agency is None or not (_sees_all(desk, viewer) or agency == viewer.account.agency):
            raise CONSOLE_NO_PAGE(path=id[:60])
        return store.find(connection, id)


def content(desk: Desk, viewer: Viewer, id: str, language: Language) -> Content:
    return Content(one(desk, viewer, id), language)


class File(NamedTuple):
    name: str
    form: Form
    raw: bytes


def file(desk: Desk, viewer: Viewer, id: str, form: str, language: str) -> File:
    """The document. Raises `console.form`, `console.no-page`, `report.altered`."""
    wanted = next((each for each in FORMS if each == form), None)
    if wanted is None:
        raise CONSOLE_FORM(field="form", why=" | ".join(FORMS))
    shown = content(desk, viewer, id, "en" if language == "en" else "vi")
    return File(file_name(shown.report, wanted), wanted, document(shown, wanted))


def _may_see(job: Job, own: str | None) -> bool:
    return own is None or job.facts.get("agency") == own


def _sees_all(desk: Desk, viewer: Viewer) -> bool:
    account, centre = viewer.account, desk.services.registry.snapshot.centre()
    watches = Role.CENTRE in account.roles and centre is not None and account.agency == centre.code
    return watches or account.scope is None

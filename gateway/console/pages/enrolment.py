"""Certificates for a system: the requests, what they ask for, the order to the keeper, its progress and its outcome."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Failure
from gateway.console.roles import May
from gateway.console.site.page import N_, Answer, Ask, Live, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import board, system_certificates
from gateway.journal.jobs import RUNNING
from gateway.registry.changes.enrolment_orders import MOST, Older

HERE: Final = "/console/systems"


def form(ask: Ask) -> Shown:
    return _form(ask, None)


def _form(ask: Ask, failure: Failure | None) -> Shown:
    system = board.system_of(ask.desk, ask.viewer, ask.path["system"])
    values = {
        "system": system,
        "uses": system_certificates.USES,
        "given": {use: ask.form.get(use, "")[:MOST] for use in system_certificates.USES},
        "ids": {use: ask.form.get(f"{use}-id", "")[:200] for use in system_certificates.USES},
        "failure": None if failure is None else failure_values(failure, ask.language),
    }
    return Shown("enrol.html", values, 200 if failure is None else failure.status)


def look(ask: Ask) -> Shown:
    system = board.system_of(ask.desk, ask.viewer, ask.path["system"])
    try:
        given, ids = system_certificates.pieces(ask.form), system_certificates.named(ask.form)
        found = system_certificates.look(ask.desk, ask.viewer, system.id, given, ids)
    except Failure as failure:
        return _form(ask, failure)
    failures = {each.piece.use: failure_values(each.failure, ask.language) for each in found if each.failure}
    values = {"system": system, "found": found, "failures": failures, "ways": list(Older), "ids": ids}
    return Shown("enrol-look.html", values)


def order(ask: Ask) -> Answer:
    id = ask.path["system"]
    given = system_certificates.pieces(ask.form)
    job = system_certificates.ask(ask.desk, ask.viewer, id, given, ask.form, ask.reason())
    return Moved(f"{HERE}/{id}/enrolments/{job.id}", "enrolment-asked")


def enrolment(ask: Ask) -> Shown:
    system = board.system_of(ask.desk, ask.viewer, ask.path["system"])
    job = system_certificates.enrolment_of(ask.desk, ask.viewer, system.id, ask.path["job"])
    values = {
        "system": system,
        "job": job,
        "enrolled": system_certificates.enrolled(job),
        "order": job.facts.get("order", {}),
        "trouble": job.facts.get("trouble"),
        **ask.begun({"enrolment-asked": job.state == RUNNING}),
    }
    return Shown("enrolment.html", values)


def events(ask: Ask) -> Live:
    id, job = ask.path["system"], ask.path["job"]

    def look() -> object:
        return system_certificates.enrolment_of(ask.desk, ask.viewer, id, job).state

    look()
    return Live(("enrolment", id, job), look, going=lambda: look() == RUNNING)


def certificate(ask: Ask) -> Sent:
    job = system_certificates.enrolment_of(ask.desk, ask.viewer, ask.path["system"], ask.path["job"])
    content = system_certificates.certificate(job, ask.path["use"])
    return Sent(content, "application/x-pem-file", f"{job.subject}.{ask.path['use']}.crt")


def package(ask: Ask) -> Sent:
    job = system_certificates.enrolment_of(ask.desk, ask.viewer, ask.path["system"], ask.path["job"])
    return Sent(system_certificates.package(ask.desk, job), "application/zip", f"{job.subject}-certificates.zip")


def handout(ask: Ask) -> Sent:
    """The same for each system."""
    board.system_of(ask.desk, ask.viewer, ask.path["system"])
    return Sent(system_certificates.handout_package(ask.desk), "application/zip", "handout.zip")


def keep(ask: Ask) -> Moved:
    id = ask.path["system"]
    system_certificates.keep(ask.desk, ask.viewer, id, ask.path["job"], ask.reason())
    return Moved(f"{HERE}/{id}", "keys-kept")


_ONLY: Final = "It shows what a request says before it is ordered; the operation enrolSystem checks the same."
PAGES = (
    Page("/systems/{system}/enrol", form, May.OPERATE, N_("Certificates for a system")),
    Page(
        "/systems/{system}/enrol/look",
        look,
        May.OPERATE,
        N_("What is asked for"),
        method="POST",
        page_only=_ONLY,
        looks=True,
    ),
    Page("/systems/{system}/enrol", order, May.OPERATE, method="POST", operation="enrolSystem"),
    Page("/systems/{system}/enrolments/{job}", enrolment, May.SYSTEMS, N_("An enrolment")),
    Page("/systems/{system}/enrolments/{job}/events", events, May.SYSTEMS),
    Page("/systems/{system}/enrolments/{job}/package", package, May.SYSTEMS),
    Page("/systems/{system}/enrolments/{job}/certificates/{use}", certificate, May.SYSTEMS),
    Page("/systems/{system}/ends/{job}/keep", keep, May.OPERATE, method="POST", operation="keepKeys"),
    Page("/systems/{system}/handout", handout, May.SYSTEMS),
)

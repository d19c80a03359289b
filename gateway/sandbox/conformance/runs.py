"""Runs that vendors ask for by page or program: kept as jobs, carried out by `service`.

A job's facts say what is tried and how far it is. The report, its JUnit form, and a certificate lie in files beside
(`files_of`). Invariant: a vendor sees the runs of her own systems alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.journal import jobs
from gateway.journal.jobs import DONE, RUNNING, STOPPED, Job
from gateway.registry.records import System
from gateway.sandbox.conformance.errors import CONFORM_RUNNING
from gateway.sandbox.conformance.trial import FOLDER, STEP
from gateway.sandbox.vendors import showing
from gateway.sandbox.vendors.application import called
from gateway.sandbox.vendors.errors import SANDBOX_FORM
from gateway.settings import Settings

KIND: Final = "conformance"
ROLES: Final = ("caller", "provider")
MOST_RUNNING: Final = 3  # of a tenant
KEPT: Final = 30  # of a system, shown
_MOST_NAME: Final = 100
FIELDS: Final = frozenset(
    {"system", "contract", "role", "protocol", "operation", "only", "software", "version", "csrf"}
)
# A called system may be tried with one group alone: then the report has what travelled in every case, and no
# certificate comes of it.
GROUPS: Final = ("valid", "broken", "security", "channel", "repeats", "encryption")


BEGUN: Final[Mapping[str, Any]] = {  # of a run that has not got anywhere
    "only": "",
    "done": 0, "of": 0, "step": "", "calls": 0, "ask": None, "passed": False, "counts": None, "certificate": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    """Of one run. A file is there when what it holds is."""

    report: Path
    junit: Path
    certificate: Path
    picture: Path


def files_of(settings: Settings, id: str) -> Files:
    place = settings.run / FOLDER / "reports"
    return Files(place / f"{id}.json", place / f"{id}.xml", place / f"{id}.certificate.json", place / f"{id}.svg")


def next_file(settings: Settings, id: str) -> Path:
    """That somebody wants the next step of a caller's run."""
    return settings.run / FOLDER / "reports" / f"{id}.next"


def start(desk: Desk, viewer: Viewer, given: Mapping[str, Any]) -> Job:
    """Raises `sandbox.form`, `conform.running`, `console.no-page`."""
    facts = _read(desk, viewer, given)
    with desk.writing() as connection:
        going = [each for each in _of_tenant(desk, viewer, connection) if each.state == RUNNING]
        same = any(each.subject == facts["system"] and each.facts["role"] == "caller" for each in going)
        if len(going) >= MOST_RUNNING or same and facts["role"] == "caller":
            raise CONFORM_RUNNING(most=MOST_RUNNING)
        return jobs.add(connection, KIND, facts["system"], (viewer.actor, ""), desk.now(), **facts)


def listed(desk: Desk, viewer: Viewer) -> list[Job]:
    """The runs of the viewer's systems, newest first."""
    with desk.reading() as connection:
        return _of_tenant(desk, viewer, connection)


def one(desk: Desk, viewer: Viewer, id: str) -> Job:
    """Raises `console.no-page` for a run of somebody else, as for one that does not exist."""
    with desk.reading() as connection:
        job = jobs.find(connection, id)
    if job is None or job.kind != KIND:
        raise CONSOLE_NO_PAGE(path=id[:60])
    showing.own(desk, viewer, job.subject)
    return job


def stop(desk: Desk, viewer: Viewer, id: str) -> Job:
    """A run that is over stays as it is."""
    one(desk, viewer, id)
    with desk.writing() as connection:
        job = jobs.find(connection, id, lock=True)
        assert job is not None
        if job.state == RUNNING:
            jobs.change(connection, job, desk.now(), STOPPED)
            (desk.services.settings.run / FOLDER / job.subject / STEP).unlink(missing_ok=True)
    return one(desk, viewer, id)


def go_on(desk: Desk, viewer: Viewer, id: str) -> Job:
    """The next step of a caller's run."""
    job = one(desk, viewer, id)
    if job.state == RUNNING and job.facts["role"] == "caller":
        file = next_file(desk.services.settings, id)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
    return job


def shown(settings: Settings, job: Job) -> dict[str, Any]:
    """For programs."""
    facts = {name: each for name, each in job.facts.items() if name not in ("agency", "subject")}
    return {**job.shown(), **facts, "over": job.state in (DONE, STOPPED),
            "certified": files_of(settings, job.id).certificate.is_file()}  # fmt: skip


def _of_tenant(desk: Desk, viewer: Viewer, connection: Connection) -> list[Job]:
    found = [job for system in showing.mine(desk, viewer).systems
             for job in jobs.newest(connection, KIND, system.id, KEPT)]  # fmt: skip
    return sorted(found, key=lambda job: job.id, reverse=True)


def _read(desk: Desk, viewer: Viewer, given: Mapping[str, Any]) -> dict[str, Any]:
    system = showing.own(desk, viewer, _text(given, "system", 200))
    role = _text(given, "role", 20)
    if role not in ROLES:
        raise SANDBOX_FORM(field="role", why=" | ".join(ROLES))
    contract = _text(given, "contract", 200)
    compiled = desk.services.registry.snapshot.contracts.get(contract)
    granted = {each.contract for each in desk.services.registry.snapshot.grants(system.agency)}
    if compiled is None or contract not in granted:
        raise SANDBOX_FORM(field="contract", why=" | ".join(sorted(granted)))
    if role == "provider":
        operations = called(compiled)
    else:
        grants = desk.services.registry.snapshot.grants(system.agency)
        may = {name for each in grants if each.contract == contract and not each.receives for name in each.operations}
        operations = tuple(each for each in compiled.contract.operations if each in may)
    if not operations:
        raise SANDBOX_FORM(field="role", why="no operation of this contract is granted so")
    only = _text(given, "only", 20, empty=True)
    if only and (role != "provider" or only not in GROUPS):
        raise SANDBOX_FORM(field="only", why=" | ".join(GROUPS) if role == "provider" else "of a called system alone")
    operation = _text(given, "operation", 200, empty=True)
    if operation and operation not in operations:
        raise SANDBOX_FORM(field="operation", why=" | ".join(operations))
    return {
        "role": role,
        "contract": contract,
        "system": system.id,
        "agency": system.agency,
        "protocol": _protocol(given, system, role),
        "format": system.format(contract),
        "operations": [operation] if operation else list(operations),
        "software": _text(given, "software", _MOST_NAME, empty=True),
        "version": _text(given, "version", _MOST_NAME, empty=True),
        **BEGUN,
        "only": only,
    }


def _protocol(given: Mapping[str, Any], system: System, role: str) -> str:
    """A called system's is the one that it is registered with."""
    if role == "provider":
        if system.endpoint is None:
            raise SANDBOX_FORM(field="role", why="the system is registered without an address at which it is called")
        return system.endpoint.kind
    protocol = given.get("protocol") or "rest"
    if protocol not in ("rest", "soap"):
        raise SANDBOX_FORM(field="protocol", why="rest | soap")
    return str(protocol)


def _text(given: Mapping[str, Any], field: str, most: int, *, empty: bool = False) -> str:
    value = given.get(field) or ""
    if not isinstance(value, str) or len(value) > most or not (empty or value.strip()) or not value.isprintable():
        raise SANDBOX_FORM(field=field, why=f"a text of one line, {most} characters at most")
    return value.strip()

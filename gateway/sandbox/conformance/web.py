"""Runs of conformance for a vendor's programs.

GET  /sandbox/api/conformance                    the runs of her systems
POST /sandbox/api/conformance                    a new one: system, contract, role, and what else the page asks for
GET  /sandbox/api/conformance/{id}               how far it is, and its report
POST /sandbox/api/conformance/{id}/next          the next step of a caller's run
POST /sandbox/api/conformance/{id}/stop          ends it
GET  /sandbox/api/conformance/{id}/junit         the report as JUnit XML, in `junit`
GET  /sandbox/api/conformance/{id}/certificate   the certificate, for the verifier
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.routing import Route

from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.sandbox.conformance import runs
from gateway.sandbox.vendors.programs import Given, served

_WHO = (May.TENANT,)


def routes(desk: Desk) -> list[Route]:
    return [
        *served(desk, _WHO, "conformance", runs.FIELDS, GET=_listed, POST=_start),
        *served(desk, _WHO, "conformance/{id}", GET=_one),
        *served(desk, _WHO, "conformance/{id}/next", POST=_next),
        *served(desk, _WHO, "conformance/{id}/stop", POST=_stop),
        *served(desk, _WHO, "conformance/{id}/junit", GET=_junit),
        *served(desk, _WHO, "conformance/{id}/certificate", GET=_certificate),
    ]


def _listed(given: Given) -> Any:
    settings = given.desk.services.settings
    return {"runs": [runs.shown(settings, each) for each in runs.listed(given.desk, given.viewer)]}


def _start(given: Given) -> Any:
    return runs.shown(given.desk.services.settings, runs.start(given.desk, given.viewer, given.content))


def _one(given: Given) -> Any:
    job = runs.one(given.desk, given.viewer, given.path["id"])
    settings = given.desk.services.settings
    report = runs.files_of(settings, job.id).report
    told = runs.shown(settings, job)
    return told | ({"report": json.loads(report.read_text("utf-8"))} if report.is_file() else {})


def _next(given: Given) -> Any:
    return runs.shown(given.desk.services.settings, runs.go_on(given.desk, given.viewer, given.path["id"]))


def _stop(given: Given) -> Any:
    return runs.shown(given.desk.services.settings, runs.stop(given.desk, given.viewer, given.path["id"]))


def _junit(given: Given) -> Any:
    return {"junit": _read(given, "junit")}


def _certificate(given: Given) -> Any:
    return json.loads(_read(given, "certificate"))


def _read(given: Given, what: str) -> str:
    """Raises `console.no-page` where there is none yet."""
    job = runs.one(given.desk, given.viewer, given.path["id"])
    file: Path = getattr(runs.files_of(given.desk.services.settings, job.id), what)
    if not file.is_file():
        raise CONSOLE_NO_PAGE(path=job.id)
    return file.read_text("utf-8")

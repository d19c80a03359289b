"""Certificates and credentials of a tenant's systems.

The vendor makes her keys on her own machine. Her requests are checked here and ordered from the keeper, which issues.
Invariant: no private key comes here, and this process has no key of an authority.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import board, system_certificates
from gateway.journal import jobs
from gateway.journal.jobs import DONE, RUNNING, Job
from gateway.keys import handout
from gateway.registry.changes import self_service
from gateway.registry.changes.enrolment_orders import KIND, Older, is_request
from gateway.registry.records import System
from gateway.registry.tenants import BY_POLICY
from gateway.sandbox.vendors.errors import SANDBOX_FORM, SANDBOX_FULL

SECONDS: Final = 15.0  # that somebody waits for the keeper
_NEWEST: Final = 20  # orders that are looked at


def order(desk: Desk, viewer: Viewer, system: str, texts: Mapping[str, str]) -> Job:
    """Orders certificates for the requests in `texts`, by use: `tls`, `sign`, `encrypt`.

    Raises `sandbox.form`, `sandbox.full`, `console.form`, `console.no-page`, and why a request cannot be answered.
    """
    given = system_certificates.pieces(texts)
    for use, pem in given.items():
        if not is_request(pem):
            raise SANDBOX_FORM(field=use, why="a certificate request (PKCS#10)")
    agency, most = board.system_of(desk, viewer, system).agency, desk.services.settings.sandbox_vendor_certificates
    with desk.reading() as connection:
        waiting = sum(
            len(job.facts.get("order", {}).get("pieces", ()))
            for job in jobs.running(connection, KIND)
            if job.subject in self_service.systems_of(connection, agency)
        )
        count = self_service.certificates_of(connection, agency)
    if count + waiting + len(given) > most:
        raise SANDBOX_FULL(what="sandbox_vendor_certificates", most=most)
    return system_certificates.ask(desk, viewer, system, given, {"older": Older.KEEP.value}, BY_POLICY)


def outcome(desk: Desk, viewer: Viewer, system: str, job: str) -> Job:
    """The order as it stands. Raises `console.no-page`."""
    return system_certificates.enrolment_of(desk, viewer, system, job)


def issued(desk: Desk, system: str) -> dict[str, dict[str, Any]]:
    """The newest certificate of each use: its `key` id and `certificate` (PEM, of TLS with its issuer)."""
    with desk.reading() as connection:
        done = jobs.newest(connection, KIND, system, _NEWEST, state=DONE)
    found: dict[str, dict[str, Any]] = {}
    for job in done:
        for each in system_certificates.enrolled(job):
            found.setdefault(str(each["use"]), each)
    return found


def waiting(desk: Desk, system: str) -> Job | None:
    """The newest order, if it has not ended well."""
    with desk.reading() as connection:
        newest = jobs.newest(connection, KIND, system, 1)
    return newest[0] if newest and (newest[0].state == RUNNING or newest[0].facts.get("trouble")) else None


def credentials(desk: Desk, system: System, mine: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    """The files that make an identity folder whole, beside the private keys. None of them is secret."""
    settings = desk.services.settings
    files = {f"{use}.crt": str(each["certificate"]).encode("ascii") for use, each in mine.items()}
    about = {
        "system": system.id,
        "agency": system.agency,
        **{f"{use}_key_id": each["key"] for use, each in sorted(mine.items())},
        **handout.about(settings),
    }
    files["system.json"] = json.dumps(about, indent=2).encode() + b"\n"
    return files | handout.files(settings)


def archive(files: Mapping[str, bytes]) -> bytes:
    """A ZIP file of them."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return written.getvalue()

"""Operations on certificates of systems: the order to the keeper, its outcome, the handout, the end of older keys."""

from __future__ import annotations

from typing import Any

from gateway.console.site.operation import Asked
from gateway.console.work import system_certificates
from gateway.doors.reply import Reply

_ZIP = {"content-type": "application/zip"}


def enrol(asked: Asked) -> Any:
    given = system_certificates.pieces(asked.body.get("requests", {}))
    how = {name: str(asked.body[name]) for name in ("older", "until") if asked.body.get(name) is not None}
    how |= {f"{use}-id": str(key) for use, key in asked.body.get("ids", {}).items()}
    job = system_certificates.ask(asked.desk, asked.viewer, asked.params["system"], given, how, asked.reason())
    return {"enrolment": system_certificates.shown(job)}


def read(asked: Asked) -> Any:
    job = system_certificates.enrolment_of(asked.desk, asked.viewer, asked.params["system"], asked.params["job"])
    return {"enrolment": system_certificates.shown(job)}


def handout(asked: Asked) -> Reply:
    return Reply(200, _ZIP, system_certificates.handout_package(asked.desk))


def keep(asked: Asked) -> None:
    system_certificates.keep(asked.desk, asked.viewer, asked.params["system"], asked.params["job"], asked.reason())


OPERATIONS = {"enrolSystem": enrol, "readEnrolment": read, "readHandout": handout, "keepKeys": keep}

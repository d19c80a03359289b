"""Operations on certificates of systems: the order to the keeper, its outcome, the handout, the end of older keys."""

from __future__ import annotations

from typing import Any

from gateway.console.site.operation import Asked
from gateway.console.work import enrolments
from gateway.doors.reply import Reply

_ZIP = {"content-type": "application/zip"}


def enrol(asked: Asked) -> Any:
    given = enrolments.pieces(asked.body.get("requests", {}))
    how = {name: str(asked.body[name]) for name in ("older", "until") if asked.body.get(name) is not None}
    how |= {f"{use}-id": str(key) for use, key in asked.body.get("ids", {}).items()}
    job = enrolments.ask(asked.desk, asked.viewer, asked.params["system"], given, how, asked.reason())
    return {"enrolment": enrolments.shown(job)}


def read(asked: Asked) -> Any:
    job = enrolments.enrolment_of(asked.desk, asked.viewer, asked.params["system"], asked.params["job"])
    return {"enrolment": enrolments.shown(job)}


def handout(asked: Asked) -> Reply:
    return Reply(200, _ZIP, enrolments.handout_package(asked.desk))


def keep(asked: Asked) -> None:
    enrolments.keep(asked.desk, asked.viewer, asked.params["system"], asked.params["job"], asked.reason())


OPERATIONS = {"enrolSystem": enrol, "readEnrolment": read, "readHandout": handout, "keepKeys": keep}

"""Operations on certificates of systems: the order to the keeper, its outcome, the handout, the end of older keys."""

from __future__ import annotations

from typing import Any

from gateway.console.site.operation import Asked
from gateway.console.work import enrolling
from gateway.doors.reply import Reply

_ZIP = {"content-type": "application/zip"}


def enrol(asked: Asked) -> Any:
    given = enrolling.pieces(asked.body.get("requests", {}))
    how = {name: str(asked.body[name]) for name in ("older", "until") if asked.body.get(name) is not None}
    job = enrolling.ask(asked.desk, asked.viewer, asked.params["system"], given, how, asked.reason())
    return {"enrolment": enrolling.shown(job)}


def read(asked: Asked) -> Any:
    job = enrolling.enrolment_of(asked.desk, asked.viewer, asked.params["system"], asked.params["job"])
    return {"enrolment": enrolling.shown(job)}


def handout(asked: Asked) -> Reply:
    return Reply(200, _ZIP, enrolling.handout_package(asked.desk))


def keep(asked: Asked) -> None:
    enrolling.keep(asked.desk, asked.viewer, asked.params["system"], asked.params["job"], asked.reason())


OPERATIONS = {"enrolSystem": enrol, "readEnrolment": read, "readHandout": handout, "keepKeys": keep}

"""Operations on the log's integrity, and what the doctor finds."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.audit.search.shown import shown
from gateway.console.site.operation import Asked
from gateway.console.work import integrity, upkeep
from gateway.journal.jobs import Job


def read_log(asked: Asked) -> Any:
    found = integrity.integrity(asked.desk)
    return {
        "origin": found.origin,
        "size": found.size,
        "pending": found.pending,
        "checkpoint": found.note,
        "witnesses": [dict(each) for each in found.witnesses],
        "checkpoints": [
            {"size": each.size, "signed": rfc3339(each.signed), "root": each.root.hex()} for each in found.checkpoints
        ],
        "checks": [_check(each) for each in found.checks],
        "interrupted": found.interrupted,
    }


def verify_log(asked: Asked) -> Any:
    return {"check": _check(integrity.verify(asked.desk, asked.viewer))}


def read_doctor(asked: Asked) -> Any:
    found = upkeep.upkeep(asked.desk)
    return {
        "findings": [each.shown() for each in found.findings],
        "usual": [each.shown() for each in found.usual],
        "trouble": found.trouble,
        "looked_for": found.looked_for,
        "backups": [shown(each) for each in found.backups],
        "restores": [shown(each) for each in found.restores],
    }


def _check(each: Job) -> dict[str, Any]:
    names = ("ok", "size", "wrong", "more", "done")
    return {**each.shown(), **{name: each.facts[name] for name in names if name in each.facts}}


OPERATIONS = {"readLog": read_log, "verifyLog": verify_log, "readDoctor": read_doctor}

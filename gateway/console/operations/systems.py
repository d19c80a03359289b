"""Operations on systems: the board, one system, its suspension and keys, the test of its connection."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.audit.search.shown import shown
from gateway.console.site.operation import Asked, both, when
from gateway.console.work import board
from gateway.console.work.board import Row
from gateway.console.work.noticing import notice_of
from gateway.journal.jobs import Job


def list_systems(asked: Asked) -> Any:
    found = board.board(asked.desk, asked.viewer)
    return {"since": rfc3339(found.since), "systems": [_row(each) for each in found.rows]}


def read_system(asked: Asked) -> Any:
    found = board.detail(asked.desk, asked.viewer, asked.params["system"])
    notice = found.notice
    return {
        "since": rfc3339(found.since),
        "system": _row(found.row),
        "keys": [
            {
                "id": each.key_id,
                "use": each.use,
                "state": each.state,
                "thumbprint": each.thumbprint,
                "valid_from": rfc3339(each.valid_from),
                "valid_until": rfc3339(each.valid_until),
                "used": when(found.used.get(each.key_id)),
                "ends": _ends(found.end_of(each.key_id)),
            }
            for each in found.keys
        ],
        "grants": [each.id for each in found.grants],
        "notice": None
        if notice is None
        else {"reason": both(notice.reason), "since": rfc3339(notice.since), "until": when(notice.until)},
        "failures": [shown(each) for each in found.failures],
        "tests": [board.shown(each) for each in found.tests],
        "enrolments": [each.id for each in found.enrolments],
    }


def suspend(asked: Asked) -> None:
    board.suspend(asked.desk, asked.viewer, asked.params["system"], notice_of(asked.body, asked.now))


def resume(asked: Asked) -> None:
    board.resume(asked.desk, asked.viewer, asked.params["system"], asked.reason())


def revoke(asked: Asked) -> None:
    """One key, or all of the system."""
    why = (asked.body.get("key"), asked.body["code"], asked.reason())
    board.revoke(asked.desk, asked.viewer, asked.params["system"], why)


def test(asked: Asked) -> Any:
    return {"test": board.shown(board.test(asked.desk, asked.viewer, asked.params["system"]))}


def _ends(order: Job | None) -> Any:
    """The order by which a key is revoked at a time."""
    return None if order is None else {"order": order.id, "at": rfc3339(order.facts["order"]["at"])}


def _row(each: Row) -> dict[str, Any]:
    numbers = each.numbers
    return {
        "id": each.system.id,
        "agency": each.system.agency,
        "ready": each.ready,
        "why": each.why,
        "calls": sum(numbers.calls),
        "failed": sum(numbers.failed),
        "sent": numbers.sent,
        "milliseconds": numbers.latency,
        "last": when(each.last),
        "waiting": each.waiting,
        "certificate_days": each.days,
    }


OPERATIONS = {
    "listSystems": list_systems,
    "readSystem": read_system,
    "suspendSystem": suspend,
    "resumeSystem": resume,
    "revokeSystemKeys": revoke,
    "testConnection": test,
}

"""Operations on drafts of contracts. None confirms: a person reads what he confirms, in a page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from contracts.base.errors import Finding
from contracts.base.times import rfc3339
from contracts.diff.changes import Change
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.operation import Asked, when
from gateway.console.work import drafts
from gateway.console.work.draft_rows import Draft


def check(asked: Asked) -> Any:
    try:
        archive = base64.b64decode(asked.body["archive"], validate=True)
    except binascii.Error:
        raise CONSOLE_FORM(field="archive", why="base64") from None
    return _seen(drafts.upload(asked.desk, asked.viewer, archive), asked.now)


def roll_back(asked: Asked) -> Any:
    name = f"{asked.params['id']}/{asked.params['major']}"
    return _draft(drafts.roll_back(asked.desk, asked.viewer, name), asked.now)


def listed(asked: Asked) -> Any:
    return {"drafts": [_draft(each, asked.now) for each in drafts.listed(asked.desk, asked.viewer)]}


def read(asked: Asked) -> Any:
    return _seen(drafts.read(asked.desk, asked.viewer, asked.params["draft"]), asked.now)


def hand_in(asked: Asked) -> Any:
    accepts = asked.body.get("accepts", [])
    return _draft(drafts.hand_in(asked.desk, asked.viewer, asked.params["draft"], accepts, asked.reason()), asked.now)


def reject(asked: Asked) -> None:
    drafts.reject(asked.desk, asked.viewer, asked.params["draft"], asked.reason())


def _draft(each: Draft, now: float) -> dict[str, Any]:
    return {
        "id": each.id,
        "act": each.act,
        "contract": each.contract,
        "version": each.version,
        "digest": each.bundle,
        "accepted": list(each.accepted),
        "state": each.standing(now),
        "made_by": each.account,
        "reason": each.reason,
        "created": rfc3339(each.created),
        "expires": rfc3339(each.expires),
        "decided": when(each.decided),
        "decided_by": each.decided_by,
        "why": each.why,
    }


def _seen(seen: drafts.Seen, now: float) -> dict[str, Any]:
    report, failure = seen.report, seen.failure
    return {
        "draft": None if seen.draft is None else _draft(seen.draft, now),
        "usable": seen.usable,
        "before": seen.before,
        "findings": [] if report is None else _findings(report.findings),
        "warnings": [] if report is None else _findings(report.warnings),
        "proved": [] if report is None else list(report.proved),
        "losses": [] if report is None else list(report.losses),
        "level": seen.level.name.lower(),
        "changes": _changes(seen.changes),
        "disclosed": [{"field": field, "seen_by": by} for field, by in seen.disclosed],
        "failure": None if failure is None else {"code": failure.code, "findings": _findings(failure.findings)},
    }


def _findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [asdict(each) for each in findings]


def _changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [{**each.to_json(), "place": each.place} for each in changes]


OPERATIONS = {
    "checkContract": check,
    "draftRollBack": roll_back,
    "listDrafts": listed,
    "readDraft": read,
    "handInDraft": hand_in,
    "rejectDraft": reject,
}

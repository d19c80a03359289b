"""Operations on routes and on registry documents."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked, both
from gateway.console.work import documents, routes, searching
from gateway.doors.reply import Reply
from gateway.registry.changes import deciding
from gateway.registry.changes.applying import Applied
from gateway.registry.competence import Competent
from security.grants.grants import Decision


def listed(asked: Asked) -> Any:
    found = routes.routes(asked.desk, asked.viewer, asked.params["contract"] or "", asked.params["system"] or "")
    weak = [
        {"contract": each.contract, "operation": each.operation, "code": each.code, "words": both(each.told)}
        for each in found.gaps
    ]
    return {"routes": [_row(each) for each in found.rows], "waiting": sorted(found.waiting), "gaps": weak}


def where(asked: Asked) -> Any:
    body = asked.body
    given = (body.get("agency", ""), body["contract"], body["operation"])
    at = searching.moment(body.get("at"), "at")
    found = routes.where(asked.desk, asked.viewer, given, body.get("values", {}), at)
    return {
        "arrives": found.arrives,
        "asks": _decision(found.asks),
        "rule": None if found.row is None else _row(found.row),
        "receives": None if found.receives is None else _decision(found.receives),
        "conditions": list(routes.conditions(asked.desk, body["contract"], body["operation"])),
        "at": rfc3339(found.at),
        "competent": [competent(each) for each in found.competent],
    }


def present(asked: Asked) -> Reply:
    return Reply(200, {"content-type": documents.MEDIA}, documents.present(asked.desk, asked.viewer))


def preview(asked: Asked) -> Any:
    applied = documents.preview(asked.desk, asked.viewer, asked.body["document"])
    return {**_applied(applied), "may_apply": documents.may_apply(asked.viewer, applied)}


def apply(asked: Asked) -> Any:
    """`digest` is that of the preview."""
    body = asked.body
    return _applied(documents.apply(asked.desk, asked.viewer, body["document"], body["digest"], asked.reason()))


def _row(each: routes.RouteRow) -> dict[str, Any]:
    return {
        "contract": each.contract,
        "version": each.version,
        "operation": each.operation,
        "title": both(each.title),
        "number": each.number,
        "when": {path: list(values) for path, values in each.when},
        "system": each.name,
        "agency": None if each.system is None else each.system.agency,
        "address": each.address,
        "ready": each.ready,
        "agencies": list(each.agencies),
        "hours": each.hours,
        "outside": list(each.route.outside),
    }


def competent(each: Competent) -> dict[str, Any]:
    return {
        "agency": each.agency,
        "why": each.why,
        "words": both(each.told),
        "rule": each.rule,
        "areas": list(each.areas),
        "instead": list(each.instead),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    grants = [grant.id for grant in decision.through]
    return {"allowed": decision.allowed, "reason": str(decision.reason), "grants": grants}


def _applied(applied: Applied) -> dict[str, Any]:
    return {
        "digest": applied.digest,
        "founding": applied.founding,
        "proposes_only": applied.proposes_only,
        "changes": deciding.listed(applied.changes),
        "rows": [
            {
                "table": row.table,
                "key": row.key,
                "how": row.how,
                "columns": [{"name": name, "old": old, "new": new} for name, old, new in row.columns],
            }
            for row in applied.rows
        ],
    }


OPERATIONS = {
    "listRoutes": listed,
    "findRoute": where,
    "readDocument": present,
    "previewDocument": preview,
    "applyDocument": apply,
}

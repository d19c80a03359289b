"""Operations on routes and on registry documents."""

from __future__ import annotations

from typing import Any

from gateway.console.site.operation import Asked, both
from gateway.console.work import documents, routes
from gateway.doors.reply import Reply
from gateway.registry.changes import deciding
from gateway.registry.changes.applying import Applied
from security.grants.grants import Decision


def listed(asked: Asked) -> Any:
    found = routes.routes(asked.desk, asked.viewer, asked.params["contract"] or "", asked.params["system"] or "")
    return {"routes": [_row(each) for each in found.rows], "waiting": sorted(found.waiting)}


def where(asked: Asked) -> Any:
    body = asked.body
    given = (body.get("agency", ""), body["contract"], body["operation"])
    found = routes.where(asked.desk, asked.viewer, given, body.get("values", {}))
    return {
        "arrives": found.arrives,
        "asks": _decision(found.asks),
        "rule": None if found.row is None else _row(found.row),
        "receives": None if found.receives is None else _decision(found.receives),
        "conditions": list(routes.conditions(asked.desk, body["contract"], body["operation"])),
    }


def present(asked: Asked) -> Reply:
    return Reply(200, {"content-type": documents.MEDIA}, documents.present(asked.desk, asked.viewer))


def preview(asked: Asked) -> Any:
    applied = documents.preview(asked.desk, asked.body["document"])
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

"""Operations on access: who receives a field, the matrix, grants with their history, changes, reviews."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.operation import Asked, both, when
from gateway.console.work import access, approving, months, searching
from gateway.console.work.access import Standing
from gateway.console.work.noticing import notice_of
from gateway.registry.changes.called import Asked as Fields
from gateway.registry.changes.matrix import Cell
from gateway.registry.changes.receivers import as_json as described


def who(asked: Asked) -> Any:
    field, mark = asked.params["field"], asked.params["mark"]
    if field is None and mark is None:
        raise CONSOLE_FORM(field="field", why="missing")
    scope = asked.viewer.account.scope
    with access.registry_at(asked.desk, asked.params["at"]) as (snapshot, at):
        it = access.who(asked.desk, snapshot, Fields.of(field, mark), scope, at)
    openers = None if it.openers is None else [each.id for each in it.openers]
    return {"at": rfc3339(at), "scope": scope, **described(it.found), "openers": openers}


def matrix(asked: Asked) -> Any:
    agency = asked.viewer.account.scope or asked.params["agency"]
    with access.registry_at(asked.desk, asked.params["at"]) as (snapshot, at):
        rows = access.cells(snapshot, agency, asked.params["contract"], at)
    return {"at": rfc3339(at), "cells": [_cell(each) for each in rows]}


def grants(asked: Asked) -> Any:
    snapshot, scope = asked.desk.services.registry.snapshot, asked.viewer.account.scope
    with asked.desk.reading() as connection:
        rows = access.grants(connection, snapshot, scope, asked.now)
        ended = access.ended(connection) if scope is None else []
    return {"grants": [_grant(each) for each in rows], "ended": ended}


def grant(asked: Asked) -> Any:
    snapshot, name = asked.desk.services.registry.snapshot, asked.params["grant"]
    with asked.desk.reading() as connection:
        found = access.grant(connection, snapshot, name, asked.viewer.account.scope, asked.now)
    return {
        "id": found.name,
        "present": None if found.present is None else _grant(found.present),
        "versions": [
            {
                "revision": each.revision,
                "from": rfc3339(each.since),
                "until": when(each.until),
                "what": each.what,
                "by": each.actor,
                "state": each.state,
                "signed": list(each.signed),
                "content": each.content,
            }
            for each, _differing in found.versions
        ],
    }


def revoke(asked: Asked) -> None:
    approving.revoke(asked.desk, asked.viewer, asked.params["grant"], asked.reason())


def suspend(asked: Asked) -> None:
    approving.suspend(asked.desk, asked.viewer, asked.params["grant"], notice_of(asked.body, asked.now))


def resume(asked: Asked) -> None:
    approving.resume(asked.desk, asked.viewer, asked.params["grant"], asked.reason())


def changes(asked: Asked) -> Any:
    month = asked.params["month"]
    span = months.span_of(month) if month else (searching.moment(asked.params["since"], "since"), None)
    found = access.changes(asked.desk, asked.viewer, span, asked.params["cursor"])
    return {"changes": [_change(each) for each in found.rows], "next": found.next}


def reviews(asked: Asked) -> Any:
    """With the statement that an officer signs who has reviewed access as it is now."""
    due = access.due(asked.desk)
    return {
        "due": when(due.at),
        "late": due.late,
        "reviews": [
            {
                "at": each.at,
                "officer": each.officer,
                "registry": each.registry,
                "matrix": each.matrix,
                "index": each.idx,
            }
            for each in access.recorded(asked.desk)
        ],
        "statement": access.statement(asked.desk).content().decode(),
    }


def review(asked: Asked) -> None:
    """The signature is made where the officer's key is."""
    body = asked.body
    access.review(asked.desk, asked.viewer, body["statement"], body["officer"], body["signature"])


def _grant(each: Standing) -> dict[str, Any]:
    return {"standing": each.standing, "signed": list(each.grant.approvers), "content": each.grant.content()}


def _cell(each: Cell) -> dict[str, Any]:
    decision = each.decision
    return {
        "agency": each.agency,
        "contract": each.contract,
        "operation": each.operation,
        "how": each.way.value,
        "systems": list(each.systems),
        "allowed": decision.allowed,
        "reason": str(decision.reason),
        "grants": [grant.id for grant in decision.through],
        "shown": {message: [leaf.path for leaf in leaves if leaf.shown] for message, leaves in each.seen},
    }


def _change(each: access.Change) -> dict[str, Any]:
    names = {"index": each.idx, "by": each.actor}
    texts = {"reason": both(each.reason), "detail": both(each.detail)}
    return {name: getattr(each, name) for name in ("at", "what", "signed")} | texts | names


OPERATIONS = {
    "listReceivers": who,
    "readMatrix": matrix,
    "listGrants": grants,
    "readGrant": grant,
    "revokeGrant": revoke,
    "suspendGrant": suspend,
    "resumeGrant": resume,
    "listChanges": changes,
    "listReviews": reviews,
    "recordReview": review,
}

"""Entries of the log as values for programs: what the command line and the management API print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from contracts.base.times import rfc3339
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.fields import CHANGES
from gateway.audit.search.journey import Journey
from gateway.journal.logged import parse

_ROW: Final = (
    "state",
    "pattern",
    "caller_agency",
    "caller_system",
    "contract",
    "operation",
    "message_id",
    "grant_id",
    "provider",
    "status",
    "failure",
)


def as_json_object(facts: Facts) -> dict[str, Any]:
    known = {
        name: value for name, value in facts.named().items() if value is not None and (name, value) != ("times", 1)
    }
    return known | {"parties": [each._asdict() for each in facts.parties]}


def shown(hit: Logged) -> dict[str, Any]:
    """One entry for a program. Of a change it has each row's fields, old and new."""
    facts = parse(hit.entry).get("facts", {})
    changed = facts.get("registry", facts).get("changed") if hit.facts.kind in CHANGES else None
    if changed and hit.facts.kind == "console-account":  # in the form of a row of the registry
        changed = {"console_account": {facts.get("account"): {"roles": [changed.get("old"), changed.get("new")]}}}
    told = {"changed": changed} if changed else {}
    return {"index": hit.idx, "sequenced": rfc3339(hit.sequenced), **as_json_object(hit.facts), **told}


def journey_as_json(of: Journey) -> dict[str, Any]:
    steps = [{"index": step.index, **as_json_object(step.facts), "entry": step.entry} for step in of.steps]
    return {
        "transfer": of.transfer,
        "steps": steps,
        "leftOut": of.left_out,
        "state": _row(of.row),
        "queue": _queue(of.queue),
        "feed": of.feed,
        "vault": of.vault,
    }


def _row(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    state = {name: row[name] for name in _ROW} | {
        name: None if row[name] is None else rfc3339(row[name]) for name in ("received", "committed", "finished")
    }
    return state | {"receipt": json.loads(row["receipt"]) if row["receipt"] else None}


def _queue(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "state": row["state"],
        "tries": row["tries"],
        "next": rfc3339(row["next_at"]),
        "last_failure": row["last_failure"],
    }

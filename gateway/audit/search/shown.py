"""Entries of the log as values for programs: what the command line and the management API print."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.fields import CHANGES
from gateway.journal.logged import parse


def as_json_object(facts: Facts) -> dict[str, Any]:
    known = {
        name: value for name, value in facts.named().items() if value is not None and (name, value) != ("times", 1)
    }
    return known | {"parties": [each._asdict() for each in facts.parties]}


def shown(hit: Logged) -> dict[str, Any]:
    """One entry for a program. Of a change it has each row's fields, old and new."""
    facts = parse(hit.entry).get("facts", {})
    changed = facts.get("registry", facts).get("changed") if hit.facts.kind in CHANGES else None
    told = {"changed": changed} if changed else {}
    return {"index": hit.idx, "sequenced": rfc3339(hit.sequenced), **as_json_object(hit.facts), **told}

"""Checks the alarms about systems (`gateway.watch`): each row is as the entries `alarm` of the log say, and none is
missing.

What is wrong with a system changes while its alarm is open, so `facts` are compared with the entry of its end alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.times import moment, rfc3339
from gateway.audit.verify.findings import Findings
from gateway.journal.noted import Noted, read_notes
from gateway.journal.schema.watch_tables import alarm as table

NOTE: Final = "alarm"
KEPT: Final = 89 * 86_400.0  # seconds that the row of an alarm stays at least after its end
_TIMES: Final = {
    "raised": "raised",
    "ended": "over",
    "told": "told",
    "told_end": "told-over",
    "acknowledged": "acknowledged",
}
States = dict[str, Noted]


def check_alarms(connection: Connection, now: float, wrong: Findings) -> None:
    logged: dict[str, States] = {}
    for note in read_notes(connection, {NOTE}):
        logged.setdefault(str(note.facts.get("alarm")), {})[str(note.facts.get("state"))] = note
    rows = {row["id"]: dict(row) for row in connection.execute(select(table)).mappings()}
    wrong.count("alarms", len(rows))
    for id, row in rows.items():
        for finding in _differing(row, logged.get(id, {})):
            wrong.add(f"the alarm {id}: {finding}")
    for id in sorted(logged.keys() - rows.keys()):
        over = logged[id].get("over")
        if over is None or (moment(over.at) or now) > now - KEPT:
            wrong.add(f"the alarm {id}: the log tells of it, and there is no row of it")


def _differing(row: Mapping[str, Any], states: States) -> Iterator[str]:
    told = {column: states[state].at if state in states else None for column, state in _TIMES.items()}
    found = {column: None if row[column] is None else rfc3339(row[column]) for column in _TIMES}
    raised, taken = states.get("raised"), states.get("acknowledged")
    if raised is not None:
        facts = raised.facts
        told |= {"kind": facts.get("subject"), "system": facts.get("provider"), "since": facts.get("since")}
        told |= {"about": facts.get("of", "")}
        found |= {"kind": row["kind"], "system": row["system"], "since": rfc3339(row["since"]), "about": row["about"]}
    told |= {"by": taken and taken.actor, "reason": taken and taken.facts.get("reason")}
    found |= {"by": row["by"], "reason": row["reason"]}
    for column, value in told.items():
        if found[column] != value:
            yield f"its row says {column} {found[column]}, the log {value}"
    if "over" in states and not _is_within(row["facts"], states["over"].facts):
        yield "its row says other facts than the log"


def _is_within(text: str, facts: Mapping[str, Any]) -> bool:
    try:
        stored = json.loads(text)
    except ValueError:
        return False
    return isinstance(stored, dict) and all(facts.get(name) == value for name, value in stored.items())

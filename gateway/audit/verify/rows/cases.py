"""Checks the rows of cases between agencies: each follows from the entries `case` of the log, and none is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from contracts.base.times import moment
from gateway.audit.verify.findings import Findings
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from gateway.transfer.case_entries import GATEWAY, MOST_REMINDERS, NOTE, Folded, Step, fold

_AT_ONCE = 500
_DERIVED = frozenset({"remind_at"})  # follows from the working hours of that time, too: `_reminders` bounds it
_MINUTE = 60.0  # working hours are counted in whole minutes
_LONGEST = 21 * 86_400.0  # seconds that a working day can be away, at Tết too


def check_cases(connection: Connection, wrong: Findings) -> None:
    logged: dict[str, list[Step]] = {}
    for note in read_notes(connection, {NOTE}):
        logged.setdefault(str(note.facts.get("case")), []).append(Step(note.at, note.actor, note.facts))
    folded: dict[str, Folded] = {}
    for id, steps in logged.items():
        steps.sort(key=lambda each: each.number)
        try:
            folded[id] = fold(steps)
        except (KeyError, ValueError):
            wrong.add(f"the case {id}: its entries do not follow from one another")
    wrong.count("cases", len(folded))
    _texts(connection, [each for id in folded for each in logged[id] if "text" in each.facts], wrong)
    own = {id: each.row() for id, each in folded.items()}
    parties = {f"{id} {code}": _party(id, code, each) for id, each in folded.items() for code in each.parties}
    taken = {f"{id} {each.number}": _step(each) for id in folded for each in logged[id]}
    rows = _rows(connection, tables.agency_case, "id")
    _compare("case", own, rows, wrong)
    _reminders(connection, {id: folded[id] for id in rows if id in folded}, logged, wrong)
    _compare("party of case", parties, _rows(connection, tables.agency_case_party, "case_id", "agency"), wrong)
    _compare("step of case", taken, _rows(connection, tables.agency_case_step, "case_id", "number"), wrong)


def _reminders(
    connection: Connection, cases: Mapping[str, Folded], logged: Mapping[str, Sequence[Step]], wrong: Findings
) -> None:
    """Whoever owes an answer is reminded at the deadline, and after it each working day."""
    case = tables.agency_case.c
    times = {row.id: row.remind_at for row in connection.execute(select(case.id, case.remind_at))}
    for id, each in cases.items():
        latest = _reminded_until(each, logged[id])
        if times[id] is not None and times[id] < (moment(each.opened) or 0.0) - _MINUTE:
            wrong.add(f"the case {id}: its row says remind_at {times[id]}, by the log it was opened {each.opened}")
        if latest is not None and (times[id] is None or times[id] > latest):
            wrong.add(f"the case {id}: its row says remind_at {times[id]}, by the log it is {latest} at most")


def _reminded_until(case: Folded, steps: Sequence[Step]) -> float | None:
    """When its next reminder is due at the latest; None: none need be."""
    if case.due is None or not case.owing:
        return None
    late = [each.at for each in steps if each.act == "remind" and each.agency == GATEWAY and each.at >= case.due]
    if not late:
        return moment(case.due)
    return None if len(late) >= MOST_REMINDERS else (moment(late[-1]) or 0.0) + _LONGEST


def _texts(connection: Connection, steps: Sequence[Step], wrong: Findings) -> None:
    """Each text is in the vault, with the size that its entry says; emptied after its retention."""
    vault = tables.vault.c
    for start in range(0, len(steps), _AT_ONCE):
        some = {f"{each.case}/case-{each.number}": each for each in steps[start : start + _AT_ONCE]}
        rows = connection.execute(select(vault.id, vault.size).where(vault.id.in_(some)))
        sizes = {row.id: row.size for row in rows}
        for id, step in some.items():
            size = step.facts["text"].get("size")
            if id not in sizes:
                wrong.add(f"the case {step.case}: the text of step {step.number} is gone from the vault")
            elif sizes[id] != size:
                wrong.add(f"the case {step.case}: the text of step {step.number} has {sizes[id]} bytes, not {size}")


def _party(id: str, code: str, case: Folded) -> dict[str, Any]:
    each = case.parties[code]
    return {
        "case_id": id, "agency": code, "role": each.role, "acknowledged": each.acknowledged, "answered": each.answered,
    }  # fmt: skip


def _step(step: Step) -> dict[str, Any]:
    facts = json.loads(step.text)
    return {"case_id": step.case, "number": step.number, "at": step.at, "actor": step.actor, "facts": facts}


def _rows(connection: Connection, table: Any, *keys: str) -> dict[str, dict[str, Any]]:
    found = {}
    for row in connection.execute(select(table)).mappings():
        values = {name: value for name, value in row.items() if name not in _DERIVED}
        if "facts" in values:
            values["facts"] = _parsed(values["facts"])
        found[" ".join(str(row[key]) for key in keys)] = values
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _compare(
    what: str, logged: Mapping[str, Mapping[str, Any]], rows: Mapping[str, Mapping[str, Any]], wrong: Findings
) -> None:
    for key in sorted(logged.keys() - rows.keys()):
        wrong.add(f"the {what} {key}: the log tells of it, and there is no row of it")
    for key, row in rows.items():
        told = logged.get(key)
        if told is None:
            wrong.add(f"the {what} {key}: the log does not tell of it")
            continue
        for name, value in row.items():
            if value != told[name]:
                wrong.add(f"the {what} {key}: its row says {name} {value}, the log {told[name]}")

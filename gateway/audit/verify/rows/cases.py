"""Checks the rows of cases between agencies: each follows from the entries `case` of the log, and none is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.noted import read_notes
from gateway.journal.schema import tables
from gateway.transfer.case_entries import NOTE, Folded, Step, fold

_AT_ONCE = 500
_DERIVED = frozenset({"remind_at"})  # when the keeper looks again: no fact of the log


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
    _compare("case", own, _rows(connection, tables.agency_case, "id"), wrong)
    _compare("party of case", parties, _rows(connection, tables.agency_case_party, "case_id", "agency"), wrong)
    _compare("step of case", taken, _rows(connection, tables.agency_case_step, "case_id", "number"), wrong)


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

"""Finds the entries of a case. Each step is an entry with an id of its own, whose time its row has."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from contracts.base.times import moment
from gateway.journal.schema import tables
from gateway.transfer.case_entries import NOTE


def entries_of_case(connection: Connection, case: str) -> list[dict[str, Any]]:
    """As `gateway.audit.search.journey.entries_of`, in the order of the steps; empty if there is no such case."""
    step = tables.agency_case_step.c
    found: dict[int, dict[str, Any]] = {}
    for at in connection.scalars(select(step.at).where(step.case_id == case).order_by(step.number)):
        for origin, index, raw in _noted(connection, at):
            value = json.loads(raw)
            facts = value.get("facts", {})
            if facts.get("case") == case:
                found[int(facts["number"])] = {**({"origin": origin} if origin else {}), "index": index, **value}
    return [found[number] for number in sorted(found)]


def _noted(connection: Connection, at: str) -> list[tuple[str | None, int | None, bytes]]:
    """The entries of cases of one millisecond, which is the time in their ids (UUIDv7)."""
    millisecond = round((moment(at) or 0.0) * 1000)
    low, high = _first_id(millisecond), _first_id(millisecond + 1)
    rows: list[tuple[str | None, int | None, bytes]] = []
    for table in (tables.past_entry, tables.log_entry, tables.log_pending):
        columns = table.c
        query = select(table).where(columns.transfer >= low, columns.transfer < high, columns.phase == NOTE)
        for row in connection.execute(query).mappings():
            rows.append((row.get("origin"), row.get("idx"), bytes(row["entry"])))
    return rows


def _first_id(millisecond: int) -> str:
    digits = f"{millisecond:012x}"
    return f"{digits[:8]}-{digits[8:]}"

"""Reads the steps of cases from the log. They decide what the keeper does of its own; rows only say when it looks.

Each step is an entry with an id of its own. Its first part is the millisecond (UUIDv7), as that of its case. So the
opening is found by the id of the case, and later steps among the entries of cases after it (the index of notes).
Invariant: a row that was changed, added or taken away changes nothing here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gateway.cases.kinds import SUSPENSION
from gateway.journal.schema import tables
from gateway.transfer.case_entries import CLOSED, NOTE, WITHDRAWN, Step, fold

_log: Final = tables.log_entry.c
_past: Final = tables.past_entry.c
_ID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")


def steps_signed(connection: Connection, case: str) -> list[Step]:
    """The steps of a case in their order, as the log has them; empty if no entry opened it."""
    return _ordered(_read(connection, case)).get(case, []) if _ID.fullmatch(case) else []


def suspensions_told(connection: Connection) -> dict[str, str]:
    """The cases in the log that tell of a suspension and have not ended, by the reference of what is suspended."""
    found = {}
    for steps in _ordered(_read(connection, None)).values():
        if steps[0].facts.get("kind") == SUSPENSION and (case := fold(steps)).state not in (CLOSED, WITHDRAWN):
            found[str(case.reference)] = case.id
    return found


def _read(connection: Connection, case: str | None) -> Iterable[bytes]:
    """The entries of all cases; or at least those of this one. Pending ones come first: an entry may move on while it
    is read.
    """
    pending = connection.scalars(select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == NOTE)).all()
    current = select(_log.entry).where(tables.NOTES, _log.phase == NOTE)
    past = select(_past.entry).where(_past.phase == NOTE)
    if case is not None:
        first = connection.execute(select(_log.idx).where(*_of_moment(_log, case)).order_by(_log.idx)).first()
        if first is not None:
            return [*pending, *connection.scalars(current.where(_log.idx >= first.idx))]
        before: Row[Any] | None = connection.execute(select(_past.idx).where(*_of_moment(_past, case))).first()
        if before is None:
            return pending
    return [*pending, *connection.scalars(current), *connection.scalars(past)]


def _of_moment(columns: Any, case: str) -> Sequence[Any]:
    """The entries of cases whose time is that of the case's opening."""
    millisecond = int(case.replace("-", "")[:12], 16)
    low, high = _first_id(millisecond), _first_id(millisecond + 1)
    return columns.transfer >= low, columns.transfer < high, columns.phase == NOTE


def _first_id(millisecond: int) -> str:
    digits = f"{millisecond:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _ordered(entries: Iterable[bytes]) -> dict[str, list[Step]]:
    """By case. An opening without which later steps say nothing leaves its case out."""
    found: dict[str, dict[int, Step]] = {}
    for raw in entries:
        try:
            value = json.loads(raw)
            step = Step(str(value["at"]), str(value["actor"]), dict(value["facts"]))
            found.setdefault(step.case, {})[step.number] = step
        except (ValueError, KeyError, TypeError):  # it was changed in the database
            continue
    return {
        case: [steps[number] for number in sorted(steps)]
        for case, steps in found.items()
        if sorted(steps) == list(range(len(steps)))
    }

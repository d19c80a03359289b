"""Checks that codes are in force on the day of a message, and names the successor of a code that is not.

The day is the value at the contract's `codes_at`, else the day of receipt. Without either nothing is checked: a stored
message is read again without this check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from contracts.base.errors import Finding
from contracts.canonical.findings import MAX_FINDINGS, Index
from contracts.canonical.model import CodeTable, Scalar, Struct
from contracts.canonical.places import Places, scalar_at
from contracts.canonical.walk import Visit, compile_walk, place
from contracts.mapping.frames import getter
from contracts.mapping.rows.dated import not_in_force

_EPOCH: Final = date(1970, 1, 1)
_OFFSET: Final = 7 * 3600  # Vietnam: UTC+7
Ended = tuple[str, str, Index, str, str]  # prefix, path template, index, what is there, and the expected code
_ENDED, _UNKNOWN = "a code that is not in force", "a code that the list does not have"
InForce = Callable[[Any, str | None], list[Ended]]


def day_at(moment: float) -> str:
    """The day in Vietnam (UTC+7) of a moment in seconds of Unix time."""
    return _day(int(moment + _OFFSET) // 86_400)


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()


def codes_path(struct: Struct, path: str | None) -> str | None:
    """The contract's `codes_at`, if this message has that date field; else None."""
    place = Places(struct).get(path) if path is not None else None
    scalar = None if place is None or path is None or "[]" in path else scalar_at(place, path)
    return path if scalar is not None and scalar.format in ("date", "date-time") else None


def compile_in_force(struct: Struct, tables: Mapping[str, CodeTable], codes_at: str | None) -> InForce | None:
    """A check that lists the codes of a valid message that are not in force, and those that belong to an open list by
    their form but are not in it. None for messages without such codes.
    """

    def of(scalar: Scalar) -> Visit | None:
        table = tables.get(scalar.table or "")
        rows = {row.code: row for row in table.rows if row.valid_from or row.valid_until} if table is not None else {}

        def code(value: Any, context: tuple[str, list[Ended]], before: str, template: str, index: Index) -> None:
            row = rows.get(value) if value.__class__ is str else None
            if row is not None and (instead := not_in_force(row, context[0])) is not None:
                context[1].append((before, template, index, _ENDED, instead))

        if table is None or not scalar.open_list:
            return code if rows else None
        known, heads, expected = frozenset(table.codes), table.heads, f"a code of the table {table.name}"

        def of_open_list(
            value: Any, context: tuple[str, list[Ended]], before: str, template: str, index: Index
        ) -> None:
            if value.__class__ is str and value not in known and not heads.isdisjoint(value.split(".")):
                context[1].append((before, template, index, _UNKNOWN, expected))
            else:
                code(value, context, before, template, index)

        return of_open_list

    walk, path = compile_walk(struct, of), codes_path(struct, codes_at)
    if walk is None:
        return None
    day_of = getter(tuple(path.split("."))) if path is not None else None

    def check(value: Any, received: str | None) -> list[Ended]:
        day = received
        if day_of is not None and isinstance(at := day_of(value), str):
            day = at[:10]
        if day is None:
            return []
        ended: list[Ended] = []
        walk(value, (day, ended))
        return ended

    return check


def explained(ended: list[Ended], here: Callable[[str, Any], str]) -> list[Finding]:
    """The findings for ended codes, at most MAX_FINDINGS."""
    return [
        Finding(
            here(template, index) if not before else "",
            place(before, template, index),
            got,
            "code",
            instead,
        )
        for before, template, index, got, instead in ended[:MAX_FINDINGS]
    ]

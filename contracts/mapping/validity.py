"""Code tables of the canonical schema in time: a code that is not in force on the day of a message is refused, its successor named.

The day is that of the message (`codes_at` of the contract), else that on which it was received, else none is asked for: what was taken
in once is read again later without that question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from contracts.base.errors import Finding
from contracts.canonical.findings import MAX_FINDINGS, Index
from contracts.canonical.model import CodeTable, Scalar, Struct
from contracts.canonical.places import places, scalar_at
from contracts.canonical.walk import Visit, compile_walk, place
from contracts.mapping.frames import getter
from contracts.mapping.rows.dated import not_in_force

_EPOCH: Final = date(1970, 1, 1)
_OFFSET: Final = 7 * 3600  # the day is that of Vietnam
Ended = tuple[str, str, Index, str]  # where, and what would be right
InForce = Callable[[Any, str | None], list[Ended]]


def day_at(moment: float) -> str:
    """The day of a moment, given in seconds of Unix time."""
    return _day(int(moment + _OFFSET) // 86_400)


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()


def codes_path(struct: Struct, path: str | None) -> str | None:
    """The path of the contract's `codes_at` where this message has it."""
    place = places(struct).get(path) if path is not None else None
    scalar = None if place is None or path is None or "[]" in path else scalar_at(place, path)
    return path if scalar is not None and scalar.format in ("date", "date-time") else None


def compile_in_force(struct: Struct, tables: Mapping[str, CodeTable], codes_at: str | None) -> InForce | None:
    """What is not in force in a valid message; None for a message without codes that are in force for a time only."""

    def of(scalar: Scalar) -> Visit | None:
        table = tables.get(scalar.table or "")
        rows = {row.code: row for row in table.rows if row.valid_from or row.valid_until} if table is not None else {}

        def code(value: Any, context: tuple[str, list[Ended]], before: str, template: str, index: Index) -> None:
            row = rows.get(value) if value.__class__ is str else None
            if row is not None and (instead := not_in_force(row, context[0])) is not None:
                context[1].append((before, template, index, instead))

        return code if rows else None

    look, path = compile_walk(struct, of), codes_path(struct, codes_at)
    if look is None:
        return None
    day_of = getter(tuple(path.split("."))) if path is not None else None

    def check(value: Any, received: str | None) -> list[Ended]:
        day = received
        if day_of is not None and isinstance(at := day_of(value), str):
            day = at[:10]
        if day is None:
            return []
        found: list[Ended] = []
        look(value, (day, found))
        return found

    return check


def explained(found: list[Ended], here: Callable[[str, Any], str]) -> list[Finding]:
    return [
        Finding(
            here(template, index) if not before else "",
            place(before, template, index),
            "a code that is not in force",
            "code",
            instead,
        )
        for before, template, index, instead in found[:MAX_FINDINGS]
    ]

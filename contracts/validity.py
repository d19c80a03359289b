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
from contracts.model import CodeRow, CodeTable, Many, Scalar, Struct, Type
from contracts.places import places, scalar_at
from contracts.plan import MAX_FINDINGS, Index, filled
from contracts.rows.dated import not_in_force

_EPOCH: Final = date(1970, 1, 1)
_OFFSET: Final = 7 * 3600  # the day is that of Vietnam
Ended = tuple[str, Index, str]  # canonical path, its index, what would be right
InForce = Callable[[Any, str | None], list[Ended]]
Look = Callable[[Any, str, Index, list[Ended]], None]


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
    look, path = _look(struct, "", tables), codes_path(struct, codes_at)
    if look is None:
        return None
    keys = () if path is None else tuple(path.split("."))

    def check(value: Any, received: str | None) -> list[Ended]:
        day = received
        if keys:
            at = value
            for key in keys:
                at = at.get(key) if isinstance(at, dict) else None
            day = at[:10] if isinstance(at, str) else received
        if day is None:
            return []
        found: list[Ended] = []
        look(value, day, None, found)
        return found

    return check


def explained(found: list[Ended], here: Callable[[str, Any], str]) -> list[Finding]:
    return [
        Finding(here(path, index), filled(path, index, 0), "a code that is not in force", "code", instead)
        for path, index, instead in found[:MAX_FINDINGS]
    ]


def _look(made: Type, at: str, tables: Mapping[str, CodeTable]) -> Look | None:
    if isinstance(made, Scalar):
        table = tables.get(made.table or "")
        rows: dict[str, CodeRow] = {row.code: row for row in table.rows if row.valid_from or row.valid_until} if table is not None else {}
        if not rows:
            return None

        def code(value: Any, day: str, index: Index, found: list[Ended]) -> None:
            row = rows.get(value) if value.__class__ is str else None
            if row is not None and (instead := not_in_force(row, day)) is not None:
                found.append((at, index, instead))

        return code
    if isinstance(made, Many):
        inner = _look(made.items, at + "[]", tables)
        if inner is None:
            return None

        def many(value: Any, day: str, index: Index, found: list[Ended]) -> None:
            if isinstance(value, list):
                for number, each in enumerate(value):
                    inner(each, day, (index, number), found)

        return many
    looks = [(f.name, look) for f in made.fields if (look := _look(f.type, f"{at}.{f.name}" if at else f.name, tables)) is not None]
    if not looks:
        return None

    def struct(value: Any, day: str, index: Index, found: list[Ended]) -> None:
        for name, look in looks:
            if name in value:
                look(value[name], day, index, found)

    return struct

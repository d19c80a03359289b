"""Code tables with validity dates: an ended code is refused, and its successor is named.

The day is the value at the contract's `codes_at`, else the day of receipt; without either nothing is checked.
Invariant: a code is written only if it is in force on the day of the message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, NotExpressible, Problems, filled, kind_of
from contracts.canonical.model import CodeRow, CodeTable
from contracts.mapping.frames import carried_name, getter, raw_writer, shown
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.rows.parts import plain


def not_in_force(row: CodeRow, day: str) -> str | None:
    """The expected code, in words, where `row` is not in force on `day` (ISO 8601); else None."""
    if row.valid_from and day < row.valid_from:
        return f"a code in force on {day}: this one is from {row.valid_from}"
    if row.valid_until and day > row.valid_until:
        instead = f"{row.replaced_by}, its successor" if row.replaced_by else "another code: it has no successor"
        return f"{instead}; this code ended on {row.valid_until}"
    return None


def day_of(path: str | None) -> Callable[[Any, Problems], str | None]:
    """A function that returns the day of a message, or None."""
    if path is None:
        return lambda message, problems: problems.at
    get = getter(tuple(path.split(".")))

    def day(message: Any, problems: Problems) -> str | None:
        moment = get(message)
        return moment[:10] if isinstance(moment, str) else problems.at

    return day


def dated(leaf: Leaf, table: CodeTable, codes_at: str | None, in_root: bool) -> CustomBinding:
    """Binds a code of a table with dates. `in_root`: the frame is the message itself, which holds its day."""
    rows = {row.code: row for row in table.rows if row.valid_from or row.valid_until}
    rows_of = _codes(table)
    simple, find, raw, canonical = plain(leaf), shown(leaf), raw_writer(leaf), leaf.canonical
    day_in, number = day_of(codes_at), leaf.form.raw == "number"

    def read_value(raw_value: Any, into: Any, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        simple.read(raw_value, into, index, problems, where)
        row = rows.get(str(raw_value))
        if row is None:
            return
        if codes_at is not None:
            problems.defer(lambda root: check_day(row, day_in(root, problems), index, problems, where))
        elif problems.at is not None:
            check_day(row, problems.at, index, problems, where)

    def check_day(row: CodeRow, day: str | None, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        instead = None if day is None else not_in_force(row, day)
        if instead is not None:
            problems.add(where(), filled(canonical, index, 0), "a code that is not in force", "code", instead)

    if codes_at is None or not leaf.keys:
        return CustomBinding(read_value, simple.write, (leaf,))
    get_day = getter(tuple(codes_at.split(".")) if in_root else (carried_name(codes_at),))

    def write_value(frame: Any) -> Any:
        value, day = find(frame), get_day(frame)
        if value is None or isinstance(value, dict) or not isinstance(day, str):
            return simple.write(frame)
        row = next((each for each in rows_of.get(value, ()) if not_in_force(each, day[:10]) is None), None)
        if row is None:
            raise NotExpressible(
                leaf.here, canonical, kind_of(value), "code", f"a value that {table.name} has a code for on that day"
            )
        code: Any = int(row.code) if number else row.code
        return code if raw is not None else value

    return CustomBinding(read_value, write_value, (leaf,))


def check_list(
    keys: tuple[str, ...], leaf: Leaf, table: CodeTable, codes_at: str, in_root: bool
) -> Callable[[Any], None]:
    """A check on the codes written for a list of single values; the group that holds the list knows the day."""
    rows_of, get = _codes(table), getter(keys)
    get_day = getter(tuple(codes_at.split(".")) if in_root else (carried_name(codes_at),))

    def check(frame: Any) -> None:
        items, day = get(frame), get_day(frame)
        if isinstance(items, list) and isinstance(day, str):
            for value in items:
                if value in rows_of and not_in_force(rows_of[value][0], day[:10]) is not None:
                    raise NotExpressible(
                        leaf.here,
                        leaf.canonical,
                        kind_of(value),
                        "code",
                        f"a value that {table.name} has a code for on that day",
                    )

    return check


def _codes(table: CodeTable) -> dict[str, list[CodeRow]]:
    """The rows for each canonical value, the preferred one first."""
    rows_of: dict[str, list[CodeRow]] = {}
    for row in table.by_preference:
        rows_of.setdefault(row.canonical if row.canonical is not None else row.code, []).append(row)
    return rows_of

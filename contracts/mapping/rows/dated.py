"""Code tables whose codes are in force for a time: after a merger an old code is refused, and its successor named.

The day that counts is that of the message (`codes_at` of the contract), else that on which it was received, else none is asked for.
Invariant: the code that is written for a value is in force on the day of the message, so that what is written can be read.
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
    """What would be right instead of a code that is not in force on a day; None where it is."""
    if row.valid_from and day < row.valid_from:
        return f"a code in force on {day}: this one is from {row.valid_from}"
    if row.valid_until and day > row.valid_until:
        instead = f"{row.replaced_by}, its successor" if row.replaced_by else "another code: it has no successor"
        return f"{instead}; this code ended on {row.valid_until}"
    return None


def day_of(path: str | None) -> Callable[[Any, Problems], str | None]:
    """The day that counts for a message."""
    if path is None:
        return lambda message, problems: problems.at
    get = getter(tuple(path.split(".")))

    def day(message: Any, problems: Problems) -> str | None:
        found = get(message)
        return found[:10] if isinstance(found, str) else problems.at

    return day


def dated(leaf: Leaf, table: CodeTable, codes_at: str | None, in_root: bool) -> CustomBinding:
    """A code of a table with dates in one place. `in_root`: the frame is the message itself, which knows its day."""
    rows = {row.code: row for row in table.rows if row.valid_from or row.valid_until}
    of = _codes(table)
    simple, find, raw, canonical = plain(leaf), shown(leaf), raw_writer(leaf), leaf.canonical
    day_in, number = day_of(codes_at), leaf.form.raw == "number"

    def take(found: Any, into: Any, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        simple.read(found, into, index, problems, where)
        row = rows.get(str(found))
        if row is None:
            return
        if codes_at is not None:
            problems.defer(lambda root: look(row, day_in(root, problems), index, problems, where))
        elif problems.at is not None:
            look(row, problems.at, index, problems, where)

    def look(row: CodeRow, day: str | None, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        instead = None if day is None else not_in_force(row, day)
        if instead is not None:
            problems.add(where(), filled(canonical, index, 0), "a code that is not in force", "code", instead)

    if codes_at is None or not leaf.keys:
        return CustomBinding(take, simple.write, (leaf,))
    get_day = getter(tuple(codes_at.split(".")) if in_root else (carried_name(codes_at),))

    def give(frame: Any) -> Any:
        value, day = find(frame), get_day(frame)
        if value is None or isinstance(value, dict) or not isinstance(day, str):
            return simple.write(frame)
        row = next((each for each in of.get(value, ()) if not_in_force(each, day[:10]) is None), None)
        if row is None:
            raise NotExpressible(
                leaf.here, canonical, kind_of(value), "code", f"a value that {table.name} has a code for on that day"
            )
        code: Any = int(row.code) if number else row.code
        return code if raw is not None else value

    return CustomBinding(take, give, (leaf,))


def check_list(
    keys: tuple[str, ...], leaf: Leaf, table: CodeTable, codes_at: str, in_root: bool
) -> Callable[[Any], None]:
    """A check on the codes that are written for a list of single values: they know no day, but the group that holds the list does."""
    of, get = _codes(table), getter(keys)
    get_day = getter(tuple(codes_at.split(".")) if in_root else (carried_name(codes_at),))

    def check(frame: Any) -> None:
        items, day = get(frame), get_day(frame)
        if isinstance(items, list) and isinstance(day, str):
            for value in items:
                if value in of and not_in_force(of[value][0], day[:10]) is not None:
                    raise NotExpressible(
                        leaf.here,
                        leaf.canonical,
                        kind_of(value),
                        "code",
                        f"a value that {table.name} has a code for on that day",
                    )

    return check


def _codes(table: CodeTable) -> dict[str, list[CodeRow]]:
    """The rows that mean a value, the one to write first."""
    of: dict[str, list[CodeRow]] = {}
    for row in table.by_preference:
        of.setdefault(row.canonical if row.canonical is not None else row.code, []).append(row)
    return of

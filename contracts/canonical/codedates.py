"""The dates and successors of a code table: what would make a refused code point nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from contracts.canonical.model import CodeRow


def faults(rows: Sequence[CodeRow]) -> Iterator[tuple[CodeRow, str, str]]:
    """Each fault with its row: what is there, what would be right."""
    by_code = {row.code: row for row in rows}
    for row in rows:
        for day in (row.valid_from, row.valid_until):
            if day and not _is_day(day):
                yield row, f"the day {day!r}", "a day as 2026-11-24, or nothing"
        if row.valid_from and row.valid_until and row.valid_from > row.valid_until:
            yield row, "an end before its beginning", "valid_from no later than valid_until"
        if not row.replaced_by:
            continue
        if row.replaced_by not in by_code:
            yield row, "a successor that is not in the table", "a code of this table"
        elif not row.valid_until:
            yield row, "a successor of a code without an end", "valid_until, its last day"
        elif _circle(row, by_code):
            yield row, "successors that lead back to the code", "a code that is in force at last"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _circle(row: CodeRow, by_code: dict[str, CodeRow]) -> bool:
    seen, at = {row.code}, row.replaced_by
    while at in by_code:
        if at in seen:
            return True
        seen.add(at)
        at = by_code[at].replaced_by
    return False

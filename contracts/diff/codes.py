"""Changes of the code tables: codes withdrawn or new, meanings, validity, successors.

A code that is removed, or valid for a shorter time, is breaking. A code that ends on a day and names its successor is
not: laws replace codes in this way, the refusal names the successor, and systems pinned to the older version keep their
own table.
A new canonical code is an answer that old callers do not know. A new code in a foreign system's list (a table with the
column `canonical`) is only another spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.base.words import WordsFile
from contracts.canonical.model import CodeRow, CodeTable
from contracts.diff.changes import Changes, Level, Side
from contracts.diff.schema import Direction
from contracts.diff.sides import Version

_ALWAYS: Final = "–"
_words = WordsFile(__file__)


def compare_codes(old: Version, new: Version, used: Mapping[str, set[Direction]], changes: Changes) -> None:
    """Adds the changes of tables in both versions. `used` maps tables to the directions in which their codes travel."""
    for name, table in old.compiled.tables.items():
        if name in new.compiled.tables:
            _table(table, new.compiled.tables[name], used.get(name, set()), changes)


def _table(old: CodeTable, new: CodeTable, used: set[Direction], changes: Changes) -> None:
    answered = "answer" in used
    why = _words("used.answered" if answered else "used.sent" if used else "used.foreign")
    before, after = ({row.code: row for row in table.rows} for table in (old, new))
    for code, row in before.items():
        if code not in after:
            changes.add(
                "code.withdrawn", Level.MAJOR, f"{old.name}: {code}", _at(old, row, "old"), table=old.name, what=code
            )
        else:
            _row(new, row, after[code], answered, changes)
    for code, row in after.items():
        if code not in before:
            level = Level.MAJOR if answered else Level.MINOR
            changes.add(
                "code.added",
                level,
                f"{new.name}: {code}",
                _at(new, row, "new"),
                table=new.name,
                what=code,
                used_vi=why.vi,
                used_en=why.en,
            )


def _row(table: CodeTable, old: CodeRow, new: CodeRow, answered: bool, changes: Changes) -> None:
    def say(change: str, level: Level, before: str | None, after: str | None, **more: str) -> None:
        facts = {"table": table.name, "what": new.code, "before": before or _ALWAYS, "after": after or _ALWAYS, **more}
        changes.add(change, level, f"{table.name}: {new.code}", _at(table, new, "new"), **facts)

    if old.canonical != new.canonical:
        say("code.meaning-changed", Level.MAJOR, old.canonical, new.canonical)
    spans = f"{old.valid_from}…{old.valid_until}", f"{new.valid_from}…{new.valid_until}"
    replaced = not old.valid_until and new.replaced_by and new.valid_from == old.valid_from
    if replaced:
        say("code.replaced", Level.MINOR, old.valid_until, new.valid_until, successor=new.replaced_by)
    elif new.valid_from > old.valid_from or _until(new) < _until(old):
        say("code.validity-shortened", Level.MAJOR, *spans)
    elif spans[0] != spans[1]:
        say("code.validity-extended", Level.MAJOR if answered else Level.MINOR, *spans)
    if old.replaced_by != new.replaced_by and not replaced:
        say("code.successor-changed", Level.PATCH, old.replaced_by, new.replaced_by)
    if (old.vi, old.en) != (new.vi, new.en):
        say("code.words-changed", Level.PATCH, "", "")


def _until(row: CodeRow) -> str:
    return row.valid_until or "~"  # sorts after every date


def _at(table: CodeTable, row: CodeRow, side: Side) -> tuple[str, int, Side]:
    return f"codes/{table.name.partition('.')[0]}.csv", row.line, side

"""Reads code tables `codes/*.csv` with their days of validity and successors.

Invariant: reading never raises; faults become findings, and the reader gets None. Each chain of successors ends in a
code that is in force.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from contracts.canonical.model import CodeRow, CodeTable
from contracts.folder.source_locations import Findings

_COLUMNS: Final = {"code", "vi", "en", "valid_from", "valid_until", "replaced_by"}
WITHIN: Final = "within"  # the column of the code that contains this one
_ORDER: Final = re.compile(r"[a-z][a-z0-9-]*")


def read_codes(file: str, raw: bytes, findings: Findings) -> CodeTable | None:
    """The table of one file, named like it; None with findings if it is invalid."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        findings.add(file, 0, "", "bytes that are not UTF-8", "csv", "UTF-8")
        return None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = set(reader.fieldnames or ())
    others = columns - _COLUMNS - {"canonical", WITHIN}
    if (
        not columns >= _COLUMNS
        or not all(_ORDER.fullmatch(each) for each in others)
        or others
        and "canonical" in columns
    ):
        findings.add(
            file,
            1,
            "",
            ", ".join(sorted(columns)) or "nothing",
            "csv",
            "the columns "
            + ", ".join(sorted(_COLUMNS))
            + " and perhaps within, and canonical, or the same codes in other orders",
        )
        return None
    rows: list[CodeRow] = []
    seen: set[str] = set()
    taken: dict[str, set[str]] = {}
    try:
        for cells in reader:
            line = reader.line_num
            if None in cells or None in cells.values():
                findings.add(file, line, "", "a row of another width", "csv", f"{len(columns)} cells")
                continue
            row = CodeRow(
                **{column: cells[column] for column in _COLUMNS},
                canonical=cells.get("canonical"),
                line=line,
                also={name: cells[name] for name in sorted(others)},
                within=cells.get(WITHIN) or "",
            )
            if not row.code or row.code in seen:
                findings.add(file, line, row.code, "a code twice" if row.code else "no code", "csv", "each code once")
            if row.canonical == "":
                findings.add(file, line, row.code, "no canonical value", "csv", "the canonical value of the code")
            if not row.vi or not row.en:
                findings.add(file, line, row.code, "a code without words", "csv", "words in both languages")
            for name, code in row.also.items():
                if code and code in taken.setdefault(name, set()):
                    findings.add(file, line, code, f"a code twice in the column {name}", "csv", "each code once")
                taken.setdefault(name, set()).add(code)
            seen.add(row.code)
            rows.append(row)
    except csv.Error as error:
        findings.add(file, reader.line_num, "", str(error), "csv", "RFC 4180")
        return None
    for row, got, expected in faults(rows):
        findings.add(file, row.line, row.code, got, "csv", expected)
    if not rows:
        findings.add(file, 1, "", "no codes", "csv", "at least one code")
        return None
    return CodeTable(file.rsplit("/", 1)[-1].removesuffix(".csv"), tuple(rows))


def other_orders(table: CodeTable) -> list[CodeTable]:
    """The tables of other code systems: column `qcvn102` of `agency` is also the table `agency.qcvn102`.

    It maps that system's codes to ours, with the same validity and successors.
    """
    names = dict.fromkeys(name for row in table.rows for name in row.also)
    by_code = {row.code: row for row in table.rows}
    return [
        CodeTable(
            f"{table.name}.{name}",
            tuple(
                replace(
                    row,
                    code=row.also[name],
                    canonical=row.code,
                    replaced_by=by_code[row.replaced_by].also[name] if row.replaced_by in by_code else "",
                    also={},
                    within="",
                )
                for row in table.rows
                if row.also[name]
            ),
        )
        for name in names
    ]


def faults(rows: Sequence[CodeRow]) -> Iterator[tuple[CodeRow, str, str]]:
    """Each fault: its row, what is there, what would be valid."""
    by_code = {row.code: row for row in rows}
    for row in rows:
        for day in (row.valid_from, row.valid_until):
            if day and not is_day(day):
                yield row, f"the day {day!r}", "a day as 2026-11-24, or nothing"
        if row.valid_from and row.valid_until and row.valid_from > row.valid_until:
            yield row, "an end before its beginning", "valid_from no later than valid_until"
        if row.within and (row.within == row.code or row.within not in by_code):
            yield row, "a container that is not in the table", "another code of this table"
        if not row.replaced_by:
            continue
        if row.replaced_by not in by_code:
            yield row, "a successor that is not in the table", "a code of this table"
        elif not row.valid_until:
            yield row, "a successor of a code without an end", "valid_until, its last day"
        elif _circle(row, by_code):
            yield row, "successors that lead back to the code", "a code that is in force at last"


def is_day(text: str) -> bool:
    """Whether it is a day as `2026-11-24` (ISO 8601)."""
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

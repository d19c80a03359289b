"""Entries as a table for spreadsheets (CSV, XLSX), and the note that it was made.

Invariant: no spreadsheet runs a cell as a formula (CWE-1236).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from contracts.base.times import rfc3339
from gateway.audit.search.facts import Logged
from gateway.audit.search.fields import FIELDS
from gateway.audit.search.search import Query
from gateway.journal.write import LogRow
from gateway.transfer import entries
from security.grants.windows import VIETNAM

NOTE: Final = "export"
_FIRST: Final = ("index", "at", "kind", "outcome", "failure", "status")
_LAST: Final = ("transfer", "about", "actor", "source", "door", "times", "detail", "parties")
COLUMNS: Final = (*_FIRST, *(name for name in FIELDS if name not in (*_FIRST, *_LAST)), *_LAST)
Row = Sequence[Any]


def row(hit: Logged) -> Row:
    """The cells of an entry; a time is that of Vietnam, as a spreadsheet reads it."""
    cells = hit.facts.named() | {"index": hit.idx, "at": _local(hit.facts.at)}
    cells["parties"] = "; ".join(f"{party.role} {party.agency}" for party in hit.facts.parties)
    return [cells[name] for name in COLUMNS]


def as_csv(rows: Iterable[Row], header: Sequence[str] = COLUMNS) -> str:
    """`header` names the columns; by default by their codes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell(value) for value in each] for each in rows)
    return out.getvalue()


def as_xlsx(rows: Iterable[Row], header: Sequence[str] = COLUMNS) -> bytes:
    """Rows go to a file as they come; texts are texts, whatever they begin with."""
    import xlsxwriter

    out = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        sheet, bold = book.add_worksheet("log"), book.add_format({"bold": True})
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(header):
            sheet.write_string(0, column, name, bold)
        for number, each in enumerate(rows, 1):
            for column, value in enumerate(each):
                if isinstance(value, int):
                    sheet.write_number(number, column, value)
                elif value is not None:
                    sheet.write_string(number, column, str(value))
    return out.getvalue()


def note(query: Query, count: int, now: float, actor: str, more: Mapping[str, Any] | None = None) -> LogRow:
    """To be committed before the table leaves."""
    asked = {name: value for name, value in _asked(query).items() if value is not None}
    facts: dict[str, Any] = {"search": asked, "entries": count, **(more or {})}
    return entries.note(NOTE, facts, now, actor=actor)


def _asked(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in FIELDS} | {
        "role": query.role,
        "from": None if query.since is None else rfc3339(query.since),
        "to": None if query.until is None else rfc3339(query.until),
    }


def _local(at: str) -> str:
    try:
        return datetime.fromisoformat(at).astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return at


def cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value

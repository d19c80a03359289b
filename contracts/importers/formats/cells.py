"""Reads a CSV or XLSX file, a title line and some rows, as an interface: each line is handed in as a message.

Invariant: what follows from the look of the cells (kinds, what is required) is a guess of the draft only, and a note
says so. A column of which the rows do not agree is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Final

from contracts.base.errors import Theirs
from contracts.codecs.cells import csvtext, xlsxread
from contracts.codecs.cells.hidden import Hidden
from contracts.importers.errors import IMPORT_NOTHING, IMPORT_UNREADABLE
from contracts.importers.shape import Call, Group, Interface, Message, Note, Part, Value
from contracts.importers.source import Files
from contracts.mapping.cells import normal_title
from contracts.mapping.grid import Cell, CellMedia, Layout, Row, Typed, Unreadable

ROWS: Final = 1_000  # rows that are looked at
_TITLE_ROWS: Final = 30  # rows among which the titles are looked for
_TEXT: Final = Value({"type": "string", "minLength": 1, "maxLength": 2_000})
_DAY: Final = Value({"type": "string", "format": "date"})
_PERCENT: Final = Value({"type": "number"}, {"as": "percent"})
_PERCENT_COMMA: Final = Value({"type": "number"}, {"as": "percent-comma"})
_Guess = tuple[Callable[[str], object], Value]
_GUESSES: Final[tuple[_Guess, ...]] = (
    (re.compile(r"true|false").fullmatch, Value({"type": "boolean"})),
    (re.compile(r"-?(0|[1-9][0-9]{0,14})").fullmatch, Value({"type": "integer"})),
    (re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?").fullmatch, Value({"type": "number"})),
    (re.compile(r"-?(0|[1-9][0-9]{0,14})(,[0-9]+)?").fullmatch, Value({"type": "number"}, {"as": "decimal-comma"})),
    (re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?[ \u00a0\u202f]?%").fullmatch, _PERCENT),
    (re.compile(r"-?(0|[1-9][0-9]{0,14})(,[0-9]+)?[ \u00a0\u202f]?%").fullmatch, _PERCENT_COMMA),
    (lambda text: _fits(text, "%Y-%m-%d", 10), _DAY),
    (lambda text: _fits(text, "%d/%m/%Y", 10), Value({"type": "string", "format": "date"}, {"as": "dd/MM/yyyy"})),
    *(
        (
            lambda text, layout=layout, shape=shape: _fits(text, layout, len(shape)),
            Value({"type": "string", "format": "date-time"}, {"as": shape, "zone": "+07:00"}, "zone"),
        )
        for layout, shape in (
            ("%d/%m/%Y %H:%M", "dd/MM/yyyy HH:mm"),
            ("%d/%m/%Y %H:%M:%S", "dd/MM/yyyy HH:mm:ss"),
            ("%Y-%m-%d %H:%M:%S", "yyyy-MM-dd HH:mm:ss"),
        )
    ),
)


def import_csv(files: Files, operations: Sequence[str] = ()) -> Interface:
    """Raises IMPORT_NOTHING, IMPORT_TOO_LARGE or IMPORT_UNREADABLE. The delimiter is that of a line `sep=;`, else that
    which gives the most columns.
    """
    raw = files.first()
    fault = None
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "windows-1258"):
        read: list[Interface] = []
        fault = None
        try:
            for delimiter in csvtext.stated_delimiter(csvtext.decode(raw, encoding)) or ",;\t|":
                try:  # with another delimiter than its own, a file may be no CSV
                    read.append(_interface(files, "csv", raw, Layout("csv", 1, delimiter, encoding), operations))
                except Unreadable as error:
                    fault = fault or error
        except Unreadable as error:
            fault = error
        best = max(read, key=_width, default=None)
        if best is not None and (fault is None or _width(best) > 1):
            return best
    raise _unreadable(files, fault)


def _width(interface: Interface) -> int:
    return len(interface.calls[0].request.body.parts)


def import_xlsx(files: Files, operations: Sequence[str] = ()) -> Interface:
    """The first sheet that is not hidden. Raises IMPORT_NOTHING, IMPORT_TOO_LARGE or IMPORT_UNREADABLE."""
    try:
        return _interface(files, "xlsx", files.first(), Layout("xlsx"), operations)
    except Unreadable as error:
        raise _unreadable(files, error) from None


def _unreadable(files: Files, error: Unreadable | None) -> Theirs:
    return IMPORT_UNREADABLE(file=files.main, why="" if error is None else f"{error.got}; {error.expected}")


def _interface(files: Files, media: CellMedia, raw: bytes, layout: Layout, operations: Sequence[str]) -> Interface:
    """Raises Unreadable as well."""
    stem = PurePosixPath(files.main).stem
    name = f"nop {stem}"
    if unknown := [each for each in operations if each != name]:
        raise IMPORT_NOTHING(file=files.main, why=f"{', '.join(unknown)} ∉ {name}"[:400])
    rows: list[Row] = []
    hidden = Hidden()
    for row in csvtext.read(raw, layout) if media == "csv" else xlsxread.read(raw, layout, hidden):
        files.visit(1 + len(row.cells))
        rows.append(row)
        if len(rows) > ROWS:
            break
    width = max((_filled(row) for row in rows[:_TITLE_ROWS]), default=0)
    at = next((number for number, row in enumerate(rows) if _filled(row) == width), 0)
    if not width:
        raise IMPORT_NOTHING(file=files.main, why="no-titles", findings=[])
    notes = [Note("guessed", f"{files.main}:{rows[at].number}", str(len(rows) - at - 1))]
    notes += _hidden(files.main, hidden, rows[at:])
    group = Group(stem, _columns(files.main, rows[at], rows[at + 1 :], notes))
    if not group.parts:
        raise IMPORT_NOTHING(file=files.main, why=", ".join(dict.fromkeys(each.code for each in notes)))
    line = at + 1 if media == "csv" else rows[at].number  # a line sep= is not counted, and a cell may have line breaks
    head = {"header_row": str(line)} if line > 1 else {}
    if media == "csv":
        head |= {"delimiter": layout.delimiter, "encoding": layout.encoding}
    return Interface(
        name=stem,
        media=media,
        head=head,
        calls=[Call(name, Message(stem, None, group), None)],
        notes=notes,
        documents=[files.main],
    )


def _hidden(file: str, hidden: Hidden, rows: Sequence[Row]) -> list[Note]:
    """What the workbook hides: a note for each kind of place."""
    hidden.begin(rows[0])
    numbers = [*hidden.rows, *(row.number for row in rows[1:] if row.hidden and _filled(row))]
    listed = {
        "sheet": [hidden.sheet] if hidden.sheet else [],
        "sheets": hidden.sheets,
        "rows": [str(each) for each in numbers],
        "columns": hidden.columns,
    }
    return [Note(f"hidden-{kind}", file, ", ".join(each[:20])) for kind, each in listed.items() if each]


def _columns(file: str, titles: Row, rows: Sequence[Row], notes: list[Note]) -> list[Part]:
    parts: list[Part] = []
    seen: set[str] = set()
    for number, cell in enumerate(titles.cells):
        title = normal_title(cell) if isinstance(cell, str) else ""
        if not title:
            continue
        if title in seen:
            raise IMPORT_UNREADABLE(file=file, why=f"line {titles.number}: the title {title} stands twice")
        seen.add(title)
        if title[0] in "=+-@" or "[]" in title or not title.isprintable():
            notes.append(Note("name", f"{file}:{titles.number}", title[:80]))
            continue
        cells = [row.cells[number] if number < len(row.cells) else "" for row in rows if _filled(row)]
        full = bool(cells) and all(each != "" for each in cells)
        part = Part(title, title, _kind([each for each in cells if each != ""]), least=int(full))
        parts.append(part)
    if parts and not any(each.least for each in parts):
        parts[0].least = 1  # a line without any value is no line
        notes.append(Note("first-column", f"{file}:{titles.number}", parts[0].name))
    return parts


def _filled(row: Row) -> int:
    return sum(each != "" for each in row.cells)


def _kind(cells: Sequence[Cell]) -> Value:
    """The kind that all cells of a column have; text where they have none in common."""
    if not cells:
        return _TEXT
    if all(isinstance(each, str) for each in cells):
        texts = [each for each in cells if isinstance(each, str)]
        return next((value for fits, value in _GUESSES if all(map(fits, texts))), _TEXT)
    typed: list[Any] = [each.value for each in cells if isinstance(each, Typed) and each.kind != "refused"]
    shown = sum(isinstance(each, Typed) and each.kind == "percent" for each in cells)
    if shown:
        return _PERCENT if shown == len(cells) else _TEXT
    if len(typed) == len(cells):
        if all(isinstance(each, bool) for each in typed):
            return Value({"type": "boolean"})
        if all(isinstance(each, datetime) for each in typed):
            return _GUESSES[-1][1] if any(each.hour or each.minute or each.second for each in typed) else _DAY
        if all(isinstance(each, Decimal) for each in typed):
            return Value({"type": "integer" if all(each == int(each) for each in typed) else "number"})
    return _TEXT


def _fits(text: str, layout: str, length: int) -> bool:
    try:
        return len(text) == length and bool(datetime.strptime(text, layout))
    except ValueError:
        return False

"""Layout, columns and cell values that CSV and XLSX share.

A text cell is its text. XLSX cells may also hold a number, a boolean or a date, each allowed only in a column of that
kind. So a code typed as a number is refused, and no leading zeros are lost.
Invariant: no meaning is inferred from the look of a cell; a cell that cannot be taken raises `Bad`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from contracts.mapping.times import shower
from contracts.mapping.value_formats import Bad, plain
from contracts.wire.xmltext import ILLEGAL

ENCODINGS: Final = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1258")
DELIMITERS: Final = (",", ";", "\t", "|")
MAX_BYTES: Final = 50_000_000
MAX_LINES: Final = 100_000
MAX_ROWS: Final = 200_000  # with empty ones
MAX_COLUMNS: Final = 500
MAX_CELL: Final = 32_767  # characters: the limit of XLSX, used for CSV too

CellMedia = Literal["csv", "xlsx"]
MEDIA_TYPES: Final = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The head of a table: where its lines stand in the file. `header_row` counts from 1."""

    media: CellMedia
    header_row: int = 1
    delimiter: str = ","
    encoding: str = "utf-8"
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class Typed:
    """An XLSX cell that is not text. A "percent" is a number that is shown with a percent sign: `value` is the number
    shown. For "refused", `value` is the reason.
    """

    kind: Literal["number", "percent", "boolean", "date", "refused"]
    value: Decimal | bool | datetime | str


Cell: TypeAlias = str | Typed


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file. `number` counts from 1 as spreadsheets do; "" is an empty cell. `hidden`: in XLSX."""

    number: int
    cells: Sequence[Cell]
    hidden: bool = False


Rows: TypeAlias = Iterator[Row]


class Unreadable(Exception):
    """The file as a whole cannot be read; `line` is 0 where no line can be named."""

    def __init__(self, got: str, expected: str, line: int = 0) -> None:
        super().__init__(got)
        self.got, self.expected, self.line = got, expected, line


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `name` replaces its title inside the plan; `shape` is set for dates and times."""

    title: str
    name: str
    kind: Literal["text", "number", "percent", "boolean", "date"] = "text"
    comma: bool = False
    digits: bool = False
    shape: str | None = None
    required: bool = False


_WRONG_KIND: Final = {
    "text": "a text cell (format the column as text, then type it again)",
    "number": "a number",
    "percent": "a cell shown in percent, or text such as 12.5%",
    "boolean": "true or false",
    "date": "a date, or text in the declared shape",
}


def text_of(cell: Cell, column: Column) -> str:
    """The text that the column's form reads. Raises Bad."""
    if isinstance(cell, str):
        if len(cell) > MAX_CELL:
            raise Bad("length", f"at most {MAX_CELL} characters in a cell")
        if ILLEGAL.search(cell) is not None:
            raise Bad("type", "characters that XML 1.0 can carry")
        return cell
    if cell.kind == "refused":
        raise Bad("type", str(cell.value))
    if column.kind == "number" and cell.kind == "number" and isinstance(cell.value, Decimal):
        digits = plain(cell.value)
        return digits.replace(".", ",") if column.comma else digits
    if cell.kind == "percent" and isinstance(cell.value, Decimal):
        if column.kind == "percent":
            digits = plain(cell.value) + "%"
            return digits.replace(".", ",") if column.comma else digits
        if column.kind == "number":  # its stored value is a hundredth of what is shown
            raise Bad("type", "a number that is not shown in percent (or `as: percent` in the table)")
    if column.kind == "boolean":
        if cell.kind == "boolean":
            return ("1" if cell.value else "0") if column.digits else ("true" if cell.value else "false")
        if column.digits and cell.kind == "number" and cell.value in (0, 1):
            return str(cell.value)
    if column.shape is not None and cell.kind == "date" and isinstance(cell.value, datetime):
        try:
            return shower(column.shape)(cell.value)
        except ValueError:
            raise Bad("range", f"a date that {column.shape} can show") from None
    raise Bad("type", _WRONG_KIND[column.kind])


def kind_in_words(cell: Cell) -> str:
    """The kind of a cell, for findings. Never its value, which may be personal data."""
    if isinstance(cell, str):
        return f"text of {len(cell)} characters" if cell else "an empty cell"
    return {
        "number": "a number cell",
        "percent": "a percent cell",
        "boolean": "a boolean cell",
        "date": "a date cell",
        "refused": "a cell that cannot be taken",
    }[cell.kind]

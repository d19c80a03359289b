"""What a workbook hides from the person who looks at it: rows, columns and sheets (ECMA-376 part 1, 18.3.1, 18.2.19).

Hidden rows and columns are read like all others, so the report of a file names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.mapping.cells import normal_title
from contracts.mapping.grid import MAX_COLUMNS, Row

MOST_SHEETS: Final = 20  # names that are kept
_LONGEST: Final = 60  # characters of a name or title that are shown


@dataclass(slots=True)
class Hidden:
    """Filled while a workbook is read. `sheet`: the sheet that is read, if it is hidden; `sheets`: others, not read.

    `rows` are the numbers of rows with content; `columns` are titles.
    """

    sheet: str = ""
    sheets: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    _places: bytearray = field(default_factory=lambda: bytearray(MAX_COLUMNS))

    def __bool__(self) -> bool:
        return bool(self.sheet or self.sheets or self.rows or self.columns)

    def name_sheets(self, hidden: Sequence[str], read: str) -> None:
        self.sheet = read[:_LONGEST] if read in hidden else ""
        self.sheets = [name[:_LONGEST] for name in hidden if name != read][:MOST_SHEETS]

    def hide(self, first: int, last: int) -> None:
        """The columns from `first` to `last`, counted from 1."""
        last = min(last, MAX_COLUMNS)
        if 1 <= first <= last:
            self._places[first - 1 : last] = b"\x01" * (last - first + 1)

    def begin(self, header: Row) -> None:
        """Names the hidden columns by the row of the titles. A column without a title has no content."""
        self.rows = [header.number] if header.hidden else []
        titles = [normal_title(each)[:_LONGEST] if isinstance(each, str) else "" for each in header.cells]
        self.columns = [title for title, hidden in zip(titles, self._places, strict=False) if hidden and title]

"""Calendar months in Vietnam, by which reports are counted."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.console.errors import CONSOLE_FORM
from gateway.journal.schema import tables
from security.grants.windows import VIETNAM, first_day

MOST: Final = 24  # months that a page offers
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Span(NamedTuple):
    """`ends` is None for a span that goes on. Seconds since 1970."""

    begins: float
    ends: float | None = None

    @property
    def first(self) -> str:
        """Its first day, for a search of the same."""
        return first_day(self.begins)

    @property
    def last(self) -> str:
        """Its last day; "" if it goes on."""
        return "" if self.ends is None else datetime.fromtimestamp(self.ends - 1, VIETNAM).date().isoformat()


def span_of(month: str) -> Span:
    """Of `2026-11`. Raises `console.form`."""
    found = _MONTH.fullmatch(month)
    if found is None or found[1] == "0000" or found[1] == "9999":
        raise CONSOLE_FORM(field="month", why="2026-11")
    year, number = int(found[1]), int(found[2])
    return Span(_midnight(year, number), _midnight(year + number // 12, number % 12 + 1))


def known(connection: Connection, now: float) -> list[str]:
    """The months that the log in use has, newest first."""
    oldest = connection.scalar(select(tables.log_entry.c.sequenced).where(tables.log_entry.c.idx == 0))
    last = datetime.fromtimestamp(now, VIETNAM)
    first = datetime.fromtimestamp(min(oldest if oldest is not None else now, now), VIETNAM)
    number = min(MOST, (last.year - first.year) * 12 + last.month - first.month + 1)
    months = (last.year * 12 + last.month - 1 - back for back in range(number))
    return [f"{each // 12:04}-{each % 12 + 1:02}" for each in months]


def _midnight(year: int, month: int) -> float:
    return datetime(year, month, 1, tzinfo=VIETNAM).timestamp()

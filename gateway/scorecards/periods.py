"""Calendar periods of a declared frequency, and the time of the data in a message, as its business key says it.

A contract declares its frequency by a code of the EU's table "frequency" (`catalogue.frequency`). A periodic one
expects data of each period. They are due when the following period ends: by then a data set of that frequency has its
next data. Codes such as UPDATE_CONT and IRREG expect nothing.

Periods are those of Vietnam's calendar, numbered: the period `n + 1` begins where `n` ends. Weeks begin on Monday.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import unquote

from contracts.canonical.model import Identity, Scalar, Struct
from contracts.canonical.places import Places, scalar_at
from gateway.feeds.places import moment
from security.grants.windows import VIETNAM

_ZONE: Final = 7 * 3600.0
_DAY: Final = 86_400.0
_MONDAY: Final = 4 * _DAY  # 1970-01-05
_SECONDS: Final = {"HOURLY": (3600.0, 0.0), "DAILY": (_DAY, 0.0), "WEEKLY": (7 * _DAY, _MONDAY)}
_MONTHS: Final = {"MONTHLY": 1, "QUARTERLY": 3, "ANNUAL_2": 6, "ANNUAL": 12, "BIENNIAL": 24}
PERIODIC: Final = frozenset({*_SECONDS, *_MONTHS})
_LAST: Final = datetime(9999, 1, 1, tzinfo=VIETNAM).timestamp()
_SDMX: Final = re.compile(r"(\d{4})(?:-Q([1-4])|-(0[1-9]|1[0-2]))?")
_PERIOD: Final = "period"  # the field of a business key that is a period of SDMX: 2026, 2026-Q3, 2026-09


def number_of(frequency: str, at: float) -> int:
    """The number of the period that a moment lies in."""
    if frequency in _SECONDS:
        length, start = _SECONDS[frequency]
        return int((at + _ZONE - start) // length)
    day = datetime.fromtimestamp(at, VIETNAM)
    return (day.year * 12 + day.month - 1) // _MONTHS[frequency]


def begin_of(frequency: str, number: int) -> float:
    if frequency in _SECONDS:
        length, start = _SECONDS[frequency]
        return number * length + start - _ZONE
    months = number * _MONTHS[frequency]
    return _month(months // 12, months % 12 + 1)


def due_of(frequency: str, number: int) -> float:
    """When data of a period are due: at the end of the following one."""
    return begin_of(frequency, number + 2)


def due_within(frequency: str, since: float, until: float) -> range:
    """The periods that fall due after `since`, up to `until`."""
    return range(number_of(frequency, since) - 1, number_of(frequency, until) - 1)


def name_of(frequency: str, number: int) -> str:
    """2026-11-27T09:00 (hour), 2026-11-27 (day, or a week's first), 2026-09, 2026-Q3, 2026-H1, 2026."""
    at = datetime.fromtimestamp(begin_of(frequency, number), VIETNAM)
    if frequency == "HOURLY":
        return f"{at:%Y-%m-%dT%H}:00"
    if frequency in _SECONDS:
        return at.date().isoformat()
    if frequency == "MONTHLY":
        return f"{at:%Y-%m}"
    if frequency in ("QUARTERLY", "ANNUAL_2"):
        return f"{at.year:04}-" + (f"Q{(at.month + 2) // 3}" if frequency == "QUARTERLY" else f"H{(at.month + 5) // 6}")
    return f"{at.year:04}"


# --- the time of data -------------------------------------------------------------------------------------------------
def time_part(identity: Identity | None, message: Struct) -> int | None:
    """Which part of a business key is the time of the data: a date, a date-time, or a `period`. None: no part is."""
    if identity is None:
        return None
    known = Places(message)
    for number, path in enumerate(identity.subject):
        place = known.get(path)
        scalar: Scalar | None = None if place is None else scalar_at(place, path)
        if scalar is not None and (scalar.format is not None or path.rpartition(".")[2] == _PERIOD):
            return number
    return None


def data_times(subject: str, part: int) -> Iterator[float]:
    """The times of the data in a message, by the `subject` of its event. A day or a period counts from its end.

    A long message lists its first keys only (`contracts.compiled.identity.subject_of`).
    """
    for key in subject.split(" "):
        parts = key.split(",")
        at = _moment(unquote(parts[part])) if part < len(parts) else None
        if at is not None and 0 <= at < _LAST:
            yield at


def _moment(text: str) -> float | None:
    """Of a period or day the last microsecond, so that it lies within it."""
    found = _SDMX.fullmatch(text)
    try:
        if found is not None:
            year, quarter, month = int(found[1]), found[2], found[3]
            last = int(quarter) * 3 if quarter else int(month) if month else 12
            return _month(year + last // 12, last % 12 + 1) - 1e-6
        if len(text) == len("2026-11-27"):
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), VIETNAM)
            return (day + timedelta(days=1)).timestamp() - 1e-6
    except (ValueError, OverflowError):
        return None
    return moment(text)


def _month(year: int, month: int) -> float:
    return datetime(year, month, 1, tzinfo=VIETNAM).timestamp()

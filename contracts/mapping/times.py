"""Dates and times in foreign shapes such as `yyyyMMddHHmmss`, `d/M/yyyy` and `HH:mm dd/MM/yy`, with a default zone.

Invariant: a value read is a day of the calendar in canonical form; what a shape cannot show is refused or a listed
loss.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

from contracts.canonical.patterns import DATE_PATTERN, DATE_TIME_PATTERN, ZONE_PATTERN
from contracts.mapping.value_formats import Bad, Form

# part of a shape -> the number that it is, its digits as a pattern, and how it is written
_PARTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "yyyy": ("year", "[1-9][0-9]{3}", "{0.year:04d}"),
    "yy": ("year", "[0-9]{2}", "{0:%y}"),  # of this century
    "MM": ("month", "[0-9]{2}", "{0.month:02d}"),
    "M": ("month", "[0-9]{1,2}", "{0.month}"),
    "dd": ("day", "[0-9]{2}", "{0.day:02d}"),
    "d": ("day", "[0-9]{1,2}", "{0.day}"),
    "HH": ("hour", "[0-9]{2}", "{0.hour:02d}"),
    "H": ("hour", "[0-9]{1,2}", "{0.hour}"),
    "mm": ("minute", "[0-9]{2}", "{0.minute:02d}"),
    "ss": ("second", "[0-9]{2}", "{0.second:02d}"),
}
_DAY: Final = {"year", "month", "day"}
# A single letter is a part only where no letter stands beside it.
_TOKENS: Final = re.compile("(yyyy|yy|MM|dd|HH|mm|ss|(?<![A-Za-z])[dMH](?![A-Za-z]))")
_ZONE: Final = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])")


def is_time_pattern(text: str) -> bool:
    """Whether it is a shape: year, month and day, each part once, and no digits beside them."""
    parts = _numbers(text)
    beside = "".join(_TOKENS.split(text)[::2])
    whole = _DAY <= set(parts) and len(set(parts)) == len(parts)
    return whole and _TOKENS.match(text) is not None and not any(each.isdigit() for each in beside)


def has_clock(text: str) -> bool:
    return {"hour", "minute"} <= set(_numbers(text))


def _numbers(shape: str) -> list[str]:
    return [_PARTS[token][0] for token in _TOKENS.findall(shape)]


def zone_offset(text: str) -> timedelta | None:
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return None if offset > timedelta(hours=14) else offset if match[1] == "+" else -offset


def pattern_of(shape: str, between: Callable[[str], str]) -> str:
    """The shape as a pattern without groups and anchors. `between` makes that of a text between its parts."""
    return "".join(_PARTS[each][1] if each in _PARTS else between(each) for each in _TOKENS.split(shape))


@lru_cache(maxsize=1_000)
def shower(shape: str) -> Callable[[date], str]:
    """A function that shows a day, or a time, in the shape. ValueError for a year that a two-digit one cannot show."""
    layout = "".join(
        _PARTS[each][2] if each in _PARTS else each.replace("{", "{{").replace("}", "}}")
        for each in _TOKENS.split(shape)
    )
    if "yy" not in _TOKENS.findall(shape):
        return layout.format

    def show(when: date) -> str:
        if not 2000 <= when.year < 2100:
            raise ValueError("a year of another century")
        return layout.format(when)

    return show


def _expression(shape: str) -> re.Pattern[str]:
    """Matches a whole text; its groups are the numbers by name."""
    parts = (
        f"(?P<{_PARTS[each][0]}>{_PARTS[each][1]})" if each in _PARTS else re.escape(each)
        for each in _TOKENS.split(shape)
    )
    return re.compile("".join(parts))


def _reader(shape: str) -> Callable[[Any, str], dict[str, str]]:
    """Reads a text into its numbers by name, each with two digits and the year with four. Raises Bad."""
    match = _expression(shape).fullmatch
    century = "20" if "yy" in _TOKENS.findall(shape) else ""
    loose = any(len(each) == 1 for each in _TOKENS.findall(shape))

    def read(raw: Any, expected: str) -> dict[str, str]:
        parts = match(raw) if isinstance(raw, str) else None
        if parts is None:
            raise Bad("format", expected)
        numbers = parts.groupdict()
        if loose:
            numbers = {name: digits.zfill(2) for name, digits in numbers.items()}
        numbers["year"] = century + numbers["year"]
        return numbers

    return read


def time_form(shape: str, zone: str) -> Form:
    """A time without a zone, which means `zone`. Loses the original zone and fractions of a second."""
    offset = zone_offset(zone)
    assert offset is not None
    tz = timezone(offset)
    numbers, show = _reader(shape), shower(shape)
    has_seconds = "ss" in _TOKENS.findall(shape)
    expected, range_expected = f"a time as {shape}", f"a time that {shape} can show in the zone {zone}"

    def read(raw: Any) -> str:
        parts = numbers(raw, expected)
        y, mo, d, h, mi = parts["year"], parts["month"], parts["day"], parts["hour"], parts["minute"]
        s = parts["second"] if has_seconds else "00"
        try:
            datetime(int(y), int(mo), int(d), int(h), int(mi), int(s))
        except ValueError:
            raise Bad("format", f"{expected} that is in the calendar") from None
        return f"{y}-{mo}-{d}T{h}:{mi}:{s}{zone}"

    def at(value: str) -> datetime:
        try:
            local = datetime.fromisoformat(_micro(value)).astimezone(tz)
        except (ValueError, OverflowError):
            raise Bad("range", range_expected) from None
        if local.year < 1000:
            raise Bad("range", range_expected)
        return local

    def write(value: str) -> str:
        try:
            return show(at(value))
        except ValueError:
            raise Bad("range", range_expected) from None

    def normal(value: str) -> str:
        return at(value).strftime(f"%Y-%m-%dT%H:%M:{'%S' if has_seconds else '00'}") + zone

    loss = f"the zone becomes {zone}; " + ("fractions of a second are cut" if has_seconds else "seconds are cut")
    return Form("text", read, write, normal=normal, loss=loss, expected=expected)


_FRACTION: Final = re.compile(r"\.([0-9]{1,6})[0-9]*")


def _micro(value: str) -> str:
    """Cuts fractions to the six digits that Python reads; no shape shows more."""
    return _FRACTION.sub(lambda m: "." + m[1].ljust(6, "0"), value)


def date_form(shape: str) -> Form:
    numbers, show = _reader(shape), shower(shape)
    expected = f"a date as {shape}"

    def read(raw: Any) -> str:
        parts = numbers(raw, expected)
        try:
            return date(int(parts["year"]), int(parts["month"]), int(parts["day"])).isoformat()
        except ValueError:
            raise Bad("format", f"{expected} that is in the calendar") from None

    def write(value: str) -> str:
        try:
            return show(date.fromisoformat(value))
        except ValueError:
            raise Bad("range", f"a date that {shape} can show") from None

    return Form("text", read, write, expected=expected)


_XS_TIME: Final = re.compile(DATE_TIME_PATTERN[1:-1].removesuffix(ZONE_PATTERN) + ZONE_PATTERN + "?")
_XS_DATE: Final = re.compile("(" + DATE_PATTERN[1:-1] + ")" + ZONE_PATTERN + "?")


def datetime_form(zone: str | None) -> Form:
    """xs:dateTime. `zone` applies to a value without one; None requires a zone."""
    expected = (
        "a date and time"
        + (" with its zone" if zone is None else ", with its zone or without")
        + ", as 2026-11-24T14:15:30+07:00"
    )

    def read(raw: Any) -> str:
        text = raw.strip(" \t\r\n") if isinstance(raw, str) else ""
        if _XS_TIME.fullmatch(text) is None:
            raise Bad("format", expected)
        if text[-1] == "Z" or text[-6] in "+-":
            return text
        if zone is None:
            raise Bad("format", expected)
        return text + zone

    return Form("text", read, None, expected=expected)


def xs_date_form() -> Form:
    """xs:date. An optional zone is dropped."""

    def read(raw: Any) -> str:
        parts = _XS_DATE.fullmatch(raw.strip(" \t\r\n")) if isinstance(raw, str) else None
        if parts is None:
            raise Bad("format", "a date, as 2026-11-24")
        return parts[1]

    return Form("text", read, None, expected="a date, as 2026-11-24")

"""Dates and times in foreign shapes such as `yyyyMMddHHmmss` and `dd/MM/yyyy`, with a default time zone.

Invariant: a value read is a day of the calendar in canonical form; what a shape cannot show is refused or a listed
loss.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

from contracts.canonical.patterns import DATE_PATTERN, DATE_TIME_PATTERN, ZONE_PATTERN
from contracts.mapping.value_formats import Bad, Form

_PARTS: Final[Mapping[str, str]] = {
    "yyyy": r"(?P<y>[1-9][0-9]{3})",
    "MM": r"(?P<mo>[0-9]{2})",
    "dd": r"(?P<d>[0-9]{2})",
    "HH": r"(?P<h>[0-9]{2})",
    "mm": r"(?P<mi>[0-9]{2})",
    "ss": r"(?P<s>[0-9]{2})",
}
_STRFTIME: Final[Mapping[str, str]] = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_TOKENS: Final = re.compile("yyyy|MM|dd|HH|mm|ss")
_ZONE: Final = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])")


def is_time_pattern(text: str) -> bool:
    return text.startswith(("yyyy", "dd")) and {"yyyy", "MM", "dd"} <= set(_TOKENS.findall(text))


def has_clock(text: str) -> bool:
    return {"HH", "mm"} <= set(_TOKENS.findall(text))


def zone_offset(text: str) -> timedelta | None:
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return None if offset > timedelta(hours=14) else offset if match[1] == "+" else -offset


def strftime_layout(shape: str) -> str:
    return _TOKENS.sub(lambda token: _STRFTIME[token[0]], shape.replace("%", "%%"))


def _expression(shape: str) -> re.Pattern[str]:
    parts, at = [], 0
    for token in _TOKENS.finditer(shape):
        parts += [re.escape(shape[at : token.start()]), _PARTS[token[0]]]
        at = token.end()
    return re.compile("".join(parts) + re.escape(shape[at:]))


def time_form(shape: str, zone: str) -> Form:
    """A time without a zone, which means `zone`. Loses the original zone and fractions of a second."""
    offset = zone_offset(zone)
    assert offset is not None
    tz = timezone(offset)
    match = _expression(shape).fullmatch
    has_seconds = "ss" in _TOKENS.findall(shape)
    layout = strftime_layout(shape)
    expected = f"a time as {shape}"

    def read(raw: Any) -> str:
        parts = match(raw) if isinstance(raw, str) else None
        if parts is None:
            raise Bad("format", expected)
        y, mo, d, h, mi = parts["y"], parts["mo"], parts["d"], parts["h"], parts["mi"]
        s = parts["s"] if has_seconds else "00"
        try:
            datetime(int(y), int(mo), int(d), int(h), int(mi), int(s))
        except ValueError:
            raise Bad("format", f"{expected} that is in the calendar") from None
        return f"{y}-{mo}-{d}T{h}:{mi}:{s}{zone}"

    def at(value: str) -> datetime:
        try:
            local = datetime.fromisoformat(_micro(value)).astimezone(tz)
        except (ValueError, OverflowError):
            raise Bad("range", f"a time that {shape} can show in the zone {zone}") from None
        if local.year < 1000:
            raise Bad("range", f"a time that {shape} can show in the zone {zone}")
        return local

    def write(value: str) -> str:
        return at(value).strftime(layout)

    def normal(value: str) -> str:
        return at(value).strftime(f"%Y-%m-%dT%H:%M:{'%S' if has_seconds else '00'}") + zone

    loss = f"the zone becomes {zone}; " + ("fractions of a second are cut" if has_seconds else "seconds are cut")
    return Form("text", read, write, normal=normal, loss=loss, expected=expected)


_FRACTION: Final = re.compile(r"\.([0-9]{1,6})[0-9]*")


def _micro(value: str) -> str:
    """Cuts fractions to the six digits that Python reads; no shape shows more."""
    return _FRACTION.sub(lambda m: "." + m[1].ljust(6, "0"), value)


def date_form(shape: str) -> Form:
    match = _expression(shape).fullmatch
    layout = strftime_layout(shape)
    expected = f"a date as {shape}"

    def read(raw: Any) -> str:
        parts = match(raw) if isinstance(raw, str) else None
        if parts is None:
            raise Bad("format", expected)
        try:
            return date(int(parts["y"]), int(parts["mo"]), int(parts["d"])).isoformat()
        except ValueError:
            raise Bad("format", f"{expected} that is in the calendar") from None

    return Form("text", read, lambda value: date.fromisoformat(value).strftime(layout), expected=expected)


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

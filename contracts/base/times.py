"""Times on the wire and in the store: UTC, RFC 3339, milliseconds, always with `Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

# What RFC 3339 writes; seconds may be left out. `fromisoformat` also reads weeks, any sign between day and time, and
# stops at a NUL.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)


def rfc3339(at: float) -> str:
    """Seconds since the epoch as `2026-11-24T07:00:00.123Z`."""
    second, millis = divmod(int(at * 1000), 1000)
    return f"{_second(second)}.{millis:03d}Z"


def moment(text: Any) -> float | None:
    """A time with its zone (RFC 3339) in Unix seconds; None for anything else."""
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=16)  # most times that are written lie in the current second
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]  # `strftime` writes the year 1 with one digit

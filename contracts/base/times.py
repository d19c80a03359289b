"""Times on the wire and in the store: UTC, RFC 3339, milliseconds, always with `Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any


def rfc3339(at: float) -> str:
    """Seconds since the epoch as `2026-11-24T07:00:00.123Z`."""
    second, millis = divmod(int(at * 1000), 1000)
    return f"{_second(second)}.{millis:03d}Z"


def moment(text: Any) -> float | None:
    """A time with its zone (RFC 3339) in Unix seconds; None for anything else."""
    try:
        read = datetime.fromisoformat(text)
        return None if read.tzinfo is None else read.astimezone(UTC).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=16)  # most times that are written lie in the current second
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")

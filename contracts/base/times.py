"""Times on the wire and in the store: UTC, RFC 3339, milliseconds, always with `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """Seconds since the epoch as `2026-11-24T07:00:00.123Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(at * 1000) % 1000:03d}Z"


def parse_rfc3339(text: str) -> float:
    """The reverse; ValueError for a text without a zone or with anything else wrong."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.timestamp()

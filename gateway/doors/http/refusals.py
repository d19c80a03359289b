"""Counts the refusals of this process by limit, for `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIMITS: Final = ("agency", "source", "certificate-connections", "agency-connections", "source-connections", "cost")
_counts: Final[dict[str, int]] = dict.fromkeys(LIMITS, 0)


def count(limit: str) -> None:
    """Counts one refusal for a limit, one of `LIMITS`."""
    _counts[limit] += 1


def counts() -> Mapping[str, int]:
    return dict(_counts)

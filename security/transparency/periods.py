"""Of how much time one digest of a feed tells: an hour, or as many seconds as its entry states in `period`.

An entry states its period only where that is no hour. So older checkers take the log of an instance with hours.
A period divides an hour, and begins at a multiple of itself in Unix time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

HOUR: Final = 3600
STATED: Final = "period"  # the fact of an entry, in seconds


def begin_of(time: float, period: int) -> int:
    """When the period of a time began."""
    return int(time // period) * period


def stated(period: int) -> dict[str, int]:
    """What an entry states of its period."""
    return {} if period == HOUR else {STATED: period}


def span_of(facts: Mapping[str, Any]) -> tuple[int, int, int]:
    """`since`, `until` and the period of an entry, in Unix seconds. The entry covers one period, or several whole ones.

    Raises KeyError, TypeError or ValueError for facts that state no such time.
    """
    period = facts.get(STATED, HOUR)
    if type(period) is not int or not 0 < period <= HOUR or HOUR % period:
        raise ValueError("no period of a digest")
    since, until = _seconds(facts["since"], period), _seconds(facts["until"], period)
    if since >= until:
        raise ValueError("an end before its begin")
    return since, until, period


def one_period(facts: Mapping[str, Any]) -> tuple[int, int]:
    """`since` and `until` of a digest, which covers one period alone. Raises as `span_of` does."""
    since, until, period = span_of(facts)
    if until - since != period:
        raise ValueError("not one period")
    return since, until


def _seconds(text: Any, period: int) -> int:
    time = datetime.fromisoformat(str(text))
    if time.tzinfo is None or time.timestamp() % period:
        raise ValueError("not a full period")
    return int(time.timestamp())

"""The working hours of the province: `office` of the workflows in force, with their holidays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.base.words import Words
from contracts.workflow.working_time import Calendar, Deadline, deadline, minute_of
from gateway.registry.snapshot import Snapshot

HOURS: Final = "office"
_DAYS: Final = 5
_PERIODS: Final = ((7 * 60 + 30, 11 * 60 + 30), (13 * 60 + 30, 16 * 60 + 30))
# Where no contract in force has office hours: then no holiday is known.
PLAIN: Final = Calendar(title=Words("Giờ hành chính", "Office hours"), hours=dict.fromkeys(range(_DAYS), _PERIODS))


def of_province(snapshot: Snapshot) -> Calendar:
    """Of the first contract, by name, whose live workflow has office hours."""
    workflows = (each.workflow for _name, each in sorted(snapshot.handled.items()))
    hours: list[Mapping[str, Calendar]] = [each.hours for each in workflows if each is not None]
    return next((each[HOURS] for each in hours if HOURS in each), PLAIN)


def day_of(calendar: Calendar) -> int:
    """The minutes of a working day, as a fifth of the week."""
    return max(1, calendar.weekly // _DAYS)


def within(calendar: Calendar, start: float, days: int) -> Deadline:
    """When so many working days after a time are over."""
    return deadline(calendar, minute_of(start), days * day_of(calendar))

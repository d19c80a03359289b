"""When the value of a period is due: so many working days after its end, at midnight in Vietnam.

Days off are Saturdays, Sundays and the days of the code table `holiday`; days of the table `working-day` are worked.
Both are tables of the contract in force.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from contracts.workflow.working_time import DAY, Calendar, Deadline, deadline
from gateway.indicators.definitions import Definition
from gateway.indicators.periods import Period

_TITLE: Final = Words("Ngày làm việc", "Working days")
_WHOLE: Final = ((0, DAY),)


def calendar_of(contract: CompiledContract) -> Calendar:
    """Working days count whole."""
    days = {
        name: {
            date.fromisoformat(row.code): Words(row.vi, row.en)
            for row in (contract.tables[name].rows if name in contract.tables else ())
        }
        for name in ("holiday", "working-day")
    }
    hours = dict.fromkeys(range(5), _WHOLE)
    return Calendar(title=_TITLE, hours=hours, holidays=days["holiday"], working_days=days["working-day"])


def counted(calendar: Calendar, definition: Definition, period: Period) -> Deadline:
    """The days that count until the value is due, and those that do not, with the reason."""
    return deadline(calendar, calendar.begin_of(period.end), definition.due * DAY)


def due(calendar: Calendar, definition: Definition, period: Period) -> float:
    """In Unix seconds."""
    at = counted(calendar, definition, period).due
    assert at is not None  # only an endless pause has no end
    return at * 60.0

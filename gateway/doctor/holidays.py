"""Finds working hours whose holidays end: from then on a deadline counts each holiday as a working day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.doctor.findings import Finding, finding
from gateway.registry.snapshot import load_snapshot
from security.grants.windows import VIETNAM

_AHEAD: Final = timedelta(days=60)


def holidays(connection: Connection, now: float) -> Iterator[Finding]:
    """Of live workflows: those that know no holiday of the year in which it will be in two months, though of others."""
    year = (datetime.fromtimestamp(now, VIETNAM) + _AHEAD).year
    ended: dict[str, date] = {}
    for name, contract in sorted(load_snapshot(connection).handled.items()):
        hours = contract.workflow.hours.values() if contract.workflow is not None else ()
        for last in (max(each.holidays) for each in hours if each.holidays):
            if last.year < year:
                ended[name] = last
    if ended:
        named = ", ".join(f"{name} ({last.isoformat()})" for name, last in ended.items())
        yield finding("workflow.holidays", contracts=named, year=year)

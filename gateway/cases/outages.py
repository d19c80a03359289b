"""Planned outages that were announced in time (NĐ 278/2025): while one lasts, its system is not judged.

Invariant: only the agency of a system announces its outage. An emergency, or a notice without an end, excuses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.cases.kinds import OUTAGE
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from gateway.transfer.case_entries import RUNNING

MOST: Final = 1000  # notices that are looked at
_SYSTEM: Final = "system:"
_case: Final = tables.agency_case.c
_step: Final = tables.agency_case_step.c


def out_of_service(connection: Connection, snapshot: Snapshot, now: float) -> frozenset[str]:
    """The systems of which an outage lasts at that time, as its notice says. It ends before if the case is closed."""
    return frozenset(_announced(connection, snapshot, rfc3339(now)))


def _announced(connection: Connection, snapshot: Snapshot, at: str) -> Iterator[str]:
    query = (
        select(_case.sender, _case.reference, _step.facts)
        .join(tables.agency_case_step, (_step.case_id == _case.id) & (_step.number == 0))
        .where(_case.kind == OUTAGE, _case.state.in_(RUNNING), _case.begins <= at, _case.ends > at)
        .where(_case.reference.startswith(_SYSTEM))
        .order_by(_case.id.desc())
        .limit(MOST)
    )
    for sender, reference, facts in connection.execute(query):
        system = snapshot.systems.get(reference.removeprefix(_SYSTEM))
        if system is not None and system.agency == sender and not json.loads(facts).get("urgent"):
            yield system.id

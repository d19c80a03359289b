"""Recognises an act of a system that comes again under the same key (`POST /cases`).

Invariant: one key of an agency is one act. The same key with another content is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.cases.errors import CASE_KEY
from gateway.journal.schema import tables
from gateway.transfer.case_entries import SENDER, Step

DAYS: Final = 7  # for which the key of an opening is remembered; that of a step is as long as its case
_DAY_MS: Final = 86_400_000
_party: Final = tables.agency_case_party.c
_step: Final = tables.agency_case_step.c


class Once(NamedTuple):
    """Keyed hashes of the key that a system chose, and of all that it asked for under it."""

    key: str
    request: str

    @property
    def facts(self) -> dict[str, Any]:
        """As an entry of the log has them."""
        return {"key": self.key, "request": self.request}


def opened_before(connection: Connection, agency: str, once: Once, now: float) -> str | None:
    """The case that this agency opened under the key. Raises: case.key."""
    _alone(connection, agency)
    digits = f"{max(0, int(now * 1000) - DAYS * _DAY_MS):012x}"
    query = select(_step.case_id, _step.facts).join_from(
        tables.agency_case_party, tables.agency_case_step, _step.case_id == _party.case_id
    )
    own = (_party.agency == agency) & (_party.role == SENDER) & (_party.case_id >= f"{digits[:8]}-{digits[8:]}")
    for row in connection.execute(query.where(own, _step.number == 0)):
        if _same(json.loads(row.facts), once):
            return str(row.case_id)
    return None


def taken_before(steps: Sequence[Step], agency: str, once: Once) -> bool:
    """Whether this agency took such a step under the key. Raises: case.key."""
    return any(_same(each.facts, once) for each in steps if each.agency == agency)


def _same(facts: Any, once: Once) -> bool:
    if facts.get("key") != once.key:
        return False
    if facts.get("request") != once.request:
        raise CASE_KEY()
    return True


def _alone(connection: Connection, agency: str) -> None:
    """On PostgreSQL two openings of an agency wait for one another here; SQLite has one writer."""
    connection.execute(select(tables.agency.c.code).where(tables.agency.c.code == agency).with_for_update())

"""Sends handlings of an agency that was merged into another one to its successor, by the table of agency codes.

Invariant: a handling goes to the end of the chain of successors, if that agency is registered and active.
Invariant: it is a step `forward` of the gateway, where the workflow permits that one.
Invariant: handlings are looked at in turn, by id: what cannot be sent on holds nothing up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, false, select

from contracts.base.errors import Failure
from contracts.base.words import WordsFile
from contracts.canonical.model import CodeRow, CodeTable
from contracts.workflow.model import Party
from gateway.journal.append import apply
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import HandlingRow
from gateway.registry.records import ACTIVE
from gateway.registry.snapshot import Snapshot
from gateway.workflow.acting import prepare
from gateway.workflow.records import FORWARD, GATEWAY, Office, Wanted, read_row
from gateway.workflow.steps import is_sound

TABLE: Final = "agency"  # the code table of agencies
PAGE: Final = 100
_words: Final = WordsFile(__file__)
_row: Final = tables.handling.c
_logger: Final = logging.getLogger("lgsp.workflow")


@dataclass(slots=True)
class Rerouting:
    """`after`: the last handling that was looked at; empty: the next look begins with the first one."""

    office: Office
    after: str = ""

    def step(self, check: Callable[[Connection], None]) -> int:
        """Looks at a page of handlings; returns how many of them it forwarded."""
        snapshot, engine = self.office.registry.snapshot, self.office.engine
        with engine.connect() as connection:
            holding = connection.scalars(select(_row.agency).where(_row.ended == false()).distinct())
            moved = {code: to for code in holding if (to := successor(snapshot, code, self.office.clock())) is not None}
            query = select(tables.handling).where(_row.id > self.after, _row.agency.in_(moved), _row.ended == false())
            found = connection.execute(query.order_by(_row.id).limit(PAGE)) if moved else ()
            rows = [HandlingRow(*row) for row in found]
        forwarded = sum(self._forward(row.id, moved[row.agency], check) for row in rows if self._is_possible(row))
        self.after = rows[-1].id if len(rows) == PAGE else ""  # a step that fails is taken again by the next run
        return forwarded

    def _is_possible(self, row: HandlingRow) -> bool:
        if not is_sound(self.office, row):
            _logger.warning("handling %s: its row was changed in the database, it stays where it is", row.id)
            return False
        return FORWARD in {each.name for each in self.office.workflow(row).possible(row.state, Party.GATEWAY)}

    def _forward(self, id: str, to: str, check: Callable[[Connection], None]) -> int:
        with writing(self.office.engine, lock_of(self.office.engine)) as connection:
            check(connection)
            row = read_row(connection, id)
            told = _words("merged", agency=row.agency, to=to)
            try:
                unit = prepare(connection, self.office, id, Wanted(FORWARD, f"{told.vi} / {told.en}", to), GATEWAY)
            except Failure as failure:  # it took another step meanwhile, or its row was changed in the database
                _logger.warning("handling %s: it is not sent to the successor of its agency: %s", id, failure)
                return 0
            apply(connection, [unit.write])
        return 1


def successor(snapshot: Snapshot, agency: str, now: float) -> str | None:
    """The agency that took over from one whose code has ended; None if it has not, or if the successor is not active
    here.
    """
    table = _table(snapshot)
    rows = {row.code: row for row in table.rows} if table is not None else {}
    code = _end(rows, agency, (datetime.fromtimestamp(now, UTC) + timedelta(hours=7)).date().isoformat())
    known = snapshot.agency(code)
    return code if code != agency and known is not None and known.state == ACTIVE else None


def _end(rows: dict[str, CodeRow], code: str, today: str) -> str:
    """The end of the chain of successors; each chain ends (`contracts.canonical.code_tables`)."""
    row = rows.get(code)
    while row is not None and row.valid_until and row.valid_until < today and row.replaced_by in rows:
        row = rows[row.replaced_by]
    return code if row is None else row.code


def _table(snapshot: Snapshot) -> CodeTable | None:
    """The table of agency codes of the contracts in force."""
    return _first(contract.tables.get(TABLE) for _, contract in sorted(snapshot.contracts.items()))


def _first(tables: Iterable[CodeTable | None]) -> CodeTable | None:
    return next((each for each in tables if each is not None), None)

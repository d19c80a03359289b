"""Sends handlings of an agency that was merged into another one to its successor, by the table of agency codes.

Invariant: a handling goes to the end of the chain of successors, if that agency is registered and active.
Invariant: it is a step `forward` of the gateway, where the workflow permits that one.
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
from gateway.registry.records import ACTIVE
from gateway.registry.snapshot import Snapshot
from gateway.workflow.acting import prepare
from gateway.workflow.records import FORWARD, GATEWAY, Office, Wanted, read_row

TABLE: Final = "agency"  # the code table of agencies
PAGE: Final = 100
_words: Final = WordsFile(__file__)
_row: Final = tables.handling.c
_logger: Final = logging.getLogger("lgsp.workflow")


@dataclass(frozen=True, slots=True)
class Rerouting:
    office: Office

    def step(self, check: Callable[[Connection], None]) -> int:
        """Forwards a page of handlings; returns how many."""
        snapshot, engine = self.office.registry.snapshot, self.office.engine
        with engine.connect() as connection:
            holding = connection.scalars(select(_row.agency).where(_row.ended == false()).distinct())
            moved = {code: to for code in holding if (to := successor(snapshot, code, self.office.clock())) is not None}
            query = select(_row.id, _row.agency, _row.state, _row.bundle)
            rows = connection.execute(query.where(_row.agency.in_(moved), _row.ended == false())).all() if moved else ()
        ids = [(row.id, moved[row.agency]) for row in rows if self._is_possible(row.bundle, row.state)]
        return sum(self._forward(id, to, check) for id, to in ids[:PAGE])

    def _is_possible(self, bundle: str, state: str) -> bool:
        workflow = self.office.registry.compiled(bundle).workflow
        return workflow is not None and FORWARD in {each.name for each in workflow.possible(state, Party.GATEWAY)}

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

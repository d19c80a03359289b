"""Follows the log and appends the events of the feed `quality-event/v1` (`gateway.transfer.quality_events`).

Theory of operation
1. The log is followed in its order, once the contract is in force. The first time, the position is the log's head:
   nothing is told of what was before.
2. A page of entries is read. Then one transaction writes the events, their bodies and the position. It checks the
   lease and that nobody else moved the position. The sequencer gives the events their offsets.
3. A log that was begun anew is followed from its first entry, after what was left of the one before.
Invariant: each entry that an event follows from has one event, whatever process dies when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from contracts.canonical.model import Pattern
from contracts.compiled.contract import CompiledContract
from gateway.journal.append import apply
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.journal.write import FeedRow, Write
from gateway.transfer.quality_events import OPERATION, POSITION, REFUSAL, Position, concerns, made, may_concern
from gateway.vault import binding
from gateway.vault.classes import keeping
from gateway.vault.vault import Vault

FOLDER: Final = Path(__file__).parent / "quality-event" / "v1"  # the contract, to be published
PAGE: Final = 1000  # entries
_present: Final = tables.log_entry.c
_past: Final = tables.past_entry.c
_logger: Final = logging.getLogger("lgsp.feeds")
Check = Callable[[Connection], None]


class _Read(NamedTuple):
    """A page of the log: the phase and the entry of those that an event follows from, how many entries there were, and
    the position before and after them.
    """

    chosen: Sequence[tuple[str, Mapping[str, Any]]]
    entries: int
    before: Position | None
    after: Position


class _Moved(Exception):
    """Somebody else moved the position meanwhile."""


@dataclass(slots=True)
class Quality:
    engine: Engine
    lock: FileLock | None
    vault: Vault
    clock: Callable[[], float]

    def step(self, contract: CompiledContract | None, check: Check) -> int:
        """Follows a page of the log; returns how many entries it had. Without the contract nothing is done. `check`
        refuses the transaction of a keeper that was overtaken.
        """
        if contract is None or OPERATION not in contract.contract.operations:
            return 0
        with self.engine.connect() as connection:
            page = _read(connection)
            if page is None:
                return 0
            tries = {entry["transfer"] for phase, entry in page.chosen if phase != REFUSAL}
            intents = _intents(connection, tries) if tries else {}
        units = []
        for phase, entry in page.chosen:
            intent = {} if phase == REFUSAL else intents.get(entry["transfer"])
            if intent is None:
                _logger.critical("transfer %s: the log has no intent of it; no event tells of it", entry["transfer"])
                continue
            units.append(self._unit(phase, entry, intent, contract))
        try:
            with writing(self.engine, self.lock) as connection:
                check(connection)
                _move(connection, page)
                apply(connection, units)
        except _Moved:
            return 0
        return page.entries

    def _unit(
        self, phase: str, entry: Mapping[str, Any], intent: Mapping[str, Any], contract: CompiledContract
    ) -> Write:
        event, name = made(phase, entry, intent, contract), contract.contract.name
        operation = contract.contract.operations[OPERATION]
        body = contract.codec("canonical").write_json(operation.request, dict(event.message))
        kept = keeping(contract.contract.evidence, contract.contract.retention_months, Pattern.SUBMIT)
        bound = binding.of_event(name, event.text)
        row = self.vault.seal(event.id, "canonical", body, self.clock(), kept.of("canonical"), bound)
        return Write(vault=(row,), feed=(FeedRow(name, event.id, event.text, row.id),))


def position_of(connection: Connection) -> Position | None:
    """How far the log was followed; None before the first time."""
    text = value_of(connection, POSITION)
    return None if text is None else Position.of(text)


def _read(connection: Connection) -> _Read | None:
    """None if there is nothing to do."""
    before = position_of(connection)
    if before is None:
        head = connection.execute(select(_present.idx, _present.leaf).order_by(_present.idx.desc()).limit(1)).first()
        next, leaf = (0, "-") if head is None else (head.idx + 1, bytes(head.leaf).hex())
        return _Read((), 0, None, Position(next, next, leaf))
    at = before
    query = select(_present.idx, _present.phase, _present.entry, _present.leaf)
    rows: Sequence[Any] = ()
    if at.next and not _is_of(connection, at):
        last = select(_past.origin).where(_past.idx == at.next - 1, _past.leaf == bytes.fromhex(at.leaf))
        rest = select(_past.idx, _past.phase, _past.entry, _past.leaf).where(
            _past.origin == last.limit(1).scalar_subquery(), _past.idx >= at.next
        )
        rows = connection.execute(rest.order_by(_past.idx).limit(PAGE)).all()
        at = at if rows else Position(0, 0, "-")
    rows = rows or connection.execute(query.where(_present.idx >= at.next).order_by(_present.idx).limit(PAGE)).all()
    if not rows:
        return None
    read = [(row.phase, parse(bytes(row.entry))) for row in rows if may_concern(row.phase)]
    chosen = [(phase, entry) for phase, entry in read if concerns(phase, entry)]
    return _Read(chosen, len(rows), before, Position(at.begin, rows[-1].idx + 1, bytes(rows[-1].leaf).hex()))


def _is_of(connection: Connection, at: Position) -> bool:
    """Whether the position is one of the present log."""
    leaf = connection.scalar(select(_present.leaf).where(_present.idx == at.next - 1))
    return leaf is not None and bytes(leaf).hex() == at.leaf


def _move(connection: Connection, page: _Read) -> None:
    if position_of(connection) != page.before:
        raise _Moved
    keep(connection, POSITION, page.after.text)


def _intents(connection: Connection, transfers: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for table in (_past, _present):
        query = select(table.transfer, table.entry).where(table.transfer.in_(transfers), table.phase == "intent")
        found |= {row.transfer: parse(bytes(row.entry)) for row in connection.execute(query)}
    return found

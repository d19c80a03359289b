"""Writes one batch of units inside one transaction, and tells for each unit whether it was written or refused.

The result is that of the units one after the other:
1. a process that is no longer alive: FENCED;
2. a replay key that exists already: REPLAYED, nothing is written;
3. a message id or transfer id that exists already: DUPLICATE, only the replay key is written;
4. a change whose guard fails: FENCED, nothing is written;
5. a business key or a handling that another unit changed meanwhile: TAKEN, nothing is written;
6. a quota that is used up: FULL, nothing is written, and the result names the quota;
7. else COMMITTED: all rows of the unit are written, and it counts against each of its quotas.

`together` takes a few statements for all units. If units of one batch depend on each other it raises `DependentWrites`,
and `one_by_one` takes the batch again with a savepoint for each unit. Both record in `Promised` which rows must exist
at the end. The writer reads these back before it commits (`gateway.journal.readback`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.journal.readback import Promised
from gateway.journal.statements import QUEUE_TAIL, TRANSFER_COLUMNS, Cursor, Statements
from gateway.journal.write import (
    BodyUse,
    FeedRow,
    Handled,
    HandlingRow,
    HandlingStep,
    KeyRow,
    LogRow,
    QueueRow,
    QuotaUse,
    ReplayKey,
    TransferChange,
    TransferRow,
    VaultRow,
    Verdict,
    Write,
    Written,
)

COMMITTED: Final = Written(Verdict.COMMITTED)
REPLAYED: Final = Written(Verdict.REPLAYED)
TAKEN: Final = Written(Verdict.TAKEN)
FENCED: Final = Written(Verdict.FENCED)

# The rows of `gateway.journal.write` are tuples in the order of their columns, and go to the driver as they are.
_REPLAY: Final = ReplayKey._fields
_LOG: Final = LogRow._fields
_VAULT: Final = VaultRow._fields
_FEED: Final = FeedRow._fields
_QUEUE: Final = QueueRow._fields
_KEY: Final = KeyRow._fields
_USE: Final = BodyUse._fields
_HANDLING: Final = HandlingRow._fields
_STEP: Final = HandlingStep._fields
assert TransferRow._fields == TRANSFER_COLUMNS


class DependentWrites(Exception):
    """Units of this batch depend on each other; they must be written one by one."""


class _Taken(DependentWrites):
    """A business key or a handling of this batch is not as it was read; `one_by_one` finds the unit."""


class _Full(DependentWrites):
    """Units of this batch use up a quota; `one_by_one` decides which of them still fit."""

    def __init__(self, use: QuotaUse) -> None:
        super().__init__()
        self.use: Final = use


def together(sql: Statements, cursor: Cursor, units: Sequence[Write], promised: Promised) -> list[Written]:
    """Writes all units with few statements; adds to `promised` the rows that must exist at the end."""
    results: list[Written] = [COMMITTED] * len(units)
    if len(units) > 1:
        _check_independent(units)
    _replays(sql, cursor, units, results, promised)
    _transfers(sql, cursor, units, results, promised)
    _changes(sql, cursor, units, results, promised)
    _keys(sql, cursor, units, results, promised)
    _handlings(sql, cursor, units, results, promised)
    _quotas(cursor, sql, units, results)
    log: list[LogRow] = []
    vault: list[VaultRow] = []
    feed: list[FeedRow] = []
    queue: list[QueueRow] = []
    uses: list[BodyUse] = []
    for unit, result in zip(units, results, strict=True):
        if result is COMMITTED:
            log += unit.log
            uses += unit.uses
            vault += unit.vault
            feed += unit.feed
            if unit.queue is not None:
                queue.append(unit.queue)
    if log:
        sql.insert(cursor, "log_pending", _LOG, log)
        promised.log.update({row[:2]: row for row in log})
    if vault:
        sql.insert(cursor, "vault", _VAULT, vault)
        promised.vault.update({row.id: row for row in vault})
    if feed:
        sql.insert(cursor, "feed_pending", _FEED, feed)
        promised.feed.update({row.transfer: row for row in feed})
    if uses:
        sql.insert(cursor, "opaque_use", _USE, uses)
    if queue:
        sql.insert(cursor, "queue", _QUEUE, queue, QUEUE_TAIL)
        promised.queue.update({row.transfer: row for row in queue})
        for row in queue:
            if row.order_key is not None:
                cursor.execute(sql.place, (row.transfer,))
    return results


def one_by_one(
    sql: Statements, cursor: Cursor, units: Sequence[Write], promised: Promised
) -> list[Written | Exception]:
    """Writes each unit behind a savepoint, so that a failing unit is refused alone.

    Raises errors that are not the fault of a unit.
    """
    results: dict[int, Written | Exception] = {}
    # Units with quotas come last. The rows of their quotas are locked before, in one order for all processes.
    ordered = sorted(enumerate(units), key=lambda each: (each[1].quota, each[0]))
    first = next((number for number, unit in ordered if unit.quota), None)
    for number, unit in ordered:
        if number == first and not sql.sqlite:
            for use in sorted({each for one in units for each in one.quota}):
                cursor.execute(sql.use_quota, (*use[:-1], 0, use.limit))
        cursor.execute("SAVEPOINT unit")
        try:
            own = Promised()
            results[number] = together(sql, cursor, [unit], own)[0]
            promised.take(own)
        except _Taken:
            cursor.execute("ROLLBACK TO SAVEPOINT unit")
            results[number] = TAKEN
        except _Full as full:
            cursor.execute("ROLLBACK TO SAVEPOINT unit")
            results[number] = Written(Verdict.FULL, full=full.use)
        except Exception as error:
            if not sql.fault_of_unit(error):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT unit")
            results[number] = error
        cursor.execute("RELEASE SAVEPOINT unit")
    return [results[number] for number in range(len(units))]


def _check_independent(units: Sequence[Write]) -> None:
    """Raises `DependentWrites` where more than "the first one wins" depends on the order of units."""
    transfers: set[str] = set()
    queued: set[str] = set()
    keys: set[bytes] = set()
    guarded: set[bytes] = set()
    named: set[str] = set()
    for unit in units:
        touched = unit.transfer.id if unit.transfer is not None else unit.change.id if unit.change is not None else None
        if touched is not None:
            if touched in transfers:
                raise DependentWrites
            transfers.add(touched)
        for row in unit.keys:
            if row.key in named:
                raise DependentWrites  # an upsert takes a row once
            named.add(row.key)
        if unit.handled is not None:
            if unit.handled.row.id in named:
                raise DependentWrites  # one step after the other
            named.add(unit.handled.row.id)
        if unit.queue is not None:
            if unit.queue.transfer in queued:
                raise DependentWrites  # an upsert takes a row once
            queued.add(unit.queue.transfer)
        if unit.replay is not None:
            if unit.change is not None:
                guarded.add(unit.replay.key)  # the key stays only if the guard holds
            keys.add(unit.replay.key)
    if guarded and sum(1 for unit in units if unit.replay is not None and unit.replay.key in guarded) > len(guarded):
        raise DependentWrites


def _replays(
    sql: Statements, cursor: Cursor, units: Sequence[Write], results: list[Written], promised: Promised
) -> None:
    first: dict[bytes, float] = {}
    for number, unit in enumerate(units):
        if (replay := unit.replay) is not None:
            if replay.key in first:
                results[number] = REPLAYED
            else:
                first[replay.key] = replay.expires
    if not first:
        return
    rows = [ReplayKey(*each) for each in first.items()]
    if len(rows) > 1:
        rows.sort()  # one order for all processes: no deadlock
    fresh = sql.insert_new(cursor, "replay", _REPLAY, rows, "key")
    promised.replay.update({row.key: row for row in rows if row.key in fresh})
    if len(fresh) < len(rows):
        for number, unit in enumerate(units):
            if unit.replay is not None and unit.replay.key not in fresh:
                results[number] = REPLAYED


def _transfers(
    sql: Statements, cursor: Cursor, units: Sequence[Write], results: list[Written], promised: Promised
) -> None:
    wanted: dict[tuple[str, str, str, str], int] = {}
    repeats: list[int] = []
    for number, unit in enumerate(units):
        if (row := unit.transfer) is not None and results[number] is COMMITTED:
            key = _message(row)
            if key in wanted:
                repeats.append(number)
            else:
                wanted[key] = number
    if not wanted:
        return
    order = sorted(wanted) if len(wanted) > 1 and not sql.sqlite else wanted
    rows: list[TransferRow] = [units[wanted[key]].transfer for key in order]  # type: ignore[misc]  # never None here
    fresh = sql.insert_new(cursor, "transfer", TRANSFER_COLUMNS, rows, "id")
    promised.transfers.update({row.id: row for row in rows if row.id in fresh})
    if len(fresh) == len(rows) and not repeats:
        return
    for number in (*wanted.values(), *repeats):
        row = units[number].transfer
        assert row is not None
        if row.id not in fresh:
            results[number] = _duplicate(sql, cursor, row)


def _changes(
    sql: Statements, cursor: Cursor, units: Sequence[Write], results: list[Written], promised: Promised
) -> None:
    numbers: list[int] = []
    rows: list[TransferChange] = []
    for number, unit in enumerate(units):
        if (step := unit.change) is not None and results[number] is COMMITTED:
            numbers.append(number)
            rows.append(step)
    if not rows:
        return
    applied = sql.change(cursor, rows)
    promised.changes.update({step.id: step for step in rows if step.id in applied})
    if len(applied) < len(rows):
        for number in numbers:
            unit = units[number]
            assert unit.change is not None
            if unit.change.id not in applied:
                results[number] = FENCED
                if unit.replay is not None:
                    cursor.execute(sql.forget_replay, (unit.replay.key,))
                    promised.replay.pop(unit.replay.key, None)


def _keys(sql: Statements, cursor: Cursor, units: Sequence[Write], results: list[Written], promised: Promised) -> None:
    """Writes the business keys of this batch; raises `_Taken` if one of them is not as it was read."""
    rows = [row for unit, result in zip(units, results, strict=True) if result is COMMITTED for row in unit.keys]
    if not rows:
        return
    if len(rows) > 1:
        rows.sort()  # one order for all processes
    if len(sql.put_keys(cursor, _KEY, rows)) < len(rows):
        raise _Taken
    promised.keys.update({row.key: row for row in rows})


def _handlings(
    sql: Statements, cursor: Cursor, units: Sequence[Write], results: list[Written], promised: Promised
) -> None:
    """Writes the handlings of this batch; raises `_Taken` if one of them took another step meanwhile."""
    taken = [each.handled for each, result in zip(units, results, strict=True) if each.handled and result is COMMITTED]
    if not taken:
        return
    taken.sort()  # one order for all processes
    new = [each.row for each in taken if each.row.version == 1]
    if new and len(sql.insert_new(cursor, "handling", _HANDLING, new, "id")) < len(new):
        raise _Taken
    _check_targets(sql, cursor, taken)
    for each in taken:
        if each.row.version > 1 and not sql.step_handling(cursor, _HANDLING, each.row):
            raise _Taken
    steps = [each.step for each in taken]
    sql.insert(cursor, "handling_step", _STEP, steps)
    promised.handlings.update({each.row.id: each.row for each in taken})
    promised.steps.update({step[:2]: step for step in steps})


def _check_targets(sql: Statements, cursor: Cursor, taken: Sequence[Handled]) -> None:
    """What is merged now goes into a handling that is open: else two that are merged into each other end both."""
    targets = {each.into for each in taken if each.into is not None}
    if not targets:
        return
    if len(taken) > 1:
        raise DependentWrites  # a step beside it may end the target
    if not sql.are_open(cursor, {*targets, taken[0].row.id}):
        raise _Taken


def _quotas(cursor: Cursor, sql: Statements, units: Sequence[Write], results: list[Written]) -> None:
    """Counts the calls of this batch, those of one window together; raises `_Full` if they do not all fit."""
    uses: dict[QuotaUse, int] = {}
    for unit, result in zip(units, results, strict=True):
        if unit.quota and result is COMMITTED:
            for use in unit.quota:
                uses[use] = uses.get(use, 0) + 1
    for use in sorted(uses):
        count = uses[use]
        if count <= use.limit:
            cursor.execute(sql.use_quota, (*use[:-1], count, use.limit))
        if count > use.limit or cursor.fetchone() is None:
            raise _Full(use)


def _duplicate(sql: Statements, cursor: Cursor, row: TransferRow) -> Written:
    cursor.execute(sql.existing, _message(row))
    columns = cursor.fetchone()
    if columns is None:
        cursor.execute(sql.existing_id, (row.id,))
        columns = cursor.fetchone()
    if columns is None:
        raise DependentWrites  # it was deleted between the two statements: try again
    existing = dict(zip(TRANSFER_COLUMNS, columns, strict=True))
    existing["idempotent"] = bool(existing["idempotent"])
    return Written(Verdict.DUPLICATE, existing)


def _message(row: TransferRow) -> tuple[str, str, str, str]:
    return row.caller_system, row.contract, row.operation, row.message_id

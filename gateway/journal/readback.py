"""Reads the rows of a batch back in its own transaction, before it is committed and acknowledged.

A statement that reports success does not prove that its rows exist. A trigger, a rule, a row policy or a table
recreated with ON CONFLICT IGNORE may have dropped or changed them. So all rows of a batch are read again by their keys
and compared with the input, value by value.
- Entries, transfers, events, queue and replay keys are compared as a whole.
- A sealed body is compared as a whole up to 64 KiB. Of a longer one its length, first 64 KiB and last 64 bytes are
  compared, which hold the tag of AES-GCM. A body that was changed between these does not open, and nobody without the
  key can make it open as another one.
- On PostgreSQL constraint triggers may wait for COMMIT; `SET CONSTRAINTS ALL IMMEDIATE` runs them before the rows are
  read.

Quota counters are left out: the statement that raises them returns the new number.
"""

from __future__ import annotations

from typing import Final

from gateway.journal.statements import TRANSFER_COLUMNS, Cursor, Row, Statements
from gateway.journal.write import (
    FeedRow,
    HandlingRow,
    HandlingStep,
    KeyRow,
    LogRow,
    QueueRow,
    ReplayKey,
    TransferChange,
    TransferRow,
    VaultRow,
)

WHOLE: Final = 65_536  # bytes of a sealed body that are compared
TAIL: Final = 64
_SEALED: Final = (
    "id",
    "key_id",
    "size",
    f"CASE WHEN length(sealed) > {WHOLE} THEN substr(sealed, 1, {WHOLE}) ELSE sealed END",
    "length(sealed)",
    f"CASE WHEN length(sealed) > {WHOLE} THEN substr(sealed, length(sealed) - {TAIL - 1}) END",
)
_CHANGED: Final = ("id", "state", "status", "failure", "process", "finished", "answer_ref", "receipt")


class Altered(Exception):
    """A row differs from what was written; `what` names its table and key."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not as it was written")
        self.what: Final = what


# Transfer and phase of an entry of the log, and a replay key: what there is of them.
Witness = tuple[tuple[str, str] | None, bytes | None]


class Promised:
    """The rows of one transaction by table and key, as they must be at its end."""

    __slots__ = ("changes", "feed", "handlings", "keys", "log", "queue", "replay", "steps", "transfers", "vault")

    def __init__(self) -> None:
        self.replay: dict[bytes, ReplayKey] = {}
        self.transfers: dict[str, TransferRow] = {}
        self.changes: dict[str, TransferChange] = {}
        self.log: dict[tuple[str, str], LogRow] = {}
        self.vault: dict[str, VaultRow] = {}
        self.feed: dict[str, FeedRow] = {}
        self.keys: dict[str, KeyRow] = {}
        self.queue: dict[str, QueueRow] = {}
        self.handlings: dict[str, HandlingRow] = {}
        self.steps: dict[tuple[str, int], HandlingStep] = {}

    def take(self, later: Promised) -> None:
        """Adds rows that were written later; they replace earlier rows of the same transfer or message."""
        for id in later.changes:
            self.transfers.pop(id, None)
        for name in self.__slots__:
            getattr(self, name).update(getattr(later, name))

    def witness(self) -> Witness:
        """A row that stands only if the transaction was committed."""
        return next(iter(self.log), None), next(iter(self.replay), None)

    def check(self, sql: Statements, cursor: Cursor) -> None:
        """Raises `Altered` for the first row that is missing or differs."""
        if not sql.sqlite:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, columns, key, expected in (
            ("replay", ReplayKey._fields, "key", self.replay.values()),
            ("transfer", TRANSFER_COLUMNS, "id", self.transfers.values()),
            ("feed_pending", FeedRow._fields, "transfer", self.feed.values()),
            ("feed_key", KeyRow._fields, "key", self.keys.values()),
            ("queue", QueueRow._fields, "transfer", self.queue.values()),
            ("log_pending", LogRow._fields, "transfer", self.log.values()),
            ("handling", HandlingRow._fields, "id", self.handlings.values()),
            ("handling_step", HandlingStep._fields, "handling", self.steps.values()),
            ("vault", _SEALED, "id", [_sealed(row) for row in self.vault.values()]),
        ):
            if expected:
                place = columns.index(key)
                keys = tuple({row[place] for row in expected})
                missing = set[Row](expected).difference(sql.read(cursor, table, columns, key, keys))
                if missing:
                    first = min(row[place] for row in missing)
                    raise Altered(f"{table} {first.hex()[:16] if isinstance(first, bytes) else first}")
        if self.changes:
            rows = {row[0]: row for row in sql.read(cursor, "transfer", _CHANGED, "id", tuple(self.changes))}
            for id, change in self.changes.items():
                if id not in rows or not _was_applied(change, rows[id]):
                    raise Altered(f"transfer {id}")


def _sealed(row: VaultRow) -> Row:
    size = len(row.sealed)
    return row.id, row.key_id, row.size, row.sealed[:WHOLE], size, row.sealed[-TAIL:] if size > WHOLE else None


def _was_applied(change: TransferChange, row: Row) -> bool:
    _id, state, status, failure, process, finished, answer_ref, receipt = row
    return (
        (state, status, failure) == (change.state, change.status, change.failure)
        and change.owner in (None, process)
        and change.finished in (None, finished)
        and change.answer_ref in (None, answer_ref)
        and change.receipt in (None, receipt)
    )

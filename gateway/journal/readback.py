"""What a batch promised, read back in its own transaction before it is committed and acknowledged.

A statement that reports success does not tell that its rows stand: a trigger, a rule, a row policy or a table made anew with ON CONFLICT IGNORE may have
swallowed or changed them. So all rows of a batch are read again by their keys and compared with what was handed in, value by value.
- Entries, transfers, events, queue and replay keys are compared as a whole.
- A sealed body is compared as a whole up to 64 KiB; of a longer one its length, its first 64 KiB and its last 64 bytes, which hold the tag of AES-GCM. A
  body that was changed between these does not open, and nobody can make it open as another one.
- On PostgreSQL constraint triggers may wait for COMMIT; `SET CONSTRAINTS ALL IMMEDIATE` has them act before the rows are read.
Quota counters are left out: the statement that raises them returns the new number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.journal.statements import TRANSFER_COLUMNS, Cursor, Row, Statements
from gateway.journal.write import FeedRow, LogRow, QueueRow, ReplayKey, TransferChange, TransferRow, VaultRow

WHOLE: Final = 65_536  # bytes of a sealed body that are compared as they are
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
    """A row does not stand as it was written; `what` names its table and key."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not as it was written")
        self.what: Final = what


class Promised:
    """The rows of one transaction by table and key, as they must stand at its end."""

    __slots__ = ("changes", "feed", "log", "queue", "replay", "transfers", "vault")

    def __init__(self) -> None:
        self.replay: dict[bytes, ReplayKey] = {}
        self.transfers: dict[str, TransferRow] = {}
        self.changes: dict[str, TransferChange] = {}
        self.log: dict[tuple[str, str], LogRow] = {}
        self.vault: dict[str, VaultRow] = {}
        self.feed: dict[str, FeedRow] = {}
        self.queue: dict[str, QueueRow] = {}

    def take(self, later: Promised) -> None:
        """What was written after it; a change of a transfer or of a queued message takes the place of what was written before."""
        for id in later.changes:
            self.transfers.pop(id, None)
        for name in self.__slots__:
            getattr(self, name).update(getattr(later, name))

    def check(self, sql: Statements, cursor: Cursor) -> None:
        """`Altered` for the first row that is missing or differs."""
        if not sql.sqlite:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _compare(sql, cursor, "replay", ("key", "expires"), "key", self.replay, self.replay.values())
        _compare(sql, cursor, "transfer", TRANSFER_COLUMNS, "id", self.transfers, self.transfers.values())
        _compare(sql, cursor, "feed_pending", FeedRow._fields, "transfer", self.feed, self.feed.values())
        _compare(sql, cursor, "queue", QueueRow._fields, "transfer", self.queue, self.queue.values())
        _compare(
            sql,
            cursor,
            "log_pending",
            LogRow._fields,
            "transfer",
            dict.fromkeys(key for key, _ in self.log),
            self.log.values(),
        )
        _compare(sql, cursor, "vault", _SEALED, "id", self.vault, map(_sealed, self.vault.values()))
        if self.changes:
            stands = {row[0]: row for row in sql.read(cursor, "transfer", _CHANGED, "id", tuple(self.changes))}
            for id, step in self.changes.items():
                if id not in stands or not _holds(step, stands[id]):
                    raise Altered(f"transfer {id}")


def _compare(
    sql: Statements,
    cursor: Cursor,
    table: str,
    columns: tuple[str, ...],
    key: str,
    keys: Mapping[Any, object],
    rows: Iterable[Row],
) -> None:
    if keys:
        missing = set(rows) - set(sql.read(cursor, table, columns, key, tuple(keys)))
        if missing:
            first = min(row[columns.index(key)] for row in missing)
            raise Altered(f"{table} {first.hex()[:16] if isinstance(first, bytes) else first}")


def _sealed(row: VaultRow) -> Row:
    size = len(row.sealed)
    return row.id, row.key_id, row.size, row.sealed[:WHOLE], size, row.sealed[-TAIL:] if size > WHOLE else None


def _holds(step: TransferChange, row: Row) -> bool:
    _id, state, status, failure, process, finished, answer_ref, receipt = row
    return (
        (state, status, failure) == (step.state, step.status, step.failure)
        and step.owner in (None, process)
        and step.finished in (None, finished)
        and step.answer_ref in (None, answer_ref)
        and step.receipt in (None, receipt)
    )

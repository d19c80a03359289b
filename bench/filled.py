"""Fills an instance with a long history in a short time: transfers, their entries in the log, the index of these, and
the queue. Secondary indexes are dropped first and made at the end, and nothing is synced before.

Half of the traffic is that of registered systems, so that every page has something to show.
Invariant: the rows are those that the gateway writes: `lgsp audit verify` finds no fault in the index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from contracts.base.ids import new_id
from gateway.audit.search import facts
from gateway.audit.search.index import NAME, keys_of, parties_of
from gateway.audit.verify.rows.index import Quick
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from security.transparency import entry as form

APART: Final = 1.0  # seconds between two transfers
CODES: Final = (
    *("access.no-grant", "provider.timeout", "body.invalid", "signature.wrong", "message.replayed", "access.quota"),
)
STRANGERS: Final = 200  # systems that are not registered any more
_REFUSED, _FAILED, _QUEUED = 0.04, 0.02, 0.10  # shares of all transfers
_OPEN: Final = 0.06  # share of the queue in each of the states that somebody decides
_CHUNK: Final = 20_000
_TABLES: Final = ("transfer", "queue", "log_entry", "log_index", "log_party")
_DIGEST: Final = form.Digest(bytes(range(32)), 1024)
_BUNDLE: Final = "sha256:" + "ab" * 32


class Party(NamedTuple):
    agency: str
    system: str


class Filled(NamedTuple):
    """What the history has, to ask for."""

    transfers: int
    entries: int
    last: str  # the newest transfer
    message: str  # its message, as its sender named it


def parties(snapshot: Snapshot) -> list[Party]:
    own = [Party(each.agency, each.id) for each in snapshot.systems.values()]
    others = [Party(f"H99.{number % 60}", f"he-thong-{number:03}") for number in range(STRANGERS)]
    return own * (STRANGERS // len(own)) + others


def fill(path: Path, snapshot: Snapshot, key: bytes, number: int, until: float) -> Filled:
    """`number` transfers up to a time, into a database of SQLite that nobody has open. `key` hashes ids of messages."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -400000"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("PRAGMA temp_store = MEMORY")
    places = ", ".join("?" * len(_TABLES))
    indexes = database.execute(
        f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({places})",  # noqa: S608
        _TABLES,
    ).fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    begin = database.execute("SELECT COALESCE(MAX(idx) + 1, 0) FROM log_entry").fetchone()[0]
    idx, last, message = begin, "", ""
    quick, start, known = Quick({}), until - number * APART, parties(snapshot)
    for some in _chunks(_transfers(Random(number), known, sorted(snapshot.contracts), number, start)):
        database.execute("BEGIN")
        _insert(database, "transfer", [_row(tables.transfer, each.row) for each in some if each.row is not None])
        _insert(database, "queue", [_row(tables.queue, each.queued) for each in some if each.queued is not None])
        entries, index, own = [], [], []
        for each in some:
            message = each.message
            for one in each.entries(key):
                frozen = form.freeze(one)
                last = frozen.transfer
                row = (idx, frozen.transfer, frozen.phase, frozen.entry, frozen.leaf, each.at + 0.2)
                entries.append(row)
                values, concerned = _indexed(quick, row)
                index.append((idx, *values))
                own += [(party, idx) for party in concerned]
                idx += 1
        _insert(database, "log_entry", entries)
        _insert(database, "log_index", index)
        _insert(database, "log_party", sorted(own))
        database.execute("COMMIT")
    for _, sql in indexes:
        database.execute(sql)
    database.execute("DELETE FROM log_indexed")
    leaf = database.execute("SELECT leaf FROM log_entry WHERE idx = ?", (idx - 1,)).fetchone()[0]
    database.execute("INSERT INTO log_indexed (name, upto, leaf) VALUES (?, ?, ?)", (NAME, idx, leaf))
    database.execute("PRAGMA locking_mode = NORMAL")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    return Filled(number, idx, last, message)


class _Transfer(NamedTuple):
    id: str
    at: float
    message: str
    caller: Party
    provider: Party
    contract: str
    operation: str
    grant: str
    failure: str | None
    refused: bool
    row: dict[str, Any] | None
    queued: dict[str, Any] | None

    def entries(self, key: bytes) -> Iterator[form.Entry]:
        message = form.keyed(key, self.message)
        system = self.caller.system
        caller = form.Caller(self.caller.agency, system, "c" * 43, f"{system}.sign-1")
        if self.refused:
            assert self.failure is not None
            yield form.Refusal(
                self.id, self.at, "rest", self.failure, 403, caller, None, self.contract, self.operation, message,
                nearest=self.grant,
            )  # fmt: skip
            return
        yield form.Intent(
            self.id, self.at, "rest", caller, self.contract, self.operation, _BUNDLE, message, self.grant,
            self.provider.system, _DIGEST, provider_agency=self.provider.agency,
        )  # fmt: skip
        if self.row is None or self.row["state"] not in ("answered", "failed"):
            return
        if self.failure is not None:
            yield form.Outcome(self.id, self.at, 502, self.provider.system, self.failure)
        else:
            yield form.Outcome(
                self.id, self.at, 200, self.provider.system, sent=_DIGEST, came_back=_DIGEST, answered=_DIGEST
            )


def _transfers(
    chance: Random, known: Sequence[Party], contracts: Sequence[str], number: int, start: float
) -> Iterator[_Transfer]:
    for at in range(number):
        now, draw = start + at * APART, chance.random()
        place = chance.randrange(len(known))
        caller, provider = known[place], known[(place * 7 + 3) % len(known)]
        contract, grant = contracts[place % len(contracts)], f"G-{place % 300:04}"
        id, message = new_id(int(now * 1000)), f"m-{at}"
        refused, failure, state, waits = draw < _REFUSED, None, "answered", None
        if refused:
            failure = chance.choice(CODES)
        elif draw < _REFUSED + _FAILED:
            failure, state = "provider.timeout", "failed"
        elif draw < _REFUSED + _FAILED + _QUEUED:
            share, waits = chance.random() / _OPEN, "done"
            if share < 3:
                state, waits = (("queued", "waiting"), ("dead", "dead"), ("in-doubt", "done"))[int(share)]
        row = queued = None
        if not refused:
            row = {
                "id": id, "state": state, "pattern": "dispatch" if waits else "query",
                "caller_system": caller.system, "caller_agency": caller.agency, "contract": contract,
                "bundle": _BUNDLE, "operation": "createRequest", "message_id": message,
                "payload_digest": bytes(32), "grant_id": grant, "provider": provider.system, "idempotent": True,
                "received": now, "committed": now, "finished": now + 0.1 if state in ("answered", "failed") else None,
                "status": 200, "failure": failure,
            }  # fmt: skip
        if waits is not None:
            queued = {
                "transfer": id, "provider": provider.system, "body_ref": f"{id}/canonical", "state": waits, "tries": 1,
                "next_at": now, "last_failure": None if waits == "done" else chance.choice(CODES),
                "priority": 5, "place": 0, "callback_tries": 0, "callback_at": 0.0,
            }  # fmt: skip
        yield _Transfer(
            id=id, at=now, message=message, caller=caller, provider=provider, contract=contract,
            operation="createRequest", grant=grant, failure=failure, refused=refused, row=row, queued=queued,
        )  # fmt: skip


def _indexed(quick: Quick, row: tuple[Any, ...]) -> tuple[Sequence[int | None], Sequence[int]]:
    if (rows := quick.rows(row)) is not None:
        return rows.values, sorted(rows.parties)
    known = facts.facts_of(parse(row[3]), row[1], row[2], {})
    return tuple(keys_of(known).values()), sorted(parties_of(known))


def _chunks(transfers: Iterator[_Transfer]) -> Iterator[list[_Transfer]]:
    while some := list(islice(transfers, _CHUNK)):
        yield some


def _row(table: Any, values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(column.name) for column in table.columns)


def _insert(database: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608

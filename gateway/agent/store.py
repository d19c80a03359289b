"""Stores the agent's state in SQLite: waiting submissions, executed calls of the gateway, signatures seen.

Contents are sealed with the agent's own key (`security.seal`) and compared by a keyed hash. A message gets its number
on arrival, so a lane (contract and operation) keeps the order of its callers.
Invariant: a message id is one row, always with the same content.
Invariant: when `put` or `begin` returns, its row is synced to disk.
Invariant: only `ended`, `discard` and `prune` delete contents.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.agent.config import DAY, QueueBounds
from gateway.agent.errors import AGENT_CONFIGURATION, AGENT_IN_DOUBT, AGENT_OTHER_BODY, AGENT_QUEUE_FULL, AGENT_REPLAYED
from gateway.agent.secret import check_private
from gateway.client.identities.identity import for_owner_alone, write_private
from security.seal import seal, unseal

KEEP_ENDED: Final = 7 * DAY
LONGEST_PAUSE: Final = 600.0
_SEEN_GRACE: Final = 600.0  # seconds: signatures are kept so long past their end, in case the clock is set back
_TABLES: Final = """
create table if not exists message(
  number integer primary key, id text not null unique, lane text not null, call text not null,
  body blob not null, digest blob not null, size integer not null,
  state text not null check (state in ('queued', 'sent', 'dead')), taken real not null,
  tries integer not null default 0, next real not null default 0, why text not null default '',
  status integer, transfer text, ended real);
create index if not exists message_lane on message(state, lane, number);
create table if not exists carried(
  id text primary key, digest blob not null, status integer, headers text not null default '{}',
  body blob, at real not null);
create table if not exists seen(key blob primary key, until real not null);
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A stored submission: `call` is what is needed to send it besides the content."""

    number: int
    id: str
    lane: str
    call: Mapping[str, Any]
    body: bytes
    taken: float
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Carried:
    """The old system's answer to a message id."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def seal_key(path: Path) -> bytes:
    """The agent's own key, created at the first start."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        write_private(draft, secrets.token_bytes(32))
        try:
            os.link(draft, path)  # atomic, and never over another process's key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    check_private(path)
    key = path.read_bytes()
    if len(key) != 32:
        raise AGENT_CONFIGURATION(where=str(path), rule="32 bytes")
    return key


class Taken(Exception):
    """Another process uses this state folder."""


def hold(state: Path) -> sqlite3.Connection:
    """Locks the state folder against a second agent with an SQLite lock, which ends with the process."""
    for_owner_alone(state / "agent.lock")  # whoever may read it could lock it too
    lock = sqlite3.connect(state / "agent.lock", timeout=0.5, isolation_level=None)
    try:
        lock.execute("begin exclusive")
    except sqlite3.OperationalError:
        lock.close()
        raise Taken(str(state)) from None
    return lock


class Store:
    """One connection, shared by threads under a lock; other processes (`lgsp agent queue`) may open the same file."""

    def __init__(self, file: Path, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        for_owner_alone(file)
        self._base = sqlite3.connect(file, timeout=10.0, check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = full")
        self._base.executescript(_TABLES)
        self._number = int(self._one("select coalesce(max(number), 0) as n from message")["n"])

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def take_number(self) -> int:
        """The number of the next message."""
        with self._lock:
            self._number += 1
            return self._number

    def put(self, message: Message, bounds: QueueBounds) -> str:
        """Store a message; returns its state. A repeat only revives a dead one. Raises agent.other-body,
        agent.queue-full."""
        digest = self._digest(message.lane, message.body)
        with self._writing() as base:
            known = base.execute("select digest, state from message where id = ?", (message.id,)).fetchone()
            if known is not None:
                if not hmac.compare_digest(bytes(known["digest"]), digest):
                    raise AGENT_OTHER_BODY(message=message.id)
                if known["state"] == "dead":
                    base.execute(
                        "update message set state = 'queued', next = 0, taken = ? where id = ?",
                        (message.taken, message.id),
                    )
                return "sent" if known["state"] == "sent" else "queued"
            count, size = base.execute(
                "select count(*), coalesce(sum(size), 0) from message where state <> 'sent'"
            ).fetchone()
            if count >= bounds.messages or size + len(message.body) > bounds.bytes:
                limit = f"{bounds.messages} messages" if count >= bounds.messages else f"{bounds.bytes} bytes"
                raise AGENT_QUEUE_FULL(limit=limit, retry_after=60)
            base.execute(
                "insert into message(number, id, lane, call, body, digest, size, state, taken) values "
                "(?, ?, ?, ?, ?, ?, ?, 'queued', ?)",
                (
                    message.number,
                    message.id,
                    message.lane,
                    json.dumps(dict(message.call)),
                    seal(self._key, _context(message.id), message.body),
                    digest,
                    len(message.body),
                    message.taken,
                ),
            )
        return "queued"

    def state(self, message_id: str, lane: str, body: bytes) -> str | None:
        """`queued`, `sent`, `dead` or None. Raises agent.other-body if the id has another content."""
        row = self._one("select state, digest from message where id = ?", message_id)
        if row is None:
            return None
        if not hmac.compare_digest(bytes(row["digest"]), self._digest(lane, body)):
            raise AGENT_OTHER_BODY(message=message_id)
        return str(row["state"])

    def submission(self, message_id: str) -> tuple[str, str | None, str] | None:
        """State, transfer and last reason of a message, while the queue knows it."""
        row = self._one("select state, transfer, why from message where id = ?", message_id)
        return None if row is None else (row["state"], row["transfer"], row["why"])

    def waits(self, lane: str) -> bool:
        return self._one("select 1 from message where state = 'queued' and lane = ? limit 1", lane) is not None

    def due(self, now: float, limit: int, busy: frozenset[str] = frozenset()) -> list[Message]:
        """The first due message of each lane that is not busy.

        A time further away than any pause counts as due: the clock was set back since.
        """
        rows = self._all(
            "select * from message where number in (select min(number) from message where state = "
            "'queued' group by lane)"
            " and (next <= ? or next > ?) order by number limit ?",
            now,
            now + LONGEST_PAUSE,
            limit,
        )
        return [
            Message(
                number=row["number"],
                id=row["id"],
                lane=row["lane"],
                call=json.loads(row["call"]),
                body=unseal(self._key, _context(row["id"]), row["body"]),
                taken=row["taken"],
                tries=row["tries"],
            )
            for row in rows
            if row["lane"] not in busy
        ]

    def later(self, number: int, at: float, why: str) -> None:
        with self._writing() as base:
            base.execute(
                "update message set tries = tries + 1, next = ?, why = ? where number = ?", (at, why[:300], number)
            )

    def hurry(self) -> None:
        """Make all waiting messages due now: the gateway answers again."""
        with self._writing() as base:
            base.execute("update message set next = 0 where state = 'queued' and next > 0")

    def ended(
        self,
        number: int,
        state: str,
        now: float,
        *,
        why: str = "",
        status: int | None = None,
        transfer: str | None = None,
    ) -> None:
        """End a message: delivered (its content is deleted) or dead (its content is kept for a retry)."""
        forget = ", body = x''" if state == "sent" else ""
        with self._writing() as base:
            base.execute(
                "update message set state = ?, ended = ?, why = ?, status = ?, transfer = ?, tries = "
                f"tries + 1{forget} where number = ?",
                (state, now, why[:300], status, transfer, number),
            )

    def prune(self, now: float) -> None:
        with self._writing() as base:
            base.execute("delete from message where state = 'sent' and ended < ?", (now - KEEP_ENDED,))
            base.execute("delete from carried where status is not null and at < ?", (now - KEEP_ENDED,))

    def counts(self) -> dict[str, int]:
        by_state = {
            row["state"]: row["n"] for row in self._all("select state, count(*) as n from message group by state")
        }
        (doubt,) = self._one("select count(*) from carried where status is null") or (0,)
        return {state: int(by_state.get(state, 0)) for state in ("queued", "sent", "dead")} | {"in_doubt": int(doubt)}

    def listed(self, states: tuple[str, ...], limit: int) -> list[dict[str, Any]]:
        """The messages without contents, oldest first."""
        marks = ", ".join("?" * len(states))
        columns = "id, lane, state, size, taken, tries, next, why, status, transfer"
        rows = self._all(
            f"select {columns} from message where state in ({marks}) order by number limit ?", *states, limit
        )
        return [dict(row) for row in rows]

    def doubts(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._all("select id, at from carried where status is null order by at")]

    def retry(self, ids: tuple[str, ...] | None, now: float) -> int:
        """Queue dead messages (None: all) again, with a new lifetime; waiting ones become due now."""
        return self._each(
            "update message set next = 0, ended = null, taken = case state when 'dead' then ? else taken "
            "end, state = 'queued'"
            " where state in ('dead', 'queued')",
            (now,),
            ids,
        )

    def discard(self, ids: tuple[str, ...]) -> int:
        return self._each("delete from message where state = 'dead'", (), ids)

    def settle(self, message_id: str) -> bool:
        """Forget a call on which the old system did not act: a repeat is passed on again."""
        with self._writing() as base:
            return base.execute("delete from carried where id = ? and status is null", (message_id,)).rowcount > 0

    def _each(self, sql: str, values: tuple[Any, ...], ids: tuple[str, ...] | None) -> int:
        with self._writing() as base:
            if ids is None:
                return base.execute(sql, values).rowcount
            return sum(base.execute(f"{sql} and id = ?", (*values, each)).rowcount for each in ids)

    def begin(
        self, message_id: str | None, body: bytes, replay_key: bytes, until: float, now: float, *, again: bool
    ) -> Carried | None:
        """Record the signature of a verified call, and its message as in progress.

        Returns the answer to an earlier call of the message, if any. Raises agent.replayed, agent.other-body, and
        agent.in-doubt unless `again` allows to pass it on again.
        """
        with self._writing() as base:
            base.execute("delete from seen where until < ?", (now - _SEEN_GRACE,))
            if base.execute("insert into seen values (?, ?) on conflict do nothing", (replay_key, until)).rowcount == 0:
                raise AGENT_REPLAYED()
            if message_id is None:
                return None
            digest = self._digest(message_id, body)
            row = base.execute("select * from carried where id = ?", (message_id,)).fetchone()
            if row is None:
                base.execute("insert into carried(id, digest, at) values (?, ?, ?)", (message_id, digest, now))
                return None
            if not hmac.compare_digest(bytes(row["digest"]), digest):
                raise AGENT_OTHER_BODY(message=message_id)
            if row["status"] is None:
                if again:
                    return None
                raise AGENT_IN_DOUBT(message=message_id)
            return Carried(
                row["status"], json.loads(row["headers"]), unseal(self._key, _context(message_id), row["body"])
            )

    def carried(self, message_id: str, answer: Carried) -> None:
        with self._writing() as base:
            base.execute(
                "update carried set status = ?, headers = ?, body = ? where id = ?",
                (
                    answer.status,
                    json.dumps(dict(answer.headers)),
                    seal(self._key, _context(message_id), answer.body),
                    message_id,
                ),
            )

    def forget(self, message_id: str) -> None:
        """Forget a call that certainly did not reach the old system."""
        with self._writing() as base:
            base.execute("delete from carried where id = ? and status is null", (message_id,))

    def _digest(self, lane: str, body: bytes) -> bytes:
        return hmac.digest(self._key, lane.encode() + b"\n" + body, "sha256")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._base.execute("begin immediate")
            try:
                yield self._base
            except BaseException:
                self._base.execute("rollback")
                raise
            self._base.execute("commit")

    def _one(self, sql: str, *values: Any) -> Any:
        with self._lock:
            return self._base.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._base.execute(sql, values).fetchall()


def _context(message_id: str) -> bytes:
    return b"agent/" + message_id.encode()

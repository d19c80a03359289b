"""Calls a system back when a transfer has ended that it asked to be answered later (`Prefer: respond-async`).

1. The intent's unit marks the queue's row `wanted`, if the system has a callback address in the registry.
2. Once the transfer has ended, the leading keeper posts a signed note to that address: which transfer, and how it
   ended. The note holds no content. The system fetches the answer itself, signed (`/transfers/{id}/answer`).
3. A call that fails is repeated by `POLICY`. A circuit breaker for each system bounds the calls to one that is away.
4. Its end is an entry of the log, in the transaction that marks the row `done` or `dead`.
5. Before a call the log is asked. Nothing is told of a transfer whose row is not as its entries are; it is looked at
   again later. A row that was marked `wanted` again, although the log has its end, gets that end.

Invariant: the address is that of the registry at the time of the call, never one from a message.
Invariant: a note tells what the log has. A row of the database alone tells nobody anything.
Invariant: at least once. After a keeper's death a note may come twice, under one transfer id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, select, update

from adapters.errors import PROVIDER_DOWN, ProviderFailure
from adapters.posting import SignedPosts
from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.delivery.breaker import Breakers, Rules
from gateway.delivery.errors import PROVIDER_NO_CALLBACK
from gateway.delivery.policy import RetryPolicy
from gateway.delivery.queue import CALLED, DEAD, DONE, UNCALLED, WANTED
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.registry.registry import Registry
from gateway.signals import spans, traces
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.transfer.states import FINAL, State
from gateway.vault.integrity import intent_of
from security.transparency.entry import Json

NOTE: Final = "callback"
POLICY: Final = RetryPolicy(first=2.0, longest=300.0, tries=20, seconds=86_400.0)
SECONDS: Final = 10.0  # for one call
AT_ONCE: Final = 32
EACH: Final = 4  # for one system
_AGAIN: Final = 600.0  # seconds until a transfer is looked at again whose row is not as signed
_queue: Final = tables.queue.c
_transfer: Final = tables.transfer.c
_logger: Final = logging.getLogger("lgsp.delivery")


class _End(NamedTuple):
    """What one call came to. `failure` is None if the system took the note; `at` is None if it is not repeated."""

    row: Row[Any]
    failure: str | None
    at: float | None
    counted: bool = True


@dataclass(slots=True)
class Callbacks:
    """One for each keeper; only the leading one runs it."""

    engine: Engine
    lock: FileLock | None
    registry: Registry
    posts: SignedPosts
    clock: Callable[[], float]
    rules: Rules = Rules()
    policy: RetryPolicy = POLICY
    seconds: float = SECONDS
    rng: Random = field(default_factory=Random)
    breakers: Breakers = field(init=False)

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.rules)

    async def run_once(self, lease: Lease) -> int:
        """Calls back what is due. Returns the number of calls."""
        due = await asyncio.to_thread(self._due, lease)
        if not due:
            return 0
        of: dict[str, list[Row[Any]]] = {}
        for row in due:
            of.setdefault(row.caller_system, []).append(row)
        ends = [each for some in await asyncio.gather(*map(self._system, of.values())) for each in some]
        await asyncio.to_thread(self._record, lease, ends)
        return sum(each.counted for each in ends)

    def _due(self, lease: Lease) -> list[Row[Any]]:
        now = self.clock()
        query = (
            select(tables.transfer, _queue.callback_tries, _queue.next_at)
            .select_from(tables.queue.join(tables.transfer, _transfer.id == _queue.transfer))
            .where(
                _queue.callback == WANTED,
                _queue.state.in_((DONE, DEAD)),
                _queue.callback_at <= now,
                _transfer.state.in_([each.value for each in FINAL]),
            )
            .order_by(_queue.callback_at, _queue.transfer)
            .limit(AT_ONCE)
        )
        due: list[Row[Any]] = []
        others: list[tuple[str, dict[str, Any]]] = []
        with self.engine.connect() as connection:
            for row in connection.execute(query).all():
                if ended := entry_of(connection, row.id, NOTE):
                    facts = ended.value.get("facts")
                    failed = isinstance(facts, dict) and "failure" in facts
                    others.append((row.id, {"callback": UNCALLED if failed else CALLED}))
                elif is_as_signed(connection, row):
                    due.append(row)
                else:
                    _logger.critical("transfer %s was changed in the database; nobody is told of its end", row.id)
                    others.append((row.id, {"callback_at": now + _AGAIN}))
        if others:
            with writing(self.engine, self.lock) as connection:
                leases.check(connection, lease)
                for id, values in others:
                    connection.execute(update(tables.queue).where(_queue.transfer == id).values(**values))
        return due

    async def _system(self, rows: list[Row[Any]]) -> list[_End]:
        """The calls to one system, a few at a time. While it rests, its others wait without a try."""
        ends: list[_End] = []
        for start in range(0, len(rows), EACH):
            ends += await asyncio.gather(*map(self._call, rows[start : start + EACH]))
        return ends

    async def _call(self, row: Row[Any]) -> _End:
        now, system = self.clock(), self.registry.snapshot.system(row.caller_system)
        if system is None or not system.active or system.callback is None:
            return self._failed(row, PROVIDER_NO_CALLBACK.code, None, now)
        breaker = self.breakers.of(system.id)
        wait = breaker.admit(now)
        if wait > 0:
            return _End(row, "", now + wait, counted=False)
        told, code, began = traces.outgoing(row.id), "", time.perf_counter()
        try:
            await self.posts.post(system.id, system.callback, row.id, note_of(row), self.seconds, told)
        except ProviderFailure as failure:
            code = failure.code
            breaker.failed(self.clock(), unreachable=failure.type is PROVIDER_DOWN)
            return self._failed(row, code, failure.retry_after, self.clock())
        except BaseException:
            code = "ended"
            breaker.abandoned()
            raise
        finally:
            took = time.perf_counter() - began
            spans.called("callback", None, told, took, code, system=system.id, transfer=row.id)
        breaker.succeeded()
        return _End(row, None, None)

    def _failed(self, row: Row[Any], code: str, retry_after: float | None, now: float) -> _End:
        ended = row.finished if row.finished is not None else row.committed
        again = self.policy.next_try(row.callback_tries + 1, ended, now, self.rng, retry_after=retry_after)
        return _End(row, code, again)

    def _record(self, lease: Lease, ends: list[_End]) -> None:
        now = self.clock()
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            for end in ends:
                tries = end.row.callback_tries + end.counted
                values: dict[str, Any] = {"callback_tries": tries}
                if end.counted:
                    values["callback_failure"] = end.failure
                if end.at is not None:
                    values["callback_at"] = end.at
                else:
                    values["callback"] = CALLED if end.failure is None else UNCALLED
                mine = update(tables.queue).where(_queue.transfer == end.row.id, _queue.callback == WANTED)
                if connection.execute(mine.values(**values)).rowcount == 1 and end.at is None:
                    facts: dict[str, Json] = {"system": end.row.caller_system, "tries": tries}
                    if end.failure is not None:
                        facts["failure"] = end.failure
                        _logger.warning("transfer %s: %s is not called back", end.row.id, end.row.caller_system)
                    append(connection, [entries.note(NOTE, facts, now, about=end.row.id)])


def is_as_signed(connection: Connection, row: Row[Any]) -> bool:
    """Whether the log has this transfer, and its end, as its row has them."""
    try:
        intent_of(connection, row)
    except Failure:
        return False
    outcome = entry_of(connection, row.id, "outcome")
    if outcome is None or not outcome.sound or row.finished is None:
        return False
    told = outcome.value
    signed = (told.get("status"), told.get("failure"), told.get("at"))
    went_well = row.state in (State.ANSWERED, State.ACCEPTED)
    return signed == (row.status, row.failure, rfc3339(row.finished)) and went_well == (row.failure is None)


def note_of(row: Any) -> bytes:
    """What a system is told. `row` has the columns of `transfer`."""
    told = {
        "transfer": row.id,
        "messageId": row.message_id,
        "contract": row.contract,
        "operation": row.operation,
        "state": row.state,
        "status": row.status,
        "failure": row.failure,
        "finished": rfc3339(row.finished) if row.finished is not None else None,
        "answer": f"/transfers/{row.id}/answer",
    }
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()

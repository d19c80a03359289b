"""Delivers feeds to their subscribers, in the keeper.

1. `run_once` takes up subscriptions with something to send, the longest due first. Each is served by a task of its own,
   and by one at a time. Those that fail have half of the places at most, so they hold up nobody.
2. A task sends one delivery after the other without a pause, up to ROUNDS; then it is another's turn.
3. Before anything is sent: the row is checked against its seals and the log, the grant decides anew, the range of the
   delivery is on disk, and so is an entry of the log that covers its events (`gateway.feeds.sessions`).
4. A delivery is taken when the receiver has answered 2xx, whole. Position and try are then one transaction. A keeper
   that dies before sends the same events again, in the same order, under the same id.
5. What is not taken is tried again by exponential back-off with full jitter; Retry-After counts within bounds. A
   receiver that failed for longer than `push_dead_seconds` is paused. 410 ends its subscription.
6. Before its first event, and after a change of its URL, a receiver has to echo a challenge that was signed as events
   are.
Invariant: no failure of one receiver delays another beyond its place in the rounds.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.delivery.policy import RetryPolicy
from gateway.exchange.quotas import Quotas, UsedUp
from gateway.feeds.sessions import NOTE, Reader, Sessions, counted
from gateway.journal.append import append
from gateway.journal.database import snapshot as moment_of
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.wakes import FEED, SLOW_SECONDS
from gateway.journal.write import LogRow, Verdict, Write
from gateway.journal.writer import Journal
from gateway.notices import store as notices
from gateway.push import keys, store
from gateway.push.batches import ONE, Allowed, Batch, Reading, allowed
from gateway.push.errors import PUSH_CHALLENGE, SUBSCRIPTION_ALTERED
from gateway.push.keys import PushKey
from gateway.push.posting import Limits, Outcome, Poster
from gateway.push.records import Cause, Form, HashId, State, Subscription
from gateway.push.store import Attempt, By
from gateway.registry.registry import Registry
from gateway.signals import meters, spans, traces
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security import webhooks
from security.http_signatures import HttpRequest, sign_request
from security.keys import SigningKey

AT_ONCE: Final = 32
FAILING: Final = AT_ONCE // 2  # places of those whose last try failed
ROUNDS: Final = 50  # deliveries of one turn
MOMENT: Final = 0.2  # seconds that one run waits for its tasks
HELD: Final = 30.0  # seconds after which what no grant allows is judged again
VERIFY_SECONDS: Final = 3600.0  # for which a challenge is repeated
CLOSING: Final = 10.0  # seconds between two looks for readings that have ended
LONGEST: Final = 300.0  # seconds between two tries
ALTERED: Final = "push-altered"  # the note of a row that was changed in the database
CHALLENGE: Final = "urn:lgsp:push:challenge"
_logger: Final = logging.getLogger("lgsp.push")
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Pusher:
    """One for each keeper. `key` signs by RFC 9421, and encrypted bodies."""

    engine: Engine
    lock: FileLock | None
    journal: Journal
    registry: Registry
    reading: Reading
    poster: Poster
    hash_id: HashId
    key: SigningKey
    clock: Callable[[], float]
    dead_seconds: float
    mails: bool = False  # whether the contact is told by mail that it was paused
    limits: Limits = Limits()
    rng: Random = field(default_factory=Random)
    quotas: Quotas = field(init=False)
    sessions: Sessions = field(default_factory=Sessions)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _failing: set[str] = field(default_factory=set)  # of the tasks
    _refused: dict[str, float] = field(default_factory=dict)  # altered rows: when they are looked at again
    _closed: float = 0.0
    _soon: bool = True  # whether one falls due before a slow look
    topic: ClassVar[str] = FEED

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.engine)

    async def run_once(self, lease: Lease) -> int:
        """Takes up what is due. Always 0: the next look is a moment later."""
        now, self._soon = self.clock(), False
        if now - self._closed >= CLOSING or now < self._closed:
            self._closed = now
            await self._close_sessions(all=False)
        if self.registry.snapshot.held_until <= now and len(self._tasks) < AT_ONCE:
            for id, failing, since in await asyncio.to_thread(self._due, now):
                self._soon = True
                if since > now or len(self._tasks) >= AT_ONCE or failing and len(self._failing) >= FAILING:
                    continue
                self._start(id, failing, lease)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=MOMENT)
        return 0

    def rests(self) -> bool:
        """A task ends after some rounds, although there may be more."""
        return not self._tasks and not self._soon

    async def finish(self, seconds: float = 10.0) -> None:
        """Ends its tasks and connections. What a task had sent and not recorded is sent again."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=seconds)
        for task in tuple(self._tasks.values()):
            task.cancel()
        await self._close_sessions(all=True)
        await self.poster.close()

    def _start(self, id: str, failing: bool, lease: Lease) -> None:
        task = asyncio.create_task(self._turn(id, lease))
        self._tasks[id] = task
        if failing:
            self._failing.add(id)

        def ended(_task: asyncio.Task[None]) -> None:
            del self._tasks[id]
            self._failing.discard(id)

        task.add_done_callback(ended)

    def _due(self, now: float) -> list[tuple[str, bool, float]]:
        """Also those that are due before a slow look."""
        with self.engine.connect() as connection:
            found = store.due(connection, now + max(SLOW_SECONDS), 4 * AT_ONCE)
        self._refused = {id: at for id, at in self._refused.items() if at > now}
        return [each for each in found if each[0] not in self._tasks and each[0] not in self._refused]

    async def _turn(self, id: str, lease: Lease) -> None:
        try:
            subscription: Subscription | None = await asyncio.to_thread(self._checked, id)
            for _ in range(ROUNDS):
                if subscription is None:
                    return
                if subscription.state == State.UNVERIFIED:
                    await self._challenge(subscription, lease)
                    return
                subscription = await self._deliver(subscription, lease)
        except Failure as failure:
            if failure.code == SUBSCRIPTION_ALTERED.code:
                await asyncio.to_thread(self._altered, id, str(failure.facts["column"]), lease)
            else:
                _logger.error("subscription %s: %s", id, failure)
        except Exception:
            _logger.exception("subscription %s: unexpected fault", id)

    def _checked(self, id: str) -> Subscription | None:
        with moment_of(self.engine) as connection:
            subscription = store.find(connection, id)
            store.check(connection, subscription, self.hash_id)
        due = subscription.state in (State.UNVERIFIED, State.ACTIVE) and subscription.next_at <= self.clock()
        return subscription if due else None

    def _altered(self, id: str, column: str, lease: Lease) -> None:
        """Told once in ten minutes while it stays so."""
        now = self.clock()
        self._refused[id] = now + 600.0
        _logger.critical("subscription %s was changed in the database (%s); nothing is sent by it", id, column)
        self._write(lease, lambda connection: append(connection, [_note(ALTERED, {"subscription": id}, now)]))

    # --- deliveries ---------------------------------------------------------------------------------------------------

    async def _deliver(self, subscription: Subscription, lease: Lease) -> Subscription | None:
        """One try. The subscription as it stands then if there is more to send at once."""
        now = self.clock()
        reserved = subscription
        try:
            by = allowed(subscription, self.registry.snapshot, self.quotas, now)
            if subscription.upto is None:
                found = await self._written(lease, lambda c: store.reserve(c, subscription, self.hash_id))
                if found is None:
                    return None
                reserved = found
            batch = await self._logged(reserved, by)
            if batch is None:
                return None
            signing = await asyncio.to_thread(self._keys, lease)
        except Failure as failure:
            code, at = failure.code, now + min(max(HELD, float(failure.retry_after or 0)), 3600.0)
            await self._written(lease, lambda c: store.put_off(c, reserved, code, at))
            return None
        id = f"{subscription.id}-{subscription.replays}-{batch.first}-{batch.last}"
        headers = self._headers(subscription, id, batch.content_type, batch.body, signing)
        told = {**headers, **traces.outgoing(id)}
        outcome = await self.poster.post(subscription.url, batch.body, told, self.limits, subscription.system)
        code = "" if outcome.failure is None else outcome.failure.code
        meters.push(subscription.system, code or "taken", outcome.milliseconds / 1000)
        spans.called("push", None, told, outcome.milliseconds / 1000, code, system=subscription.system, delivery=id)
        attempt = _attempt(self.clock(), id, batch.span.events, outcome)
        if outcome.failure is None:
            after = await self._written(lease, lambda c: store.taken(c, reserved, batch.last, attempt, self.hash_id))
            return None if after is None or after.upto is None else after
        await self._not_taken(reserved, attempt, outcome, lease, self.dead_seconds)
        return None

    async def _logged(self, subscription: Subscription, by: Allowed) -> Batch | None:
        """The next delivery; an entry of the log covers it, and quotas have counted it."""
        while True:
            batch = await asyncio.to_thread(self.reading.batch, subscription, by)
            if batch is None:
                return None
            try:
                await self._told(batch, subscription, by)
                return batch
            except UsedUp as full:  # at most once for each grant: read again without it
                by = by._replace(decision=self.quotas.without(by.query, by.decision, full))

    async def _told(self, batch: Batch, subscription: Subscription, by: Allowed) -> None:
        now, reader, span = self.clock(), batch.reader, batch.span
        if by.decision.limited:
            facts = counted(reader, span) | {"subscription": subscription.id}
            await self._commit(Write(log=(_read(reader, facts, now),), quota=batch.uses))
            return
        async with self.sessions.entry:
            if self.sessions.covered(reader, span, now):
                return
            due = self.sessions.due(reader, span, now)
            await self._commit(Write(log=(_read(reader, {**due.facts, "subscription": subscription.id}, now),)))
            self.sessions.committed(reader, due, now)

    async def _commit(self, write: Write) -> None:
        written = await self.journal.commit(write)
        if written.verdict is Verdict.FULL:
            raise UsedUp(written.full)
        if written.verdict is not Verdict.COMMITTED:
            raise RuntimeError("this keeper was declared dead")

    async def _not_taken(
        self, subscription: Subscription, attempt: Attempt, outcome: Outcome, lease: Lease, seconds: float
    ) -> None:
        """Records the try. The subscription ends, is paused, or gets the time of its next try."""
        now = attempt.at
        policy = RetryPolicy(first=1.0, longest=LONGEST, tries=10**9, seconds=seconds)
        since = subscription.failing if subscription.failing is not None else now
        after = outcome.retry_after
        again = policy.next_try(subscription.tries + 1, since, now, self.rng, retry_after=after)

        def record(connection: Connection) -> None:
            if not store.failed(connection, subscription, attempt, now if again is None else again):
                return
            stands = store.find(connection, subscription.id)
            if outcome.gone:
                store.end(connection, stands, By("gateway", now, Cause.RECEIVER), self.hash_id)
            elif again is None:
                paused = store.pause(connection, stands, By("gateway", now, Cause.DEAD), self.hash_id)
                if self.mails:
                    _tell_contact(connection, paused, since, attempt)

        await self._written(lease, record)
        if again is None:
            _logger.warning("subscription %s is paused: %s", subscription.id, attempt.failure)

    # --- challenges ---------------------------------------------------------------------------------------------------

    async def _challenge(self, subscription: Subscription, lease: Lease) -> None:
        now, word = self.clock(), secrets.token_urlsafe(24)
        id = f"{subscription.id}-challenge-{subscription.revision}-{secrets.token_hex(4)}"
        data = {"subscription": subscription.id, "contract": subscription.contract, "challenge": word}
        event = {
            "specversion": "1.0",
            "id": id,
            "source": "urn:lgsp:gateway",
            "type": CHALLENGE,
            "time": rfc3339(now),
            "datacontenttype": "application/json",
            "data": data,
        }
        body = json.dumps(event).encode()
        headers = self._headers(subscription, id, ONE, body, await asyncio.to_thread(self._keys, lease))
        outcome = await self.poster.post(subscription.url, body, headers, self.limits, subscription.system)
        if outcome.failure is None and not _echoed(outcome.body, word):
            outcome = outcome._replace(failure=PUSH_CHALLENGE(status=outcome.status))
        attempt = _attempt(self.clock(), id, 0, outcome)
        if outcome.failure is not None:
            await self._not_taken(subscription, attempt, outcome, lease, VERIFY_SECONDS)
            return

        def record(connection: Connection) -> None:
            if store.failed(connection, subscription, attempt, now):  # the try itself; `verified` clears its traces
                stands = store.find(connection, subscription.id)
                store.verified(connection, stands, By("gateway", attempt.at, Cause.NONE), self.hash_id)

        await self._written(lease, record)

    # --- common -------------------------------------------------------------------------------------------------------

    def _headers(
        self, subscription: Subscription, id: str, content_type: str, body: bytes, signing: tuple[PushKey, ...]
    ) -> Mapping[str, str]:
        now = self.clock()
        if subscription.form == Form.WEBHOOKS:
            signed = webhooks.signed(id, int(now), body, [each.private for each in signing])
            return {"content-type": content_type, "lgsp-subscription": subscription.id, **signed}
        headers = {"content-type": content_type, "idempotency-key": f'"{id}"', "lgsp-caller": "gateway"}
        request = HttpRequest("POST", subscription.url, headers, body)
        return {**headers, "lgsp-subscription": subscription.id, **sign_request(request, self.key, now)}

    def _keys(self, lease: Lease) -> tuple[PushKey, ...]:
        """The keys that sign now; the first one is made when it is needed."""
        now = self.clock()
        with self.engine.connect() as connection:
            found = keys.in_force(connection, self.hash_id, now)
        if not found:
            self._write(lease, lambda connection: keys.make(connection, self.hash_id, now))
            with self.engine.connect() as connection:
                found = keys.in_force(connection, self.hash_id, now)
        return found

    async def _written(self, lease: Lease, change: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._write, lease, change)

    def _write(self, lease: Lease, change: Callable[[Connection], T]) -> T:
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            return change(connection)

    async def _close_sessions(self, *, all: bool) -> None:
        now = self.clock()
        log = tuple(_read(reader, facts, now) for reader, facts in self.sessions.closing(now, all=all))
        try:
            if log:
                await self.journal.commit(Write(log=log))
        except Exception:  # the entries that opened them stand, with their range as the upper bound
            _logger.exception("the end of %d readings could not be logged", len(log))


def _tell_contact(connection: Connection, paused: Subscription, since: float, attempt: Attempt) -> None:
    waiting = store.waiting(connection, paused).events
    facts = {
        "subscription": paused.id,
        "feed": paused.contract,
        "host": urlsplit(paused.url).hostname,
        "since": rfc3339(since),
        "waiting": waiting if waiting < store.COUNTED else f"≥ {waiting}",
        "failure": attempt.failure,
    }
    notices.put(connection, "push-paused", paused.id, paused.system, facts, attempt.at)


def _read(reader: Reader, facts: Mapping[str, Any], now: float) -> LogRow:
    return entries.note(NOTE, facts, now, actor=reader.system)


def _note(what: str, facts: Mapping[str, Any], now: float) -> LogRow:
    return entries.note(what, facts, now)


def _attempt(at: float, id: str, events: int, outcome: Outcome) -> Attempt:
    failure = outcome.failure.code if outcome.failure is not None else None
    return Attempt(at, id, events, outcome.milliseconds, outcome.status, failure)


def _echoed(body: bytes, word: str) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    echo = answer.get("challenge") if isinstance(answer, dict) else None
    return isinstance(echo, str) and hmac.compare_digest(echo.encode(), word.encode())

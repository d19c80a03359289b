"""Queues submissions that the gateway did not take, and retries them until they are delivered or dead.

Lanes (contract and operation) are independent; within a lane messages are sent in order. Waits grow exponentially with
full jitter (tenacity), and end at the next proven answer of the gateway.
Invariant: a message leaves the queue only when the gateway answered it, or dead with a readable reason.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import tenacity

from contracts.base.errors import Failure
from gateway.agent.config import DAY, QueueBounds
from gateway.agent.errors import AGENT_FAULT, AGENT_TOO_OLD
from gateway.agent.link import Away, Link, Passed
from gateway.agent.store import LONGEST_PAUSE, Message, Store

log = logging.getLogger("lgsp.agent")
_LANES: Final = 8  # sent at the same time
_LOOK: Final = 0.5
_UNPROVEN_TRIES: Final = 20  # an unsigned refusal is final only after so many tries
_PRUNE_EVERY: Final = 3600.0
_GROWING: Final = tenacity.wait_exponential(multiplier=1.0, max=120.0)
_STATE: Final = tenacity.Retrying()


def pause(tries: int, retry_after: int | None, rng: random.Random) -> float:
    """Seconds until the next try after `tries` failures."""
    state = tenacity.RetryCallState(_STATE, None, (), {})
    state.attempt_number = max(1, min(tries, 12))
    widest = float(_GROWING(state))
    return max(0.2, rng.uniform(0.0, widest), min(float(retry_after or 0), LONGEST_PAUSE))


class Queue:
    """Retries the submissions of a store. The store runs in a thread of its own."""

    def __init__(self, store: Store, link: Link, bounds: QueueBounds) -> None:
        self._store, self._link, self._bounds = store, link, bounds
        self._thread = ThreadPoolExecutor(1, "store")
        self._rng = random.Random()
        self._wake = asyncio.Event()
        self._waiting = False
        self._busy: set[str] = set()
        link.reached = self._reached

    async def in_thread(self, work: Any, *of: Any, **named: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *of, **named))

    def take_number(self) -> int:
        return self._store.take_number()

    async def must_wait(self, message: Message) -> bool:
        """Whether this message or others of its lane wait already; then it must not overtake them."""
        state = await self.in_thread(self._store.state, message.id, message.lane, message.body)
        waits: bool = state == "queued" or state != "sent" and await self.in_thread(self._store.waits, message.lane)
        return waits

    async def put(self, message: Message) -> str:
        """Store a message durably; returns its state."""
        state: str = await self.in_thread(self._store.put, message, self._bounds)
        self._waiting = True
        self._wake.set()
        return state

    def _reached(self) -> None:
        if self._waiting:
            self._waiting = False
            self._thread.submit(self._store.hurry)
            self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        pruned = 0.0
        await self.in_thread(self._store.hurry)  # try the messages of an earlier run at once
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                now = time.time()
                if now - pruned > _PRUNE_EVERY:
                    await self.in_thread(self._store.prune, now)
                    pruned = now
                for message in await self.in_thread(self._store.due, now, _LANES, frozenset(self._busy)):
                    if message.lane not in self._busy and len(self._busy) < _LANES:
                        self._busy.add(message.lane)
                        task = asyncio.create_task(self._deliver(message))
                        under_way.add(task)
                        task.add_done_callback(under_way.discard)
                self._wake.clear()
                try:
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _deliver(self, message: Message) -> None:
        """One try. An interrupted try is repeated under the same id, which the gateway recognises."""
        try:
            result = await self._link.send(message.id, message.call, message.body)
            await self._settle(message, result)
        except Failure as failure:  # it can never be sent in this form
            log.warning("message %s is dead: %s", message.id, failure.code)
            await self.in_thread(
                self._store.ended, message.number, "dead", time.time(), why=f"{failure.code}: {failure.what('en')}"
            )
        except Exception:
            log.exception("message %s: unforeseen fault; tried again later", message.id)
            await self.in_thread(self._store.later, message.number, time.time() + 60, AGENT_FAULT.code)
        finally:
            self._busy.discard(message.lane)
            self._wake.set()

    async def _settle(self, message: Message, result: Passed | Away) -> None:
        now, ended = time.time(), partial(self.in_thread, self._store.ended, message.number)
        if isinstance(result, Passed) and not result.refused:
            await ended("sent", now, status=result.status, transfer=result.transfer)
            return
        if isinstance(result, Passed):
            why, after = f"{result.code} (status {result.status})", result.retry_after
            if not result.again or (
                not result.proven
                and result.status in (400, 404, 405, 413, 415, 422)
                and message.tries >= _UNPROVEN_TRIES
            ):
                log.warning("message %s is dead: %s", message.id, why)
                await ended("dead", now, why=why, status=result.status, transfer=result.transfer)
                return
        else:
            why, after = result.reason, None
        if now - message.taken > self._bounds.days * DAY:
            failure = AGENT_TOO_OLD(days=f"{self._bounds.days:g}", reason=why)
            log.warning("message %s is dead: %s", message.id, why)
            await ended("dead", now, why=f"{failure.code}: {why}")
            return
        self._waiting = True
        await self.in_thread(self._store.later, message.number, now + pause(message.tries + 1, after, self._rng), why)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

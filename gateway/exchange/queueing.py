"""Gives a new message its place in the queue: priority, order, and the callback to its sender; refuses it if too many
wait.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine, select

from contracts.compiled.identity import key_from
from gateway.delivery.queue import PRIORITIES, WAITING, WANTED
from gateway.exchange.errors import QUEUE_FULL
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow, TransferRow
from gateway.transfer.stages import Decoded

WAITING_MOST: Final = 100_000  # messages that may wait for one provider
FRESH: Final = 2.0  # seconds
RETRY_SECONDS: Final = 30


def first_place(decoded: Decoded, row: TransferRow, hash_id: Callable[[str], str], now: float) -> QueueRow:
    """The row of a message that is forwarded from the queue. `row.provider` is set."""
    requested = decoded.requested
    assert row.provider is not None
    return QueueRow(
        transfer=row.id,
        provider=row.provider,
        body_ref=f"{row.id}/canonical",
        next_at=now,
        priority=PRIORITIES[requested.operation.priority],
        order_key=order_key(decoded, row.provider, hash_id),
        callback=WANTED if requested.respond_async and requested.caller.callback is not None else None,
    )


def order_key(decoded: Decoded, provider: str, hash_id: Callable[[str], str]) -> str | None:
    """The keyed hash of the values in whose order this provider gets the messages of a contract; None: in any order."""
    requested = decoded.requested
    if not requested.operation.order:
        return None
    key = key_from(decoded.message, requested.operation.order)
    return hash_id("order\n" + json.dumps([requested.contract.contract.name, provider, key]))


class Backlog:
    """Refuses messages for a provider that too many wait for already: a full queue is told, it does not grow on.

    The number is counted at most once in `FRESH` seconds for each provider, off the event loop.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float], most: int = WAITING_MOST) -> None:
        self._engine: Final = engine
        self._clock: Final = clock
        self._most: Final = most
        self._counted: dict[str, tuple[float, bool]] = {}

    async def check(self, provider: str) -> None:
        """Raises `queue.full` with the time to come again."""
        now = self._clock()
        at, full = self._counted.get(provider, (-math.inf, False))
        if not 0 <= now - at < FRESH:
            full = await asyncio.to_thread(self._full, provider)
            self._counted[provider] = (now, full)
        if full:
            raise QUEUE_FULL(retry_after=RETRY_SECONDS, system=provider, most=self._most)

    def _full(self, provider: str) -> bool:
        queue = tables.queue.c
        waiting = select(queue.transfer).where(queue.state == WAITING, queue.provider == provider)
        with self._engine.connect() as connection:
            return connection.scalar(waiting.offset(self._most - 1).limit(1)) is not None

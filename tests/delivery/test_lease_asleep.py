"""A leading keeper that falls asleep within a transaction of the queue does not hold the lease while it sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from gateway.delivery.queue import Taking, bring_forward, take_due
from gateway.journal.database import lock_of, writing
from gateway.transfer import lease as leases
from tests.delivery.posting import Post

ASLEEP = {"postgresql": 8.0, "sqlite": 1.0}  # where others do not wait, long enough for a busy machine
LIMIT = 0.5


class Sleeper:
    """Holds up the first statement that starts with `text`: the process is paused while its transaction is open."""

    def __init__(self, text: str, seconds: float) -> None:
        self.seconds, self.text, self.asleep, self.slept = seconds, text, asyncio.Event(), False
        self.loop = asyncio.get_running_loop()

    def __call__(self, _connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if not self.slept and statement.startswith(self.text):
            self.slept = True
            self.loop.call_soon_threadsafe(self.asleep.set)
            time.sleep(self.seconds)


@pytest.mark.sampled("sqlite-*")
@pytest.mark.parametrize("work", ["take", "bring forward"])
async def test_a_keeper_that_falls_asleep_in_the_queue_loses_the_lease(
    post: Post, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL another keeper leads soon and the sleeper has written nothing. SQLite is of one machine: its
    writers wait for each other.
    """
    monkeypatch.setattr(leases, "SLEEP_SECONDS", LIMIT)
    failure = {"last_failure": "provider.down", "next_at": post.clock[0] + 60.0} if work != "take" else {}
    transfer = await post.put_aside()
    post.set_queue(transfer, **failure)
    seconds, lock = ASLEEP[post.engine.dialect.name], lock_of(post.engine)
    sleeper = Sleeper("UPDATE queue" if work == "take" else "UPDATE queue SET next_at", seconds)
    event.listen(post.engine, "before_cursor_execute", sleeper)

    def run() -> None:
        if work == "take":
            take_due(post.engine, lock, post.lease, Taking("keeper-1", post.clock[0], 8))
        else:
            bring_forward(post.engine, lock, post.lease, "truong-ha", post.clock[0])

    def overtake() -> leases.Lease | None:
        """As a keeper of another machine, where there may be one: it shares no lock of this process."""
        elsewhere = post.engine.dialect.name == "postgresql"
        with post.engine.begin() if elsewhere else writing(post.engine) as connection:
            return leases.take(connection, "keeper-2", post.clock[0], over="keeper-1")

    working = asyncio.create_task(asyncio.to_thread(run))
    await sleeper.asleep.wait()
    began = time.monotonic()
    assert await asyncio.to_thread(overtake) is not None
    waited = time.monotonic() - began
    if post.engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError):
            await working
        assert waited < seconds - LIMIT
        assert post.row(transfer)["state"] == "queued" and post.queued(transfer)["next_at"] >= post.clock[0]
    else:
        await working
    event.remove(post.engine, "before_cursor_execute", sleeper)

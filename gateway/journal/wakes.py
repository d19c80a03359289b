"""Wakes who waits for what another process committed, so that nobody has to look often (PostgreSQL alone).

Theory of operation:
1. Each process has one connection that listens. What it hears is no truth: it only ends a wait early.
2. Whoever waits looks again after `SLOW_SECONDS` while the listener is connected, else as often as before. So a message
   that was lost costs a moment, and SQLite stays as it is.
3. Messages are sent after the commit, not in it: PostgreSQL lets one transaction with a message commit at a time, and
   would hold that lock until the standby has answered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Engine, text

CHANNEL: Final = "lgsp"
PENDING, QUEUE, LOG, FEED = TOPICS = ("pending", "queue", "log", "feed")
SLOW_SECONDS: Final = 1.5
_ALIVE_SECONDS: Final = 5.0  # after so long without a message the server is asked whether it is there
_AGAIN_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)


class Waker:
    """One who waits for a topic, in one event loop. A message between two waits ends the next one at once."""

    def __init__(self, wakes: Wakes, topic: str) -> None:
        self.topic: Final = topic
        self._wakes: Final = wakes
        self._event: Final = asyncio.Event()
        self._loop: Final = asyncio.get_running_loop()

    def wake(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float, *, slow: float = SLOW_SECONDS) -> bool:
        """Until a message, or so many seconds; up to `slow` while the listener is connected. Whether one came."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(seconds, slow) if self._wakes.connected else seconds):
                    await self._event.wait()
        came = self._event.is_set()
        self._event.clear()
        return came


class Wakes:
    """Of one process. Without `start` nobody is woken, and all wait as long as they say."""

    def __init__(self) -> None:
        self.connected = False
        self._wakers: Final[weakref.WeakSet[Waker]] = weakref.WeakSet()
        self._adding: Final = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._pipe: tuple[int, int] | None = None

    def waker(self, topic: str) -> Waker:
        made = Waker(self, topic)
        with self._adding:
            self._wakers.add(made)
        return made

    def wake(self, topics: Iterable[str]) -> None:
        wanted = set(topics)
        with self._adding:
            wakers = [each for each in self._wakers if each.topic in wanted]
        for each in wakers:
            each.wake()

    def start(self, engine: Engine) -> None:
        """Listens in a thread of its own, until `stop`. Nothing on SQLite."""
        if engine.dialect.name == "postgresql":
            self._pipe = os.pipe()
            self._thread = threading.Thread(target=self._run, args=(engine, self._pipe[0]), name="wakes", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        if self._thread is not None and self._pipe is not None:
            self._stopping = True
            os.write(self._pipe[1], b".")
            self._thread.join()
            for each in self._pipe:
                os.close(each)

    def _run(self, engine: Engine, told: int) -> None:
        while not self._stopping:
            try:
                self._listen(engine, told)
            except Exception as error:  # its waits are short again meanwhile
                _log.debug("not listening: %s", error)
            self.connected = False
            if not self._stopping:
                select.select([told], [], [], _AGAIN_SECONDS)

    def _listen(self, engine: Engine, told: int) -> None:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()  # its place in the pool is free again
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            self.connected = True
            self.wake(TOPICS)  # what came before
            poll = select.poll()
            poll.register(driver.fileno(), select.POLLIN)
            poll.register(told, select.POLLIN)
            while not self._stopping:
                if not poll.poll(_ALIVE_SECONDS * 1000):
                    driver.execute("SELECT 1")
                driver.pgconn.consume_input()
                while (message := driver.pgconn.notifies()) is not None:
                    self.wake(message.extra.decode("ascii", "replace").split())
        finally:
            driver.close()


_WAKES: Final[weakref.WeakKeyDictionary[Engine, Wakes]] = weakref.WeakKeyDictionary()


def wakes_of(engine: Engine) -> Wakes:
    """Those of the process that works with this engine."""
    return _WAKES.setdefault(engine, Wakes())


def send(engine: Engine, topics: Iterable[str]) -> None:
    """Wakes who waits for these, in all processes. A message that cannot be sent is no trouble: they look."""
    words = " ".join(sorted(topics))
    if engine.dialect.name == "postgresql" and words:
        with suppress(Exception), engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("SELECT pg_notify(:channel, :words)"), {"channel": CHANNEL, "words": words})

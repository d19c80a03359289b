"""Wakes who waits for what another process committed, so that nobody has to look often.

Theory of operation:
1. Whoever waits has a `Waker` of a topic. As long as there is one, its process has a connection that listens. What that
   hears is no truth: it only ends a wait early.
2. Whoever waits also looks by itself: every one to two seconds while that connection stands (for orders, every four to
   five), else as often as it says. So a message that was lost costs a moment.
3. On PostgreSQL messages are sent after the commit, by a transaction of their own. PostgreSQL commits transactions with
   messages one after the other, and in the commit each would hold the others up until disk and standby have it. Alone
   it waits for neither.
4. Messages carry no data. Those of one writer that follow each other closely are one.
5. SQLite has no messages. There a thread looks whether another connection committed (`PRAGMA data_version`, which reads
   a number in shared memory), and only then asks for which topics something is new: one look for all who wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import select
import threading
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Engine

from gateway.journal.write import Write

# Rows to be sequenced; messages to deliver; new events; orders that the keeper carries out (`gateway.journal.jobs`).
PENDING, QUEUE, FEED, ORDERS = TOPICS = ("pending", "queue", "feed", "orders")
SLOW_SECONDS: Final = (1.0, 2.0)  # between two looks while a message would come
SLOW_ORDERS: Final = (4.0, 5.0)  # the same, for orders
LOOK_SECONDS: Final = 0.1  # between two looks of all who wait, on SQLite
GAP_SECONDS: Final = 0.1  # between two looks, however many messages come
TELL_SECONDS: Final = 0.05  # between two messages of one writer
BUSY_SECONDS: Final = 0.15  # more, while units wait for it
ALIVE_SECONDS: Final = 5.0  # after so long without a message the server is asked whether it is there
LISTENER: Final = "lgsp-listener"  # name of the connection, for `pg_stat_activity`
_AGAIN_SECONDS: Final = 1.0
_PREFIX: Final = "lgsp_"
_INFO: Final = "lgsp_wakes"
# A message falls due before a slow look. Rows of events are only added, and so are orders.
_WAITS: Final = """
SELECT EXISTS (SELECT 1 FROM log_pending) OR EXISTS (SELECT 1 FROM feed_pending),
    EXISTS (SELECT 1 FROM queue WHERE state = 'waiting' AND next_at < ?),
    (SELECT max(rowid) FROM feed_event), (SELECT max(rowid) FROM console_job)
"""
_log: Final = logging.getLogger(__name__)


# --- those who wait ---------------------------------------------------------------------------------------------------
class Waker:
    """Of one who waits, in one event loop. A message between two waits ends the next one."""

    def __init__(self, listener: Listener, topic: str) -> None:
        self.topic: Final = topic
        self._listener: Final = listener
        self._event: Final = asyncio.Event()
        self._loop: Final = asyncio.get_running_loop()

    @property
    def connected(self) -> bool:
        """Whether messages come."""
        return self._listener.connected

    def pause(self, seconds: float) -> float:
        """How long to wait: `seconds`, or longer while messages come."""
        slow = SLOW_ORDERS if self.topic == ORDERS else SLOW_SECONDS
        return max(seconds, random.uniform(*slow)) if self.connected else seconds  # noqa: S311

    def wake(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> bool:
        """Until a message, or so many seconds; whether there was one."""
        gap = min(seconds, GAP_SECONDS)
        await asyncio.sleep(gap)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - gap):
                await self._event.wait()
        came = self._event.is_set()
        self._event.clear()
        return came


class Listener:
    """The connection of one process and engine. Its thread ends when nobody waits any more."""

    def __init__(self, engine: Engine) -> None:
        self.connected = False
        self._engine: Final = weakref.ref(engine)
        self._wakers: Final[weakref.WeakSet[Waker]] = weakref.WeakSet()
        self._lock: Final = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ends: tuple[int, int] = (-1, -1)  # of a pipe that wakes the thread

    def waker(self, topic: str) -> Waker:
        """For the running event loop. For a database in memory it never gets a message."""
        made, engine = Waker(self, topic), self._engine()
        if engine is not None and engine.url.database not in (None, "", ":memory:"):
            with self._lock:
                self._wakers.add(made)
                if self._thread is None:
                    self._ends = os.pipe()
                    self._thread = threading.Thread(target=self._run, args=(engine,), name="wakes", daemon=True)
                    self._thread.start()
                else:
                    os.write(self._ends[1], b".")
        return made

    def _wake(self, topics: Iterable[str]) -> None:
        with self._lock:
            wakers = [each for each in self._wakers if each.topic in topics]
        for each in wakers:
            each.wake()

    def _wanted(self) -> set[str]:
        with self._lock:
            return {each.topic for each in self._wakers}

    def _over(self) -> bool:
        """Whether nobody waits any more. Then the next who does starts another thread."""
        with self._lock:
            if self._wakers:
                return False
            self._thread = None
            for end in self._ends:
                os.close(end)
            return True

    def _run(self, engine: Engine) -> None:
        while not self._over():
            try:
                (self._listen if engine.dialect.name == "postgresql" else self._watch)(engine)
            except Exception as error:  # the database is away: all look often meanwhile
                if self.connected:
                    _log.warning("the database wakes nobody: %s", str(error).partition("\n")[0])
            if self.connected:
                self.connected = False
                self._wake(TOPICS)  # from now on it is looked for
            time.sleep(_AGAIN_SECONDS)

    def _listen(self, engine: Engine) -> None:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()  # its place in the pool is free
        try:
            driver.autocommit = True
            driver.execute(f"SET application_name = '{LISTENER}'")
            driver.limits = driver.limits._replace(patient=False)  # what it asks takes no time
            driver.add_notify_handler(lambda message: self._heard(message.channel))  # of those that come with an answer
            poll, heard = select.poll(), set[str]()
            for descriptor in (driver.fileno(), self._ends[0]):
                poll.register(descriptor, select.POLLIN)
            while wanted := self._wanted():
                for topic in wanted - heard:
                    driver.execute(f"LISTEN {_PREFIX}{topic}")
                if wanted - heard:
                    self.connected = True
                    self._wake(wanted - heard)  # what came before
                    heard |= wanted
                ready = {descriptor for descriptor, _ in poll.poll(ALIVE_SECONDS * 1000)}
                if self._ends[0] in ready:
                    os.read(self._ends[0], 4096)
                if not ready:
                    driver.execute("SELECT 1")
                newest = driver.presence.server
                if newest is not None and driver.server is not None and newest.timeline > driver.server.timeline:
                    raise ConnectionError("another server was promoted")
                if driver.fileno() in ready:
                    driver.pgconn.consume_input()
                while (message := driver.pgconn.notifies()) is not None:
                    self._heard(message.relname.decode("ascii", "replace"))
        finally:
            driver.close()

    def _heard(self, channel: str) -> None:
        self._wake((channel.removeprefix(_PREFIX),))

    def _watch(self, engine: Engine) -> None:
        """On SQLite."""
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        try:
            poll, known, version, before = select.poll(), set[str](), None, (None, None)
            poll.register(self._ends[0], select.POLLIN)
            while wanted := self._wanted():
                (committed,) = driver.execute("PRAGMA data_version").fetchone()
                if committed != version:
                    pending, queue, *newest = driver.execute(_WAITS, (time.time() + max(SLOW_SECONDS),)).fetchone()
                    new = (bool(pending), bool(queue), newest[0] != before[0], newest[1] != before[1])
                    self._wake({topic for topic, is_new in zip(TOPICS, new, strict=True) if is_new})
                    version, before = committed, tuple(newest)
                if wanted - known:
                    self.connected = True
                    self._wake(wanted - known)  # what came before
                    known |= wanted
                if poll.poll(LOOK_SECONDS * 1000):
                    os.read(self._ends[0], 4096)
        finally:
            driver.close()


_LISTENERS: Final[weakref.WeakKeyDictionary[Engine, Listener]] = weakref.WeakKeyDictionary()


def waker(engine: Engine, topic: str) -> Waker:
    """For the running event loop, of what is committed to this database."""
    return _LISTENERS.setdefault(engine, Listener(engine)).waker(topic)


# --- those who write --------------------------------------------------------------------------------------------------
def topics_of(units: Iterable[Write]) -> set[str]:
    topics = set[str]()
    for unit in units:
        if unit.log or unit.feed:
            topics.add(PENDING)
        if unit.queue is not None:
            topics.add(QUEUE)
    return topics


def announce(connection: Connection, topics: Iterable[str]) -> None:
    """To be told once the caller's transaction is committed (`gateway.journal.database.writing`)."""
    if connection.dialect.name == "postgresql":
        connection.info.setdefault(_INFO, set()).update(topics)


def tell(connection: Connection) -> None:
    """Tells what was announced."""
    if connection.dialect.name != "postgresql":
        return
    topics = connection.info.pop(_INFO, None)
    driver: Any = connection.connection.driver_connection
    if topics and driver is not None:
        with suppress(Exception):  # who waits looks soon; a lost connection is found by the next who takes it
            driver.autocommit = True
            try:
                driver.execute(_statement(frozenset(topics)))
            finally:
                driver.autocommit = False


class News:
    """What the journal of one process has to tell. `at`: when, by the monotonic clock."""

    def __init__(self) -> None:
        self.at = float("inf")
        self._topics: Final = set[str]()
        self._told = 0.0

    def add(self, units: Iterable[Write]) -> None:
        self._topics.update(topics_of(units))
        if self._topics:
            self.at = min(self.at, max(time.monotonic(), self._told + TELL_SECONDS))

    def due(self, *, idle: bool) -> bool:
        return time.monotonic() >= self.at + (0.0 if idle else BUSY_SECONDS)

    def tell(self, cursor: Any) -> None:
        """`cursor`: outside of a transaction; None without a connection: who waits looks soon."""
        if self._topics and cursor is not None:
            with suppress(Exception):  # as above
                cursor.execute(_statement(frozenset(self._topics)))
        self._topics.clear()
        self.at, self._told = float("inf"), time.monotonic()


@lru_cache
def _statement(topics: frozenset[str]) -> str:
    return "SELECT " + ", ".join(f"pg_notify('{_PREFIX}{topic}', '')" for topic in sorted(topics))

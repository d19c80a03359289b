"""The journal: one writer thread per process, group commit.

Theory of operation:
1. `commit()` puts a unit in the queue and returns a future. The thread takes up to 256 waiting units as one
   transaction.
2. Written rows are read back before COMMIT (`gateway.journal.readback`). After the synced commit all futures of the
   batch are resolved by one call into the event loop. *Acknowledged* means on disk.
3. A unit is refused alone (`gateway.journal.batch`). A failure of the database refuses the batch; the writer continues
   with a new connection. A connection that broke before COMMIT left nothing: the batch is written again.
4. If the connection breaks during COMMIT, or no standby confirms it, the journal asks the database afterwards whether
   the transaction was committed: by its number, or on a server that was promoted since, by what it wrote. If not, the
   batch is written again. If it was, a later commit that the standby confirms proves that it has this one too. If
   nobody can tell, its callers get an error. If it was committed all the same, and left transfers open, the next
   transaction takes them from this process, and the keeper recovers them.
5. The thread also beats the row of this process, so that a process which cannot write does not count as alive. While
   that fails it is tried again, more and more seldom; while PostgreSQL is away, twice a second. A beat needs no room on
   the disk: after a failure it counts only where there is some (`gateway.journal.room`).
6. Without a connection `commit` refuses at once, so that nobody waits for a database that is away.
7. After a commit who waits for the rows is woken (`gateway.journal.wakes`).
8. A caller waits for a limited time, also behind others (`gateway.journal.callers`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from sqlalchemy import Engine

from gateway.journal import batch, processes
from gateway.journal.callers import Results, Waiting, answer, too_late, until, waiting
from gateway.journal.errors import JOURNAL_ALTERED, JOURNAL_BUSY, JOURNAL_UNAVAILABLE
from gateway.journal.filelock import FileLock
from gateway.journal.limits import AGAIN_SECONDS, RETRY_SECONDS, presence_of, reason_of
from gateway.journal.readback import Altered, Promised
from gateway.journal.room import check_room
from gateway.journal.statements import Cursor, Statements
from gateway.journal.unknown import StillOpen, Unknown, Unsure, left_open
from gateway.journal.wakes import News
from gateway.journal.write import Write, Written
from gateway.signals import meters

BATCH: Final = 256
LIMIT: Final = 4096
GATHER_SECONDS: Final = 0.003
_RECONNECT_SECONDS: Final = 1.75
_FIRST_PAUSE: Final = 0.25
_log: Final = logging.getLogger(__name__)


class Journal:
    """The writer of one process. `lock` is None where the database orders its writers itself (PostgreSQL)."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | Path | None,
        process_id: str,
        *,
        kind: str = "door",
        limit: int = LIMIT,
        machine: str | None = None,
    ) -> None:
        self.process_id: Final = process_id
        self.fenced = False  # True: the keeper declared this process dead; it must end
        self.trouble: str | None = None  # why the last transaction failed
        self._engine: Final = engine
        self._kind: Final = kind
        self._machine: Final = machine
        self._limit: Final = limit
        self._sql: Final = Statements(engine.dialect.name)
        self._presence: Final = presence_of(engine)
        self._lock: Final = (
            lock if isinstance(lock, FileLock) else FileLock(lock if engine.dialect.name == "sqlite" else None)
        )
        self._begin: Final = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN"
        self._queue: Final[SimpleQueue[Waiting | None]] = SimpleQueue()
        self._opening: Final = threading.Lock()
        self._open = False
        self._busy = False  # the last batch had several units: wait a moment for more
        self._thread: threading.Thread | None = None
        self._pooled: Any = None
        self._cursor: Cursor | None = None
        self._unconfirmed: list[Unknown] = []
        self._news: Final = News()
        self._beat_at = 0.0
        self._until = float("inf")  # when the oldest unit of the transaction must have an answer
        self._away = False  # there is no connection
        self._slow = False  # a statement took longer than its callers wait
        self._pause = _FIRST_PAUSE
        self._troubled_at = 0.0

    # --- for callers --------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Registers this process and starts the thread."""
        processes.register(self._engine, self.process_id, self._kind, self._machine)
        self._beat_at = time.monotonic() + processes.BEAT_SECONDS
        self._open = True
        self._thread = threading.Thread(target=self._run, name=f"journal {self.process_id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Writes what waits, then ends the thread; the row of the process becomes `ended`."""
        with self._opening:
            was_open, self._open = self._open, False
        if not was_open or self._thread is None:
            return
        self._queue.put(None)
        self._thread.join()
        with suppress(Exception):  # without a database the keeper finds the row later
            processes.end(self._engine, self.process_id)

    def commit(self, write: Write) -> asyncio.Future[Written]:
        """Queues a unit; the future is done when it is on disk, or refused.

        Raises `journal.busy` if the queue is full, `journal.unavailable` without a connection and after `stop`.
        """
        new = waiting(write)
        self._put(new)
        return new.future

    @property
    def waiting(self) -> int:
        """Number of units in the queue."""
        return self._queue.qsize()

    def _put(self, new: Waiting) -> None:
        with self._opening:
            if not self._open:
                raise JOURNAL_UNAVAILABLE(retry_after=RETRY_SECONDS, reason="the journal is not running")
            if self._away or self._presence.hindered:
                raise self._presence.failure(self.trouble or "no answer")
            if self._queue.qsize() >= self._limit:
                raise JOURNAL_BUSY(retry_after=1)
            self._queue.put(new)

    # --- the thread ---------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        self._presence.trier = threading.get_ident()
        try:
            self._go_on()
        finally:
            self._presence.trier = None
            self._disconnect()

    def _go_on(self) -> None:
        going = True
        while going:
            jobs, going = self._take()
            self._busy = len(jobs) > 1
            self._until = until(jobs, self._presence.limits)
            if jobs:
                units = [each.unit for each in jobs]
                answer(jobs, self._write(units))
                if not self._sql.sqlite:
                    self._news.add(units)
            elif self._presence.away or time.monotonic() >= self._beat_at:
                self._write([])
            if self._news.due(idle=self._queue.empty()):
                self._wait_until(float("inf"))  # nobody waits for it
                self._news.tell(self._cursor)

    def _take(self) -> tuple[list[Waiting], bool]:
        jobs, going = self._waiting_units()
        late = too_late(jobs, self._presence.limits)
        if late:
            _log.warning("%d units waited too long and were refused", len(late))
            answer(late, [JOURNAL_BUSY(retry_after=1)] * len(late))
        return [each for each in jobs if each not in late], going

    def _waiting_units(self) -> tuple[list[Waiting], bool]:
        jobs: list[Waiting] = []
        get = self._queue.get
        wait = min(self._beat_at, self._news.at) - time.monotonic()
        if not self._sql.sqlite:
            wait = AGAIN_SECONDS if self._presence.away else min(wait, AGAIN_SECONDS)
        try:
            one = get(timeout=max(wait, 0.01))
            if self._busy and one is not None:
                time.sleep(GATHER_SECONDS)
            while one is not None:
                jobs.append(one)
                if len(jobs) >= BATCH:
                    return jobs, True
                one = get(block=False)
        except Empty:
            return jobs, True
        return jobs, False

    def _write(self, units: Sequence[Write], *, careful: bool = False) -> Results:
        """Writes one batch, `careful`: unit by unit; returns a result for each unit in every case."""
        for attempt in (1, 2, 3):
            try:
                began = time.perf_counter()
                results = self._transaction(units, careful=careful)
                if units:
                    meters.commit(self._kind, time.perf_counter() - began)
                elif self.trouble is not None and self._cursor is not None:
                    check_room(self._engine, self._cursor)
                self._succeeded()
                return results
            except Exception as error:
                connected = self._cursor is not None
                self._rollback()
                if isinstance(error, Unsure):
                    committed = self._was_lost_committed(error)
                    if committed:
                        return error.results
                    if committed is None and error.unknown.left:
                        self._unconfirmed.append(error.unknown)
                    if committed is None or attempt == 3:
                        return self._unavailable(units, error, away=error.silent or self._presence.hindered)
                    continue
                if hasattr(error, "late"):
                    return self._late(units, error)
                if hasattr(error, "failure"):  # this server takes nothing now
                    return self._unavailable(units, error, away=True)
                if isinstance(error, Altered):
                    return self._altered(units, error)
                if not careful and (isinstance(error, batch.DependentWrites) or self._sql.fault_of_unit(error)):
                    return self._write(units, careful=True)
                lost = not connected or self._sql.connection_lost(error)
                again = self._sql.worth_repeating(error) or connected and lost
                if self._sql.read_only(error):
                    self._disconnect()
                    self._engine.dispose()  # its other connections lead to the same server
                    lost = again = True
                if attempt == 3 or not again or time.monotonic() >= self._until:
                    return self._unavailable(units, error, away=lost and not self._sql.sqlite)
        raise AssertionError("the third attempt ends it")

    def _transaction(self, units: Sequence[Write], *, careful: bool) -> Results:
        with self._lock:
            cursor = self._cursor or self._connect()
            self._wait_until(self._until)
            left = self._settle_unconfirmed(cursor) if self._unconfirmed else []
            cursor.execute(self._begin)
            cursor.execute(self._sql.alive, (self.process_id,))
            row = cursor.fetchone()
            if row is None or row[0] != "alive" or self.fenced:
                cursor.execute("ROLLBACK")
                self._fence("the keeper declared this process dead")
                return [batch.FENCED] * len(units)
            if time.monotonic() >= self._beat_at:
                cursor.execute(self._sql.beat, (time.time(), self.process_id))
                self._beat_at = time.monotonic() + processes.BEAT_SECONDS
            promised = Promised()
            work = batch.one_by_one if careful else batch.together
            results: Results = work(self._sql, cursor, units, promised)
            promised.check(self._sql, cursor)
            if left:
                cursor.execute(self._sql.disown, (left, self.process_id))
            if self._sql.sqlite:
                cursor.execute("COMMIT")
                return results
            sent = 0.0
            try:
                with cursor.connection.confirming():
                    sent = time.monotonic()
                    cursor.execute("COMMIT")
            except Exception as error:
                if not sent or not self._sql.connection_lost(error):
                    raise  # it answered: the transaction is not committed
                unknown = Unknown(str(row[1]), cursor.connection.server, promised.witness(), left_open(units))
                raise Unsure(results, unknown, min(sent + _RECONNECT_SECONDS, self._until), error) from error
            self._unconfirmed.clear()
            if left:
                _log.warning("left to recovery, since their callers were told that they failed: %s", " ".join(left))
            return results

    # --- when something failed ----------------------------------------------------------------------------------------
    def _was_lost_committed(self, unsure: Unsure) -> bool | None:
        """Asks the database whether the transaction was committed whose answer to COMMIT is missing. None: nobody can
        tell yet.
        """
        deadline = time.monotonic() + unsure.left
        self._disconnect()
        while time.monotonic() < deadline:
            try:
                cursor = self._cursor or self._connect()
                committed = self._was_committed(cursor, unsure.unknown)
                if committed:
                    self._prove(cursor)
                if committed is not None:
                    return committed
            except Exception:
                self._disconnect()
                if self._presence.silent:  # asking again would only cost time
                    return None
            time.sleep(0.1)
        return None

    def _settle_unconfirmed(self, cursor: Cursor) -> list[str]:
        """The transfers that transactions left open which stood although their callers were told that they failed."""
        left: list[str] = []
        for unknown in self._unconfirmed:
            committed = self._was_committed(cursor, unknown)
            if committed is None:
                raise StillOpen("an earlier transaction is still under way")
            if committed:
                left += unknown.left
        return left

    def _was_committed(self, cursor: Cursor, unknown: Unknown) -> bool | None:
        """None: it is under way. Another server does not know the number, or knows another transaction by it."""
        if cursor.connection.server != unknown.server:
            return self._sql.stands(cursor, *unknown.witness)
        cursor.execute(self._sql.xact_status, (unknown.xact,))
        row = cursor.fetchone()
        if row is not None and row[0] == "in progress":
            return None
        return row is not None and row[0] == "committed"

    def _prove(self, cursor: Cursor) -> None:
        """Commits something more: when the standby has that, it has all that came before. Raises if it has not."""
        if cursor.connection.guard is not None:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_logical_emit_message(true, 'lgsp', '')")
            with cursor.connection.confirming():
                cursor.execute("COMMIT")

    def _late(self, units: Sequence[Write], error: Exception) -> Results:
        if not self._slow:  # nothing was written, and the server may be well
            _log.warning("%d units were refused: %s", len(units), error)
        self._slow, self._beat_at = True, 0.0
        return [JOURNAL_BUSY(retry_after=1)] * len(units)

    def _unavailable(self, units: Sequence[Write], error: BaseException, *, away: bool) -> Results:
        reason = reason_of(error)
        if self.trouble != reason:  # one line for each change of state
            _log.error("the journal cannot be written, %d units were refused: %s", len(units), error)
        self._failed(reason)
        self._away = away
        return [self._presence.failure(reason) for _unit in units]

    def _failed(self, reason: str) -> None:
        now = time.monotonic()
        if self.trouble is None:
            self._troubled_at = now
        self.trouble = reason
        self._beat_at, self._pause = now + self._pause, min(2 * self._pause, processes.BEAT_SECONDS)
        self._disconnect()

    def _succeeded(self) -> None:
        if self.trouble is not None:
            _log.warning("the journal is written again, after %.1f s", time.monotonic() - self._troubled_at)
        self.trouble, self._away, self._slow, self._pause = None, False, False, _FIRST_PAUSE
        self._presence.found()

    def _altered(self, units: Sequence[Write], error: Altered) -> Results:
        """The rows differ from what was written: keeps nothing of the batch, and logs it as critical."""
        _log.critical(
            "a batch of %d units was taken back: %s; the database is not as this program made it", len(units), error
        )
        self._failed(error.what)
        return [JOURNAL_ALTERED(what=error.what) for _unit in units]

    def _fence(self, reason: str) -> None:
        if not self.fenced:
            _log.critical("process %s is fenced: %s", self.process_id, reason)
        self.fenced = True
        self._beat_at = time.monotonic() + processes.BEAT_SECONDS

    def _rollback(self) -> None:
        if self._cursor is not None:
            try:
                self._cursor.execute("ROLLBACK")
            except Exception:  # SQLite rolled back by itself, or the connection is gone
                if not self._sql.sqlite:
                    self._disconnect()

    def _wait_until(self, until: float) -> None:
        """Until when the server's answers are waited for."""
        if self._cursor is not None and not self._sql.sqlite:
            self._cursor.connection.until = until

    def _connect(self) -> Cursor:
        self._presence.until = self._until
        self._pooled = self._engine.raw_connection()
        driver = self._pooled.driver_connection
        if self._sql.sqlite:
            self._cursor = driver.cursor()
        else:
            driver.autocommit = True  # BEGIN and COMMIT are sent explicitly
            self._cursor = driver.cursor(binary=True)
            self._wait_until(self._until)
        return self._cursor

    def _disconnect(self) -> None:
        if self._pooled is not None:
            with suppress(Exception):
                self._pooled.invalidate()
        self._pooled = self._cursor = None

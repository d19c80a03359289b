"""Leads: holds the lease, sequences the log, recovers what dead processes left, and runs the periodic tasks.

Several keepers may run; one leads. Everything that the leader writes is in a transaction that checks the lease's epoch.
So a leader that was overtaken (paused, cut off) writes nothing.
Invariants:
- A keeper that does not lead only asks for the lease, and one that may not lead does not even ask.
- One that finds the log inconsistent signs nothing more, and logs that each time.
- A task that failed because nothing could be written is run again only when something can. Else what it does outside
  (a mail, a call) would be done again and again, since nothing could be noted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, select, update

from contracts.base.errors import Failure
from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.audit.log.sequencer import Sequencer
from gateway.errors import AUDIT_LEASE_LOST
from gateway.journal import processes
from gateway.journal.database import fold_back, lock_of, writing
from gateway.journal.limits import passes, unavailable
from gateway.journal.schema import tables
from gateway.journal.wakes import PENDING, Waker, waker
from gateway.keeper import recovery
from gateway.keeper.again import WritesAgain
from gateway.keeper.periodic import PAUSE_SECONDS, ScheduledTask, WokenJob
from gateway.signals import meters
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

LEAD_SECONDS: Final = 1.0
TROUBLE_SECONDS: Final = 2.0
REPLAY_SECONDS: Final = 10.0
# Each fold writes an often-written page once: so seldom, but before a writer would fold by itself (at 8,000 pages).
FOLD_SECONDS, FOLD_AT_MOST, FOLD_PAGES = 0.1, 1.0, 4000
_NOT_FOLLOWED: Final = "checkpoints of the leading keeper are not taken over"
_NOT_HANDED_IN: Final = "what a dead process had in hand is not logged"
_NOT_LOOKED_AT: Final = "this machine is not looked at"
_logger: Final = logging.getLogger(__name__)


class Clocks(NamedTuple):
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class MachineTask(NamedTuple):
    """What the keeper of each machine does, leader or not. `run` is called in a thread."""

    run: Callable[[], None]
    seconds: float


class Keeper:
    """One a keeper process. Its row in `process` must exist before it runs."""

    def __init__(
        self,
        engine: Engine,
        process_id: str,
        sequencer: Sequencer,
        tasks: Sequence[ScheduledTask] = (),
        *,
        in_hand: Path | None = None,
        follow: Callable[[], None] | None = None,
        look: MachineTask | None = None,
        leads: Callable[[], bool] = lambda: True,
        clocks: Clocks = Clocks(),  # noqa: B008  (immutable)
    ) -> None:
        self.lease: Lease | None = None
        self.fenced = False  # True: another keeper declared this process dead; it must end
        self.trouble: str | None = None  # why nothing is sequenced
        self._engine: Final = engine
        self._lock: Final = lock_of(engine)
        self._id: Final = process_id
        self._sequencer: Final = sequencer
        self._tasks: Final = tasks
        self._in_hand: Final = in_hand  # the folder of what processes of this machine have in hand
        self._follow: Final = follow
        self._look: Final = look
        self._leads: Final = leads  # whether it may lead now
        self._clock: Final = clocks.now
        self._heartbeats: Final = recovery.HeartbeatMonitor(leases.WatchedTime(clocks.monotonic))
        self._rival: Final = leases.LeaseObserver(leases.WatchedTime(clocks.monotonic))
        self._monotonic: Final = clocks.monotonic
        self._writes: Final = WritesAgain(engine, self._lock, clocks.monotonic)
        self._replays_at = 0.0
        self._leads_since = 0.0
        self._logged: Final[dict[str, str]] = {}  # what failed -> the failure that was logged last
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leading: Final = ThreadPoolExecutor(1, "keeper lead")
        self._sequencing: Final = ThreadPoolExecutor(1, "keeper sequencer")
        self._folding: Final = ThreadPoolExecutor(1, "keeper fold")

    async def run(self) -> None:
        """Works until `stop`."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lead())
            group.create_task(self._sequence())
            group.create_task(self._fold_back())
            group.create_task(self._look_at_machine())
            for task in self._tasks:
                group.create_task(self._repeat(task), name=task.name)
        await self._loop.run_in_executor(self._leading, self._end)
        self._leading.shutdown()
        self._sequencing.shutdown()
        self._folding.shutdown()

    def stop(self) -> None:
        """Ends soon, from any thread: sequences what is pending, gives the lease back."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        else:
            self._stopping.set()

    # --- loops --------------------------------------------------------------------------------------------------------
    async def _lead(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            try:
                await loop.run_in_executor(self._leading, self.tick)
                self._works("the keeper cannot lead")
            except Exception as error:
                self._heartbeats.forget()
                self._rival.forget()
                self._log_failure("the keeper cannot lead", error)
            if self.fenced:
                self._stopping.set()
            await self._pause(LEAD_SECONDS)

    async def _sequence(self) -> None:
        loop, told = asyncio.get_running_loop(), waker(self._engine, PENDING)
        while not self._stopping.is_set():
            lease, wait, rests = self.lease, PAUSE_SECONDS, False
            if lease is not None:
                began = time.perf_counter()
                try:
                    done = await loop.run_in_executor(self._sequencing, self._sequencer.run_once, lease)
                    if done.busy:
                        meters.sequencing("done", time.perf_counter() - began)
                    self.trouble = None
                    self._works("nothing is sequenced")
                    wait, rests = (0.0, False) if done.more else (PAUSE_SECONDS, True)
                except Exception as error:
                    meters.sequencing("failed", time.perf_counter() - began)
                    self._log_failure("nothing is sequenced", error)
                    self.trouble = str(error)
                    wait = TROUBLE_SECONDS if self.lease is lease else PAUSE_SECONDS
            await self._pause(wait, told if rests else None)

    async def _repeat(self, task: ScheduledTask) -> None:
        woken = task.job if isinstance(task.job, WokenJob) else None
        told = None if woken is None else waker(self._engine, woken.topic)
        failed: Exception | None = None  # since then nothing could be written
        while not self._stopping.is_set():
            lease, wait, rests = self.lease, PAUSE_SECONDS, False
            if lease is not None:
                wait = task.seconds
                try:
                    if failed is not None:
                        await self._writes.check(lease, failed)
                        failed = None
                    if await task.job.run_once(lease):
                        wait = 0.0
                    else:
                        rests = woken is not None and woken.rests()
                    self._works(task.failure)
                except Exception as error:
                    failed = error if passes(error) else failed
                    self._log_failure(task.failure, error)
            await self._pause(wait, told if rests else None)

    async def _fold_back(self) -> None:
        """Leader or not: SQLite's write-ahead log belongs to this machine."""
        loop, wait = asyncio.get_running_loop(), FOLD_SECONDS
        while not self._stopping.is_set() and self._engine.dialect.name == "sqlite":
            try:
                pages = await loop.run_in_executor(self._folding, fold_back, self._engine, self._lock)
                wait = min(max(wait * FOLD_PAGES / max(pages, 1), FOLD_SECONDS), FOLD_AT_MOST)
            except Exception as error:  # a writer does it then
                self._log_failure("the write-ahead log was not folded back", error)
            await self._pause(wait)

    async def _look_at_machine(self) -> None:
        """Leader or not: what the doctor finds of a machine only its own keeper sees."""
        look = self._look
        while look is not None and not self._stopping.is_set():
            await self._pause(look.seconds)
            if self._stopping.is_set():
                return
            try:
                await asyncio.to_thread(look.run)
                self._works(_NOT_LOOKED_AT)
            except Exception as error:
                self._log_failure(_NOT_LOOKED_AT, error)

    async def _pause(self, seconds: float, told: Waker | None = None) -> None:
        """`told`: what wakes it. Then it may last longer."""
        if told is None or not told.connected:  # many times a second in all: without a task
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            return
        seconds = told.pause(seconds)
        waits: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._stopping.wait()),
            asyncio.create_task(told.wait(seconds)),
        ]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _log_failure(self, what: str, error: Exception) -> None:
        if isinstance(error, Failure) and error.code == AUDIT_LEASE_LOST.code:
            self.lease = None
            _logger.warning("another keeper leads now")
        elif isinstance(error, Failure) and error.code == AUDIT_INCONSISTENT.code:
            _logger.critical("%s: %s", what, error)
        elif isinstance(error, Failure):
            if self._logged.get(what) != str(error):  # once while it stays the same
                _logger.error("%s: %s", what, error)
            self._logged[what] = str(error)
        elif self._logged.get(what) != (kind := type(error).__name__):
            away = unavailable(error) is not None
            _logger.error("%s: %s", what, kind if away else error, exc_info=not away)
            self._logged[what] = kind

    def _works(self, what: str) -> None:
        if self._logged.pop(what, None) is not None:
            _logger.info("no longer: %s", what)

    # --- once a second, in a thread of its own ----------------------------------------------------------------------
    def tick(self) -> None:
        """Beats, leads if possible, and recovers what dead processes left."""
        now = self._clock()
        self._beat_and_lead(now)
        if self.fenced:
            return
        self._hand_in(now)
        if self.lease is None:
            self._catch_up()
            return
        self._recover(self.lease, now)
        if self._monotonic() - self._replays_at >= REPLAY_SECONDS:
            with writing(self._engine, self._lock) as connection:
                leases.check(connection, self.lease)
                more = recovery.forget_replays(connection, now) > 0
                recovery.forget_quotas(connection, now)
            self._replays_at = self._replays_at if more else self._monotonic()

    def _beat_and_lead(self, now: float) -> None:
        own, table = self.lease, tables.process
        with self._engine.connect() as connection:
            asks = own is None and self._leads()
            over = self._dead_holder(connection) if asks else None
            unmoved = self._rival.look(connection) if asks else None
        with writing(self._engine, self._lock) as connection:
            beaten = connection.execute(
                update(table).where(table.c.id == self._id, table.c.state == "alive").values(seen=now)
            ).rowcount
            if not beaten:
                self.fenced, self.lease = True, None
                _logger.critical("keeper %s was declared dead", self._id)
                return
            if not self._leads():
                if own is not None:
                    leases.give_back(connection, own)
                    _logger.info("keeper %s leads no more: its machine is drained", self._id)
                self.lease = None
                return
            if own is not None and leases.renew(connection, own, now):
                return
            taken = leases.take(connection, self._id, now, over=over, unmoved=unmoved)
        if taken is not None:
            _logger.info("keeper %s leads, epoch %d", self._id, taken.epoch)
            self._heartbeats.forget()
            self._leads_since = self._monotonic()
        elif own is not None:
            _logger.warning("another keeper leads now")
        self.lease = taken

    def _dead_holder(self, connection: Connection) -> str | None:
        """The lease's holder, if its process has ended: then its lease is taken without waiting."""
        table = tables.process.c
        name = leases.holder(connection)
        row = connection.execute(
            select(table.pid, table.host, table.started, table.state).where(table.id == name)
        ).first()
        if name is None or row is None:
            return None
        return name if row[3] != "alive" or processes.gone(row[0], row[1], row[2]) else None

    def _recover(self, lease: Lease, now: float) -> None:
        with self._engine.connect() as connection:
            dead = self._heartbeats.look(connection, self._id)
            epoch = lease.epoch if self._monotonic() - self._leads_since >= recovery.FORGOTTEN_SECONDS else 0
            open_ends = recovery.has_open_ends(connection, epoch)
        if not dead and not open_ends:
            return
        with writing(self._engine, self._lock) as connection:
            leases.check(connection, lease)
            for one in dead:
                recovery.declare_dead(connection, one)
            closed = recovery.close_open(connection, now, epoch)
        if closed.in_doubt:
            _logger.warning("%d transfers are in doubt, of these %d are sent again", closed.in_doubt, closed.queued)

    def _hand_in(self, now: float) -> None:
        """Leader or not: what a door had in hand is on its own machine only."""
        if self._in_hand is None:
            return
        try:
            recovery.hand_in(self._engine, self._lock, self._in_hand, now)
            self._works(_NOT_HANDED_IN)
        except Exception as error:  # tried again at the next tick
            self._log_failure(_NOT_HANDED_IN, error)

    def _catch_up(self) -> None:
        """What the leader writes beside the database, on a machine of its own."""
        if self._follow is None:
            return
        try:
            self._follow()
            self._works(_NOT_FOLLOWED)
        except Exception as error:
            self._log_failure(_NOT_FOLLOWED, error)

    def _end(self) -> None:
        lease = self.lease
        if lease is None or self.fenced:
            return
        try:
            while self._sequencer.run_once(lease).busy:
                pass
            with writing(self._engine, self._lock) as connection:
                leases.give_back(connection, lease)
        except Exception as error:  # the next leader goes on from what is stored
            self._log_failure("the keeper ends in trouble", error)

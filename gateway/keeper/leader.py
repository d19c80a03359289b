"""The keeper: leads by a lease, sequences, recovers what dead processes left, and lets the queue be delivered.

Several keepers may run; one leads. Everything that the leader writes is written in a transaction that checks the lease's epoch, so that a
leader which was overtaken (paused, cut off) writes nothing.
Invariants: a keeper that does not lead does nothing but ask for the lease; one that finds the log inconsistent stops sequencing and says so,
again and again, rather than sign.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, select, update

from contracts.base.errors import Failure
from gateway.audit.log import lease as leases
from gateway.audit.log.lease import Lease
from gateway.audit.log.sequencer import Sequencer
from gateway.journal import processes
from gateway.journal.database import fold_back, writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper import recovery

LEAD_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = (
    0.2  # each look costs a transaction and a signature; five a second keep a checkpoint well within a second
)
TROUBLE_SECONDS: Final = 2.0
REPLAY_SECONDS: Final = 10.0
# A page that is written often is folded back once each time: so rather seldom, but before a writer would do it itself (at 8,000).
FOLD_SECONDS, FOLD_AT_MOST, FOLD_PAGES = 0.1, 1.0, 4000
_logger: Final = logging.getLogger(__name__)


class Chore(Protocol):
    """What a leading keeper does beside sequencing, such as the queue's delivery."""

    async def run_once(self, lease: Lease) -> int:
        """Do what is due; how much that was. Each of its transactions checks the lease."""
        ...


class Keeper:
    """One a keeper process. Its row in `process` stands before it runs. `chores` come with the words for when one cannot be done."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        process_id: str,
        sequencer: Sequencer,
        delivery: Chore | None = None,
        *,
        chores: Sequence[tuple[str, Chore]] = (),
        taken_up: Path | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease: Lease | None = None
        self.fenced = False  # True: another keeper declared this process dead; it must end
        self.trouble: str | None = None  # why nothing is sequenced, for the status page
        self._engine: Final = engine
        self._lock: Final = lock
        self._id: Final = process_id
        self._sequencer: Final = sequencer
        self._chores: Final = [*([("the queue is not delivered", delivery)] if delivery is not None else []), *chores]
        self._taken_up: Final = taken_up  # the folder of what processes of this machine have in hand
        self._clock: Final = clock
        self._watch: Final = recovery.HeartbeatMonitor(monotonic)
        self._rival: Final = leases.LeaseObserver(monotonic)
        self._monotonic: Final = monotonic
        self._replays_at = 0.0
        self._said: Final[dict[str, str]] = {}  # what -> the failure that was logged last
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leading: Final = ThreadPoolExecutor(1, "keeper lead")
        self._sequencing: Final = ThreadPoolExecutor(1, "keeper sequencer")
        self._folding: Final = ThreadPoolExecutor(1, "keeper fold")

    async def run(self) -> None:
        """Work until `stop`."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lead())
            group.create_task(self._sequence())
            group.create_task(self._fold_back())
            for undone, chore in self._chores:
                group.create_task(self._do(chore, undone))
        await self._loop.run_in_executor(self._leading, self._end)
        self._leading.shutdown()
        self._sequencing.shutdown()
        self._folding.shutdown()

    def stop(self) -> None:
        """End soon, from any thread: sequence what is pending, give the lease back."""
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
            except Exception as error:
                self._watch.forget()
                self._rival.forget()
                self._complain("the keeper cannot lead", error)
            if self.fenced:
                self._stopping.set()
            await self._pause(LEAD_SECONDS)

    async def _sequence(self) -> None:
        loop, wait = asyncio.get_running_loop(), PAUSE_SECONDS
        while not self._stopping.is_set():
            lease = self.lease
            if lease is None:
                wait = PAUSE_SECONDS
            else:
                try:
                    done = await loop.run_in_executor(self._sequencing, self._sequencer.run_once, lease)
                    self.trouble = None
                    self._said.pop("nothing is sequenced", None)
                    wait = 0.0 if done.more else PAUSE_SECONDS
                except Exception as error:
                    self._complain("nothing is sequenced", error)
                    self.trouble = str(error)
                    wait = TROUBLE_SECONDS if self.lease is lease else PAUSE_SECONDS
            await self._pause(wait)

    async def _do(self, chore: Chore, undone: str) -> None:
        while not self._stopping.is_set():
            lease, done = self.lease, 0
            if lease is not None:
                try:
                    done = await chore.run_once(lease)
                    self._said.pop(undone, None)
                except Exception as error:
                    self._complain(undone, error)
            await self._pause(0.0 if done else PAUSE_SECONDS)

    async def _fold_back(self) -> None:
        """Leader or not: the log of SQLite is of this machine."""
        loop, wait = asyncio.get_running_loop(), FOLD_SECONDS
        while not self._stopping.is_set() and self._engine.dialect.name == "sqlite":
            try:
                pages = await loop.run_in_executor(self._folding, fold_back, self._engine, self._lock)
                wait = min(max(wait * FOLD_PAGES / max(pages, 1), FOLD_SECONDS), FOLD_AT_MOST)
            except Exception as error:  # a writer does it then
                self._complain("the write-ahead log was not folded back", error)
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _complain(self, what: str, error: Exception) -> None:
        if isinstance(error, Failure) and error.code == "audit.lease-lost":
            self.lease = None
            _logger.warning("another keeper leads now")
        elif isinstance(error, Failure) and error.code == "audit.inconsistent":
            _logger.critical("%s: %s", what, error)
        elif isinstance(error, Failure):
            if self._said.get(what) != str(error):  # once as long as it stays the same, not five times a second
                _logger.error("%s: %s", what, error)
            self._said[what] = str(error)
        else:
            _logger.error("%s: %s", what, error, exc_info=True)

    # --- one look a second, in a thread of its own ----------------------------------------------------------------------
    def tick(self) -> None:
        """Beat, lead if possible, and recover what the dead left."""
        now = self._clock()
        self._beat_and_lead(now)
        if self.fenced:
            return
        self._hand_in(now)
        if self.lease is None:
            return
        self._recover(self.lease, now)
        if self._monotonic() - self._replays_at >= REPLAY_SECONDS:
            with writing(self._engine, self._lock) as connection:
                leases.check(connection, self.lease)
                more = recovery.forget_replays(connection, now) > 0
                recovery.forget_quotas(connection, now)
            self._replays_at = self._replays_at if more else self._monotonic()

    def _beat_and_lead(self, now: float) -> None:
        held, table = self.lease, tables.process
        with self._engine.connect() as connection:
            over = None if held is not None else self._dead_holder(connection)
            unmoved = None if held is not None else self._rival.look(connection)
        with writing(self._engine, self._lock) as connection:
            beaten = connection.execute(
                update(table).where(table.c.id == self._id, table.c.state == "alive").values(seen=now)
            ).rowcount
            if not beaten:
                self.fenced, self.lease = True, None
                _logger.critical("keeper %s was declared dead", self._id)
                return
            if held is not None and leases.renew(connection, held, now):
                return
            taken = leases.take(connection, self._id, now, over=over, unmoved=unmoved)
        if taken is not None:
            _logger.info("keeper %s leads, epoch %d", self._id, taken.epoch)
            self._watch.forget()
        elif held is not None:
            _logger.warning("another keeper leads now")
        self.lease = taken

    def _dead_holder(self, connection: Connection) -> str | None:
        """The lease's holder, if its process has ended or is surely gone: nobody need wait for its lease to run out."""
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
            dead = self._watch.look(connection, self._id)
            open_ends = recovery.has_open_ends(connection)
        if not dead and not open_ends:
            return
        with writing(self._engine, self._lock) as connection:
            leases.check(connection, lease)
            for one in dead:
                recovery.declare_dead(connection, one)
            closed = recovery.close_open(connection, now)
        if closed.in_doubt:
            _logger.warning("%d transfers are in doubt, of these %d are sent again", closed.in_doubt, closed.queued)

    def _hand_in(self, now: float) -> None:
        """Leader or not: what a door had in hand lies on its own machine alone."""
        if self._taken_up is None:
            return
        try:
            recovery.hand_in(self._engine, self._lock, self._taken_up, now)
        except Exception as error:  # it stays where it is until that can be done
            self._complain("what a dead process had in hand is not logged", error)

    def _end(self) -> None:
        lease = self.lease
        if lease is None or self.fenced:
            return
        try:
            while self._sequencer.run_once(lease).busy:
                pass
            with writing(self._engine, self._lock) as connection:
                leases.give_back(connection, lease)
        except Exception as error:  # whoever leads next goes on from what stands
            self._complain("the keeper ends in trouble", error)

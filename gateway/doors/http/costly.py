"""Reads large bodies off the event loop: checks in a thread, JSON in a process (`reader.py`), within a budget
(`costs.py`).

The process starts when it is needed, and ends when it was idle for a while. If none can be started, a thread reads.
Invariant: a reader that dies fails the current job only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from contracts.folder.bundle import Bundle
from gateway.doors.http import reader
from gateway.doors.http.costs import Turn
from gateway.doors.http.errors import BODY_TOO_COSTLY
from gateway.doors.http.reader import JOB_SECONDS, LENGTH, Done, Job, failure_of, packed, unpacked
from gateway.exchange.doors import Door
from gateway.transfer.large_body import HEAVY, off_loop
from gateway.transfer.stages import Authorised, Message

IDLE_SECONDS: Final = 120.0
log: Final = logging.getLogger("lgsp.reading")
T = TypeVar("T")


class NoReader(Exception):
    """No process can be started."""


@dataclass(slots=True)
class Reader:
    """One process, one job at a time. `bundle_of` gives the contract of a digest; it runs in a thread."""

    bundle_of: Callable[[str], Bundle]
    _process: asyncio.subprocess.Process | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _idle: asyncio.TimerHandle | None = None

    async def read(self, job: Job, turn: Turn) -> Any:
        """The message. Raises what the codec raises, `body.too-costly` if reading takes too long, or NoReader."""
        async with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            try:
                done = await self._done(job)
                if done.wanted:
                    await self._ask(await asyncio.to_thread(self.bundle_of, done.wanted))
                    done = await self._done(job)
            except (EOFError, ConnectionError):
                turn.spend(JOB_SECONDS)
                log.error("the reader ended over a body of %d bytes", len(job.raw))
                await self._end()
                raise BODY_TOO_COSTLY(seconds=f"{JOB_SECONDS:g}") from None
            except BaseException:  # cancelled: the next job must not read this job's answer
                await self._end()
                raise
            finally:
                self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go)
        turn.spend(done.seconds)
        if done.failure is not None:
            raise failure_of(done)
        return done.value

    async def _done(self, job: Job) -> Done:
        answer = await self._ask(job)
        return await off_loop(len(answer) > HEAVY, unpacked, answer)

    async def _ask(self, what: Job | Bundle) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = await self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(packed(what))
        await process.stdin.drain()
        return await process.stdout.readexactly(int.from_bytes(await process.stdout.readexactly(LENGTH), "big"))

    async def _start(self) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", reader.__name__)
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 20)
        except OSError as trouble:
            raise NoReader from trouble
        return self._process

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdin is not None and not self._lock.locked():
            self._process.stdin.close()  # it ends, and the next job starts another

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        if process.stdout is not None:
            with contextlib.suppress(ConnectionError):
                await process.stdout.read()
        await process.wait()

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        await self._end()


@dataclass(slots=True)
class Readings:
    """The readers of costly bodies in one door process."""

    reader: Reader
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "costly"))

    async def close(self) -> None:
        await self.reader.close()
        self.threads.shutdown(wait=False, cancel_futures=True)


class JobDoor(Door, Protocol):
    """A door that can describe `decode` as a job."""

    def job(self, authorised: Authorised) -> Job | None: ...


@dataclass(slots=True)
class Reading:
    """One costly body during its transfer."""

    readings: Readings
    turn: Turn
    door: JobDoor

    async def run(self, work: Callable[..., T], *of: Any) -> T:
        """Runs `work` in a thread and charges its processor time, also if it raises."""
        return await asyncio.get_running_loop().run_in_executor(self.readings.threads, self._measured, work, *of)

    def _measured(self, work: Callable[..., T], *of: Any) -> T:
        began = time.thread_time()
        try:
            return work(*of)
        finally:
            self.turn.spend(time.thread_time() - began)

    async def decode(self, authorised: Authorised) -> Message:
        """Decodes in the reader, or in a thread if there is no job or no reader."""
        job = self.door.job(authorised)
        if job is not None:
            with contextlib.suppress(NoReader):
                message: Message = await self.readings.reader.read(job, self.turn)
                return message
        return await self.run(self.door.decode, authorised)

    def end(self) -> None:
        self.turn.end()

"""Runs work of the own APIs off the event loop: database reads and large answers, in a few threads.

Each agency, or source address of an unproven caller, has a limited number of places. Its further calls wait for these,
so others find a thread. A place is held until its work is done, even if the caller left.
Invariant: a call that waits too long gets 429 with Retry-After.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from gateway.doors.http.limits import full

T = TypeVar("T")
THREADS: Final = 4
EACH: Final = 2
WAIT_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 2


@dataclass(slots=True)
class _Places:
    free: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True)
class Readers:
    """The threads of one listener. `each`: places for one agency or source."""

    threads: int = THREADS
    each: int = EACH
    seconds: float = WAIT_SECONDS
    _of: dict[tuple[str, str], _Places] = field(default_factory=dict)
    _pool: ThreadPoolExecutor | None = None

    async def run(self, owner: tuple[str, str], work: Callable[..., T], *of: Any) -> T:
        """The result of `work(*of)` in a thread. `owner`: `("agency", code)` or `("source", address)`. Raises `limit.…`
        if no place gets free.
        """
        loop = asyncio.get_running_loop()
        places = self._of.setdefault(owner, _Places(asyncio.Semaphore(self.each)))
        places.users += 1
        try:
            if places.free.locked():
                async with asyncio.timeout(self.seconds):
                    await places.free.acquire()
            else:
                await places.free.acquire()  # at once
        except BaseException as trouble:
            self._left(owner, places)
            if isinstance(trouble, TimeoutError):
                raise full(owner, self.each, RETRY_SECONDS) from None
            raise
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "reading")
        result: asyncio.Future[T] = loop.create_future()
        job: Future[T] = self._pool.submit(work, *of)
        job.add_done_callback(lambda done: _soon(loop, partial(self._done, owner, places, done, result)))
        try:
            return await result
        except asyncio.CancelledError:
            job.cancel()  # if it has not begun
            raise

    def _done(self, owner: tuple[str, str], places: _Places, job: Future[T], result: asyncio.Future[T]) -> None:
        """One call into the loop frees the place and answers the caller, if he is still there."""
        places.free.release()
        self._left(owner, places)
        if result.done():
            return
        if job.cancelled():
            result.cancel()
        elif (trouble := job.exception()) is not None:
            result.set_exception(trouble)
        else:
            result.set_result(job.result())

    def _left(self, owner: tuple[str, str], places: _Places) -> None:
        places.users -= 1
        if not places.users:
            self._of.pop(owner, None)  # bounds the memory for addresses


def _soon(loop: asyncio.AbstractEventLoop, done: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done)

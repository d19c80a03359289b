"""Work of the own APIs off the event loop: reads of the database, and the making of large answers, in a few threads of their own.

Each agency (each source address, where nobody proved himself) has at most some of the places at once; its further calls wait for these alone, so
that others' find a thread. A place is held until its work is done, also where the caller went away meanwhile.
Invariant: whoever waits too long is told so, with 429 and Retry-After; nobody waits for ever.
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
    """Of one listener. `each` are the places that one agency or source has at most."""

    threads: int = THREADS
    each: int = EACH
    seconds: float = WAIT_SECONDS
    _of: dict[tuple[str, str], _Places] = field(default_factory=dict)
    _pool: ThreadPoolExecutor | None = None

    async def run(self, who: tuple[str, str], work: Callable[..., T], *of: Any) -> T:
        """What `work(*of)` gives, in a thread. `who` is `("agency", code)` or `("source", address)`; `limit.…` where its places stay taken."""
        loop = asyncio.get_running_loop()
        places = self._of.setdefault(who, _Places(asyncio.Semaphore(self.each)))
        places.users += 1
        try:
            async with asyncio.timeout(self.seconds):
                await places.free.acquire()
        except BaseException as trouble:
            self._left(who, places)
            if isinstance(trouble, TimeoutError):
                raise full(who, self.each, RETRY_SECONDS) from None
            raise
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "reading")
        job: Future[T] = self._pool.submit(work, *of)
        job.add_done_callback(lambda _done: _soon(loop, partial(self._done, who, places)))
        return await asyncio.wrap_future(job)

    def _done(self, who: tuple[str, str], places: _Places) -> None:
        places.free.release()
        self._left(who, places)

    def _left(self, who: tuple[str, str], places: _Places) -> None:
        places.users -= 1
        if not places.users:
            self._of.pop(who, None)  # else strangers could fill the memory with addresses


def _soon(loop: asyncio.AbstractEventLoop, done: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done)

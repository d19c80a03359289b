"""Writes the outcome of a call again, while the database is away for a moment.

The provider was already called, so the outcome must not get lost with a connection. The unit stays the same, with its
guards (owner, state, lease). If it was committed although the journal was not told, its guard fails the second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from gateway.journal.limits import passes
from gateway.journal.write import Write, Written
from gateway.journal.writer import Journal

_T = TypeVar("_T")
SECONDS: Final = 60.0  # after that it is left to recovery


async def commit_outcome(journal: Journal, write: Write) -> Written:
    """The result of the first attempt that the journal answers. Raises the last error after `SECONDS`, or at once if
    another attempt would end alike.
    """

    async def commit() -> Written:  # tenacity awaits only functions declared `async`
        return await journal.commit(write)

    return await _patiently(commit)


async def read_for_outcome(read: Callable[[], _T]) -> _T:
    """What the unit needs to know of the database, read in a thread, in the same way."""

    async def reading() -> _T:
        return await asyncio.to_thread(read)

    return await _patiently(reading)


async def _patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    retrying = AsyncRetrying(
        stop=stop_after_delay(SECONDS),
        wait=wait_exponential_jitter(multiplier=0.1, max=5.0, jitter=0.1),
        retry=retry_if_exception(passes),
        sleep=asyncio.sleep,
        reraise=True,
    )
    result: _T = await retrying(call)
    return result

"""Writes the outcome of a call again, while the database cannot be written for a moment.

The provider was already called, so the outcome must not get lost with a connection. The unit stays the same, with its
guards (owner, state, lease). If it was committed although the journal was not told, its guard fails the second time.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from contracts.base.errors import Ours
from gateway.journal.write import Write, Written
from gateway.journal.writer import Journal

SECONDS: Final = 60.0  # after that it is left to recovery


async def commit_outcome(journal: Journal, write: Write) -> Written:
    """The result of the first attempt that the journal answers. Raises the last error after `SECONDS`, or at once if
    another attempt would end alike.
    """

    async def commit() -> Written:  # tenacity awaits only functions declared `async`
        return await journal.commit(write)

    retrying = AsyncRetrying(
        stop=stop_after_delay(SECONDS),
        wait=wait_exponential_jitter(multiplier=0.1, max=5.0, jitter=0.1),
        retry=retry_if_exception(lambda error: isinstance(error, Ours) and error.type.passing),
        sleep=asyncio.sleep,
        reraise=True,
    )
    written: Written = await retrying(commit)
    return written

"""Repeats a call where that is safe: no answer came, or the gateway asked to wait (429, 503, `Retry-After`).

Waits grow exponentially with jitter, and are never shorter than the gateway asked for (RFC 9110 section 10.2.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from gateway.client.answers import Answer
from gateway.client.errors import NoConnection, Refused

TRIES: Final = 4
LONGEST_WAIT: Final = 30  # seconds; a longer `Retry-After` ends the call
_GROWING: Final = wait_exponential_jitter(multiplier=0.3, max=5.0)


async def repeated(once: Callable[[], Awaitable[Answer]], tries: int) -> Answer:
    """The answer of the first of at most `tries` calls that succeeds; else the last error."""

    async def call() -> Answer:  # tenacity awaits only functions declared `async`
        return await once()

    retrying = AsyncRetrying(
        stop=stop_after_attempt(tries),
        wait=_wait,
        retry=retry_if_exception(_may_repeat),
        sleep=asyncio.sleep,
        reraise=True,
    )
    answer: Answer = await retrying(call)
    return answer


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    requested = error.retry_after if isinstance(error, Refused) else None
    return max(float(requested or 0), _GROWING(state))


def _may_repeat(error: BaseException) -> bool:
    if isinstance(error, NoConnection):
        return True
    if not isinstance(error, Refused) or (error.retry_after or 0) > LONGEST_WAIT:
        return False
    return error.status in (429, 503) or error.retry_after is not None

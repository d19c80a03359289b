"""Who waits for the journal, and until when.

A caller has the answer within `Limits.answer` seconds. What a unit waits in the queue counts, since a transaction that
succeeds late may be followed by one that gets no answer. What waited for too long already is refused unwritten. The
transaction of the rest waits for its server only as long as its oldest unit may.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from contracts.base.errors import Ours
from gateway.journal.errors import JOURNAL_ROW_REFUSED
from gateway.journal.limits import Limits
from gateway.journal.write import Write, Written

# Of the time that a caller waits. What is left for a transaction is enough for a large one under load: one that is cut
# off counts as a silent server.
_IN_QUEUE: Final = 0.4
_IN_ALL: Final = 0.95

Results = Sequence[Written | Exception]


class Waiting(NamedTuple):
    """A unit that somebody waits for. `since`: by the monotonic clock."""

    unit: Write
    future: asyncio.Future[Written]
    loop: asyncio.AbstractEventLoop
    since: float


def waiting(unit: Write) -> Waiting:
    """One of the running event loop."""
    loop = asyncio.get_running_loop()
    return Waiting(unit, loop.create_future(), loop, time.monotonic())


def until(jobs: Sequence[Waiting], limits: Limits | None) -> float:
    """When the first of them must have an answer, by the monotonic clock. Without any: as if one came now."""
    if limits is None or not limits.answer:
        return float("inf")
    return min((each.since for each in jobs), default=time.monotonic()) + limits.answer * _IN_ALL


def too_late(jobs: Sequence[Waiting], limits: Limits | None) -> Sequence[Waiting]:
    """Those that waited for so long that a transaction may end too late for them."""
    if limits is None or not limits.answer:
        return ()
    latest = time.monotonic() - limits.answer * _IN_QUEUE
    return [each for each in jobs if each.since < latest]


def answer(jobs: Sequence[Waiting], results: Results) -> None:
    """Resolves all futures of one event loop by one call into it."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Written], Written | Exception]]] = {}
    for each, result in zip(jobs, results, strict=True):
        if isinstance(result, Exception) and not isinstance(result, Ours):
            result = JOURNAL_ROW_REFUSED(reason=str(result).splitlines()[0] if str(result) else type(result).__name__)
        loops.setdefault(each.loop, []).append((each.future, result))
    for loop, pairs in loops.items():
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: Sequence[tuple[asyncio.Future[Written], Written | Exception]]) -> None:
    for future, result in pairs:
        if not future.done():
            if isinstance(result, Written):
                future.set_result(result)
            else:
                future.set_exception(result)

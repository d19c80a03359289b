"""Serves `POST /audit/reconciliation`: compares an agency's own counts of a day with the log.

Each agency has one comparison at a time, in a thread, as it may take seconds. A comparison rests as long as it works,
releases the database between pages, and ends after a minute.
Invariant: a system speaks for its own agency only. This is checked before anything is compared.
Invariant: each comparison is logged with its numbers before its answer leaves.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Connection

from contracts.base.errors import Finding
from gateway.audit.search.errors import (
    RECONCILIATION_BUSY,
    RECONCILIATION_INVALID,
    RECONCILIATION_NOT_YOURS,
    RECONCILIATION_TOO_LONG,
)
from gateway.audit.search.reconcile import Claimant, Comparison, compare
from gateway.audit.search.search import reading, renew
from gateway.client.audit.reconciliation import BadStatement, Statement, from_json
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.journal.write import Write
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries

BUSY_SECONDS: Final = 5
AT_ONCE: Final = 3  # of different agencies, in this process
WORK_SECONDS: Final = 60.0
_SLICE_SECONDS, _REST_SECONDS = 0.005, 0.05  # shorter work has no rest; the longest rest
_under_way: Final[set[str]] = set()  # agencies; of this process
_threads: Final = ThreadPoolExecutor(AT_ONCE, "reconciliation")  # each starts when it is needed


class Unhurried:
    """The pace of one comparison: as much rest as work, and a time limit."""

    def __init__(
        self,
        seconds: float = WORK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock: Final = clock
        self._rest: Final = rest
        self._seconds: Final = seconds
        self._until: Final = clock() + seconds
        self._since = clock()

    def __call__(self, connection: Connection) -> None:
        now = self._clock()
        if now > self._until:
            raise RECONCILIATION_TOO_LONG(seconds=round(self._seconds), retry_after=BUSY_SECONDS)
        if now - self._since < _SLICE_SECONDS:
            return
        renew(connection)
        self._rest(min(now - self._since, _REST_SECONDS))
        self._since = self._clock()


async def reconcile(services: Services, request: ApiRequest) -> Reply:
    caller = request.proven
    agency = caller.system.agency
    if agency in _under_way or len(_under_way) >= AT_ONCE:
        raise RECONCILIATION_BUSY(retry_after=BUSY_SECONDS)
    _under_way.add(agency)
    loop = asyncio.get_running_loop()
    try:
        job = _threads.submit(_answer, services, request, agency)
    except BaseException:
        _under_way.discard(agency)
        raise
    job.add_done_callback(lambda _done: _soon(loop, agency))  # also if the caller left
    comparison, body = await asyncio.wrap_future(job)
    entry = entries.note("reconciliation", comparison.noted(), services.clock(), actor=caller.system.name)
    await services.record(Write(replay=caller.replay, log=(entry,)))
    return Reply(200, {"content-type": "application/json"}, body)


def _soon(loop: asyncio.AbstractEventLoop, agency: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_under_way.discard, agency)


def claimant_of(snapshot: Snapshot, agency: str, statement: Statement) -> Claimant:
    """The agency with its systems. A statement about another agency, or its system, is refused as a whole."""
    own = sorted(name for name, system in snapshot.systems.items() if system.agency == agency)
    named = (
        [statement.agency]
        if statement.agency not in (None, agency)
        else [key.system for key in statement.claims if key.system not in own]
    )
    if named:
        findings = [Finding("counts", "", str(each)[:80], "own", agency) for each in dict.fromkeys(named)]
        raise RECONCILIATION_NOT_YOURS(agency=agency, named=str(named[0])[:80], findings=findings[:20])
    return Claimant(agency, own)


def _answer(services: Services, request: ApiRequest, agency: str) -> tuple[Comparison, bytes]:
    """The comparison, and as JSON. Runs in a thread."""
    try:
        statement = from_json(request.json)
    except BadStatement as bad:
        raise RECONCILIATION_INVALID(count=len(bad.findings), findings=bad.findings[:20]) from None
    claimant = claimant_of(request.snapshot, agency, statement)
    with reading(services.engine) as connection:
        hash_id, now = services.exchange.hash_id, services.clock()
        comparison = compare(connection, claimant, statement, hash_id, now, Unhurried())
    return comparison, json.dumps(comparison.to_json(), ensure_ascii=False).encode()

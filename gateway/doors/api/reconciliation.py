"""`POST /audit/reconciliation`: an agency's own counts of a day against the log.

Invariants: a system speaks for its own agency alone; nothing is compared, and nothing told, before that is clear. Each comparison is logged with its
numbers before its answer leaves. Of one agency one is made at a time, and few in all, in threads of their own: it takes seconds where there were many
messages. It rests as long as it works, so that the exchange goes on beside it, lets go of the database between two pages, and ends after a minute.
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
from gateway.audit.search.reconcile import Comparison, compare
from gateway.audit.search.search import reading, renew
from gateway.client.audit.reconciliation import BadStatement, Statement, from_json
from gateway.doors.api.errors import API_REPLAYED
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import Verdict, Write
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries

BUSY_SECONDS: Final = 5
AT_ONCE: Final = 3  # of different agencies, in this process
WORK_SECONDS: Final = 60.0
_SLICE_SECONDS, _REST_SECONDS = 0.005, 0.05  # shorter pieces of work go on without a rest; no rest is longer
_under_way: Final[set[str]] = set()  # agencies; of this process
_threads: Final = ThreadPoolExecutor(AT_ONCE, "reconciliation")  # none begins before it is needed


class Unhurried:
    """The pace of one comparison: as much rest as work, and an end."""

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
    job.add_done_callback(lambda _done: _soon(loop, agency))  # also where the caller has gone away meanwhile
    found, body = await asyncio.wrap_future(job)
    entry = entries.note("reconciliation", found.noted(), services.clock(), actor=caller.system.name)
    written = await services.journal.commit(Write(replay=caller.replay, log=(entry,)))
    if written.verdict is Verdict.REPLAYED:
        raise API_REPLAYED()
    if written.verdict is not Verdict.COMMITTED:
        raise JOURNAL_FENCED(retry_after=1)
    return Reply(200, {"content-type": "application/json"}, body)


def _soon(loop: asyncio.AbstractEventLoop, agency: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_under_way.discard, agency)


def own_systems(snapshot: Snapshot, agency: str, said: Statement) -> list[str]:
    """The agency's systems; a statement that names another agency, or a system of one, is refused as a whole."""
    own = sorted(name for name, system in snapshot.systems.items() if system.agency == agency)
    named = (
        [said.agency]
        if said.agency not in (None, agency)
        else [key.system for key in said.claims if key.system not in own]
    )
    if named:
        findings = [Finding("counts", "", str(each)[:80], "own", agency) for each in dict.fromkeys(named)]
        raise RECONCILIATION_NOT_YOURS(agency=agency, named=str(named[0])[:80], findings=findings[:20])
    return own


def _answer(services: Services, request: ApiRequest, agency: str) -> tuple[Comparison, bytes]:
    """In a thread: the comparison, and as JSON."""
    try:
        said = from_json(request.json)
    except BadStatement as bad:
        raise RECONCILIATION_INVALID(count=len(bad.findings), findings=bad.findings[:20]) from None
    own = own_systems(request.snapshot, agency, said)
    with reading(services.engine) as connection:
        found = compare(connection, agency, own, said, services.exchange.hash_id, services.clock(), Unhurried())
    return found, json.dumps(found.to_json(), ensure_ascii=False).encode()

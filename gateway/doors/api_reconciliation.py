"""`POST /audit/reconciliation`: an agency's own counts of a day against the log.

Invariants: a system speaks for its own agency alone; nothing is compared, and nothing told, before that is clear. Each comparison is logged with its
numbers before its answer leaves. One is made at a time: it takes seconds where there were many messages, and the exchange goes on beside it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from sqlalchemy import Engine

import gateway.audit.search_failures  # noqa: F401  (registers the codes)
from contracts.base.errors import Finding, Ours, Policy, Theirs
from gateway.audit.reconcile import Comparison, compare
from gateway.audit.search import reading
from gateway.client.reconciliation import BadStatement, Statement, from_json
from gateway.doors.api_services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.exchange import entries
from gateway.journal.write import Verdict, Write
from gateway.registry.snapshot import Snapshot

BUSY_SECONDS: Final = 5
_under_way: Final[set[str]] = set()  # of this process


async def reconcile(services: Services, request: ApiRequest) -> Reply:
    caller = request.proven
    agency = caller.system.agency
    try:
        said = from_json(request.json)
    except BadStatement as bad:
        raise Theirs("reconciliation.invalid", count=len(bad.findings), findings=bad.findings[:20]) from None
    own = own_systems(request.snapshot, agency, said)
    if _under_way:
        raise Ours("reconciliation.busy", retry_after=BUSY_SECONDS)
    _under_way.add(agency)
    try:
        found = await asyncio.to_thread(_compare, services.engine, agency, own, said, services)
    finally:
        _under_way.discard(agency)
    entry = entries.note("reconciliation", found.noted(), services.clock(), actor=caller.system.name)
    written = await services.journal.commit(Write(replay=caller.replay, log=(entry,)))
    if written.verdict is Verdict.REPLAYED:
        raise Theirs("api.replayed")
    if written.verdict is not Verdict.COMMITTED:
        raise Ours("journal.fenced", retry_after=1)
    return Reply(200, {"content-type": "application/json"}, json.dumps(found.to_json(), ensure_ascii=False).encode())


def own_systems(snapshot: Snapshot, agency: str, said: Statement) -> list[str]:
    """The agency's systems; a statement that names another agency, or a system of one, is refused as a whole."""
    own = sorted(name for name, system in snapshot.systems.items() if system.agency == agency)
    named = [said.agency] if said.agency not in (None, agency) else [key.system for key in said.claims if key.system not in own]
    if named:
        findings = [Finding("counts", "", str(each)[:80], "own", agency) for each in dict.fromkeys(named)]
        raise Policy("reconciliation.not-yours", agency=agency, named=str(named[0])[:80], findings=findings[:20])
    return own


def _compare(engine: Engine, agency: str, own: list[str], said: Statement, services: Services) -> Comparison:
    with reading(engine) as connection:
        return compare(connection, agency, own, said, services.exchange.hash_id, services.clock())

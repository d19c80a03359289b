"""Serves `/feeds/{contract}/v{major}/digests`: the sealed digests of a feed, with the proofs of their entries.

Invariant: a digest tells of its feed alone, and of no field of a message. Who may read the feed may read them.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from gateway.audit.log import proofs
from gateway.audit.log.transfer_proofs import text
from gateway.doors.api.feed_pages import feed_name, times_of
from gateway.doors.api.feed_readings import decided
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.feeds import digests
from gateway.feeds.digests import SealedDigest
from gateway.feeds.places import Times
from security.transparency.periods import STATED, begin_of

MOST_PERIODS: Final = 10_000  # are looked up for one answer


async def read_digests(services: Services, request: ApiRequest) -> Reply:
    """The digests of the periods that end after `since`, up to `until`."""
    contract, _ = decided(services, request, feed_name(request))
    times, limit = times_of(request.params), request.params["limit"]
    found = await services.readers.run(request.owner, _read, services, contract.contract.name, times, limit)
    return Reply(200, {"content-type": "application/json"}, json.dumps(found, ensure_ascii=False).encode())


def _read(services: Services, contract: str, times: Times, limit: int) -> dict[str, Any]:
    """Runs in a thread."""
    with services.engine.connect() as connection:
        period = digests.period_of(connection)
        top = proofs.newest(connection)
        sealed = digests.logged_until(connection) if top is not None else None
        first = digests.first_period(connection, contract, period)
        found: list[SealedDigest] = []
        more, end = False, sealed
        if sealed is not None and first is not None:
            since = max(first, begin_of(times.since, period) if times.since is not None else first)
            end = sealed if times.until is None else min(sealed, begin_of(times.until, period))
            more = end - since > MOST_PERIODS * period
            end = min(end, since + MOST_PERIODS * period)
            found = digests.sealed(connection, contract, since, end, limit + 1, period)
            if len(found) > limit:
                more, found = True, found[:limit]
                end = found[-1].digest.until
        return {
            "contract": contract,
            STATED: period,
            "sealed": None if sealed is None else rfc3339(sealed),
            "next": None if end is None else rfc3339(end),
            "more": more,
            "checkpoint": None if top is None else top[1],
            "digests": [_shown(connection, each, top) for each in found],
        }


def _shown(connection: Connection, each: SealedDigest, top: tuple[int, str] | None) -> dict[str, Any]:
    facts = {name: value for name, value in each.digest.facts().items() if name != "contract"}
    entry: dict[str, Any] = {"index": each.at, "text": each.entry.decode("utf-8", "replace")}
    if each.origin is not None:
        entry["origin"] = each.origin
    elif top is not None and each.at < top[0]:
        inclusion = proofs.inclusions(connection, each.id, top)[0]
        entry["proof"] = [text(hash) for hash in inclusion.hashes]
    return {"id": each.id, **facts, "entry": entry}

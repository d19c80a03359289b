"""Serves `/feeds`: which feeds there are for a reader, and `/feeds/{contract}/v{major}`: pages of a feed, for agencies
with a grant for the operation `feed`.

A page of a contract with encrypted bodies is encrypted for its reader.
Invariant: fields outside the grant, or outside the reader's older version, are removed before a page is written.
Invariant: an entry of the log covers each event before it leaves (`gateway.feeds.sessions`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from contracts.base.times import rfc3339
from contracts.compiled.contract import CompiledContract
from gateway.doors.api import feed_streams
from gateway.doors.api import feeds_together as several
from gateway.doors.api.feed_codings import coding_of
from gateway.doors.api.feed_pages import Make, Part, feed_name, make_page, make_state, part_of
from gateway.doors.api.feed_readings import decided, judged_anew, reading
from gateway.doors.api.services import ApiRequest, Handler, Services
from gateway.doors.reply import Reply
from gateway.exchange.answer_keys import demand_key
from gateway.feeds import cursor as cursors
from gateway.feeds.heads import head_of
from gateway.feeds.places import Bounds, bounds
from gateway.journal import feed_log
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Snapshot
from security import jose
from security.encryption_keys import EncryptKey
from security.grants.grants import Decision


async def list_feeds(services: Services, request: ApiRequest) -> Reply:
    """The feeds that the caller may read, and where each of them stands."""
    snapshot, at, agency = request.snapshot, request.received.at, request.proven.system.agency
    fed = [each for each in snapshot.contracts.values() if each.contract.fed]
    readable = [each for each in fed if snapshot.decide(agency, each.contract.name, FEED, at).allowed]
    listed = await services.readers.run(request.owner, _listed, services, snapshot, readable, at)
    return Reply(200, {"content-type": "application/json"}, json.dumps({"feeds": listed}, ensure_ascii=False).encode())


def _listed(
    services: Services, snapshot: Snapshot, contracts: Sequence[CompiledContract], at: float
) -> list[dict[str, Any]]:
    listed = []
    for each in sorted(contracts, key=lambda each: each.contract.name):
        name, operations = each.contract.name, [operation.name for operation in each.contract.fed]
        with services.engine.connect() as connection:
            stands, log = head_of(connection, name), feed_log.name(connection)
        lag = 0.0 if stands.oldest is None else max(0.0, services.clock() - stands.oldest)
        listed.append(
            {
                "contract": name,
                "title": {"vi": each.contract.title.vi, "en": each.contract.title.en},
                "address": f"/feeds/{name}",
                "encrypted": each.contract.protection == "encrypted",
                "head": cursors.encode(name, stands.offset, log),
                "newest": None
                if stands.newest is None
                else {"id": stands.newest[0], "sequencedtime": rfc3339(stands.newest[1])},
                "pending": stands.pending,
                "lagSeconds": round(lag, 3),
                "sources": sorted(
                    agency
                    for agency in snapshot.agencies
                    if any(snapshot.decide(agency, name, operation, at).allowed for operation in operations)
                ),
            }
        )
    return listed


async def read_feed(services: Services, request: ApiRequest) -> Reply:
    """A page of a feed, or a stream of its events."""
    name = feed_name(request)
    part = part_of(request.params)
    if feed_streams.is_asked_for(request):
        return await feed_streams.opened(services, request, (name,), part)
    contract, decision = decided(services, request, name)
    if request.params["wait"]:
        request = await _arrived(services, request, name, part)
        contract, decision = decided(services, request, name)
    return await _answered(services, request, contract, decision, partial(make_page, services, contract, part))


async def read_state(services: Services, request: ApiRequest) -> Reply:
    """A page of what stands now."""
    contract, decision = decided(services, request, feed_name(request))
    return await _answered(services, request, contract, decision, partial(make_state, services, contract, request))


async def _answered(
    services: Services, request: ApiRequest, contract: CompiledContract, decision: Decision, make: Make
) -> Reply:
    """The page in its form."""
    coding_of(request.params["coding"])  # refused before anything is read
    form = request.params["form"]
    receiver = demand_key(contract.contract, request.snapshot, request.proven.system, request.received.at)
    page = await reading(services, request, contract, decision, make, request.proven.replay)
    return await sent(services, request, *page.written({"contract": contract.contract.name}, form), receiver)


async def sent(services: Services, request: ApiRequest, body: bytes, media: str, receiver: EncryptKey | None) -> Reply:
    """The reply with this body, encrypted and compressed where that is asked for."""
    compress = coding_of(request.params["coding"])
    if receiver is not None:
        sealed = await services.readers.run(request.owner, jose.seal, body, media, services.rest.signing_key, receiver)
        body, media = sealed[0], jose.MEDIA_TYPE
    headers = {"content-type": media}
    if compress is not None:
        body = await services.readers.run(request.owner, compress, body)
        headers["content-encoding"] = request.params["coding"]
    return Reply(200, headers, body)


async def read_feeds(services: Services, request: ApiRequest) -> Reply:
    """A page of several feeds, or a stream of their events. Each is judged by its own grant, logged and counted."""
    names = several.names_of(request)
    part = part_of(request.params)
    if feed_streams.is_asked_for(request):
        return await feed_streams.opened(services, request, names, part)
    coding_of(request.params["coding"])
    if request.params["wait"]:
        for name in names:
            decided(services, request, name)
        offsets = await services.readers.run(request.owner, several.offsets_of, services, names, part)
        shell = request.call.shell
        await services.arrivals.after(offsets, float(request.params["wait"]), lambda: shell.draining)
        request = judged_anew(services, request, request)
    page, receiver = await several.read_page(services, request, names, part)
    return await sent(services, request, *page.written({"contracts": names}, request.params["form"]), receiver)


async def _arrived(services: Services, request: ApiRequest, name: str, part: Part) -> ApiRequest:
    """The request again, once there is an event for it or its time to wait is over: as the registry says then."""
    shell = request.call.shell
    bounds = await services.readers.run(request.owner, _bounds, services, name, part)
    if bounds.complete or bounds.high is not None and bounds.low < bounds.high:
        return request
    await services.arrivals.after({name: bounds.low}, float(request.params["wait"]), lambda: shell.draining)
    # Its certificate, system and key may be revoked by now.
    return judged_anew(services, request, request)


def _bounds(services: Services, name: str, part: Part) -> Bounds:
    with services.engine.connect() as connection:
        return bounds(connection, name, part.after, part.times)


HANDLERS: Final[dict[str, Handler]] = {
    "listFeeds": list_feeds,
    "readFeed": read_feed,
    "readFeeds": read_feeds,
    "readState": read_state,
}

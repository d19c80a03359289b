"""Serves `/feeds`: which feeds there are for a reader, and `/feeds/{contract}/v{major}`: pages of a feed, for agencies
with a grant for the operation `feed`.

A page of a contract with encrypted bodies is encrypted for its reader.
Invariant: fields outside the grant, or outside the reader's older version, are removed before a page is written.
Invariant: an entry of the log covers each event before it leaves (`gateway.feeds.sessions`).
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from contracts.base.errors import Finding
from contracts.base.times import rfc3339
from contracts.compiled.contract import CompiledContract
from contracts.wire import jsontext
from gateway.doors.api.errors import API_INVALID, FEED_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.http.channel import identify
from gateway.doors.reply import Reply
from gateway.exchange.answer_keys import demand_key
from gateway.exchange.quotas import GrantQuery, UsedUp, decide, refused, uses_of
from gateway.feeds import Page, RawPage, read, read_raw
from gateway.feeds import cursor as cursors
from gateway.feeds.heads import head_of
from gateway.feeds.masks import Masks, masked, masks_of
from gateway.feeds.places import Bounds, Times, bounds, moment
from gateway.feeds.sessions import NOTE, Reader, Span, counted
from gateway.feeds.standing import standing
from gateway.journal.write import Write
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from security import jose
from security.grants.grants import Decision

_logger: Final = logging.getLogger("lgsp.feeds")
_PROBE: Final = "x"
_LEVEL: Final = 1  # of gzip: most of the gain at a fifth of the cost


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
            stands = head_of(connection, name)
        lag = 0.0 if stands.oldest is None else max(0.0, services.clock() - stands.oldest)
        listed.append(
            {
                "contract": name,
                "title": {"vi": each.contract.title.vi, "en": each.contract.title.en},
                "address": f"/feeds/{name}",
                "encrypted": each.contract.protection == "encrypted",
                "head": cursors.encode(name, stands.offset),
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
    """A page of a feed."""
    contract, decision = _decided(services, request)
    times = _times(request.params)
    if request.params["wait"]:
        request = await _arrived(services, request, contract.contract.name, times)
        contract, decision = _decided(services, request)
    return await _answered(services, request, contract, decision, partial(_page, services, contract, request, times))


async def read_state(services: Services, request: ApiRequest) -> Reply:
    """A page of what stands now."""
    contract, decision = _decided(services, request)
    return await _answered(services, request, contract, decision, partial(_state, services, contract, request))


async def _answered(
    services: Services, request: ApiRequest, contract: CompiledContract, decision: Decision, make: Make
) -> Reply:
    """The page in its form, encrypted and compressed where that is asked for."""
    snapshot, caller = request.snapshot, request.proven
    query, quotas = _query(services, request, contract), services.exchange.quotas
    receiver = demand_key(contract.contract, snapshot, caller.system, request.received.at)
    while True:
        try:
            page = await _counted(services, request, contract, decision, make)
            break
        except UsedUp as full:  # at most once for each grant: the page is written again without it
            decision = quotas.without(query, decision, full)
    body, media = page.written(contract.contract.name, request.params["form"])
    if receiver is not None:
        sealed = await services.readers.run(request.owner, jose.seal, body, media, services.rest.signing_key, receiver)
        body, media = sealed[0], jose.MEDIA_TYPE
    headers = {"content-type": media}
    if request.params["coding"] == "gzip":
        body = await services.readers.run(request.owner, partial(gzip.compress, body, _LEVEL, mtime=0))
        headers["content-encoding"] = "gzip"
    return Reply(200, headers, body)


def _decided(services: Services, request: ApiRequest) -> tuple[CompiledContract, Decision]:
    """The contract, and the decision that lets the caller read its feed."""
    name = f"{request.params['contract']}/v{request.params['major']}"
    contract = request.snapshot.contract(name)
    if contract is None or not contract.contract.fed:
        raise FEED_UNKNOWN(contract=name)
    query = _query(services, request, contract)
    decision = services.exchange.quotas.without_full(query, decide(query))
    if decision is None:
        raise refused(query)
    return contract, decision


def _query(services: Services, request: ApiRequest, contract: CompiledContract) -> GrantQuery:
    agency = request.proven.system.agency
    return GrantQuery(request.snapshot, agency, contract.contract, FEED, request.received.at)


async def _arrived(services: Services, request: ApiRequest, name: str, times: Times) -> ApiRequest:
    """The request again, once there is an event for it or its time to wait is over: as the registry says then."""
    received, shell = request.received, request.call.shell
    bounds = await services.readers.run(request.owner, _bounds, services, name, request.params["after"], times)
    if bounds.complete or bounds.high is not None and bounds.low < bounds.high:
        return request
    await services.arrivals.after(name, bounds.low, float(request.params["wait"]), lambda: shell.draining)
    snapshot, now = services.registry.snapshot, services.clock()
    if snapshot is received.snapshot:
        return replace(request, received=received._replace(at=now))
    # Its certificate, system and key may be revoked by now. The signature is held against the time that it came at.
    again = received._replace(snapshot=snapshot)
    channel = identify(received.certificate, snapshot, now)
    services.rest.prove(again, channel)
    caller = replace(request.proven, system=channel.system)
    return replace(request, received=again._replace(at=now), caller=caller)


def _bounds(services: Services, name: str, after: str | None, times: Times) -> Bounds:
    with services.engine.connect() as connection:
        return bounds(connection, name, after, times)


def _times(params: Mapping[str, Any]) -> Times:
    read = {name: moment(params[name]) if params[name] is not None else None for name in Times._fields}
    wrong = [name for name, value in read.items() if params[name] is not None and value is None]
    if wrong:
        expected = "a time with its zone, as 2026-11-24T07:00:00Z or with +07:00 written %2B07:00"
        findings = [Finding(f"query {name}", "", "text", "format", expected) for name in wrong]
        raise API_INVALID(count=len(findings), findings=findings)
    return Times(**read)


class _Page(NamedTuple):
    """`events` as JSON texts. `place`: what else a reader needs to go on."""

    events: list[bytes]
    next: str
    more: bool
    span: Span | None
    place: Mapping[str, Any]

    def written(self, contract: str, form: str) -> tuple[bytes, str]:
        """The body and its media type."""
        place = json.dumps({"next": self.next, "more": self.more, **self.place}, separators=(",", ":"))
        if form == "lines":
            return b"\n".join([*self.events, place.encode(), b""]), "application/x-ndjson"
        head = f'{{"contract":{json.dumps(contract)},{place[1:-1]},"events":['
        return head.encode() + b",".join(self.events) + b"]}", "application/json"


Make = Callable[[Masks], _Page]


async def _counted(
    services: Services, request: ApiRequest, contract: CompiledContract, decision: Decision, make: Make
) -> _Page:
    """The page's events under this decision, logged and counted."""
    caller, snapshot, name = request.proven, request.snapshot, contract.contract.name
    assert decision.grant is not None
    masks = masks_of(snapshot, caller.system, contract, decision)
    page = await services.readers.run(request.owner, make, masks)
    span = page.span
    reader = Reader(caller.system.name, name, tuple(each.id for each in decision.through))
    uses = uses_of(decision, caller.system.agency, request.received.at)
    write, now, sessions = Write(replay=caller.replay, quota=uses), services.clock(), services.sessions

    def noted(facts: Mapping[str, Any]) -> Write:
        return write._replace(log=(entries.note(NOTE, facts, now, actor=reader.system),))

    if decision.limited:
        await services.record(noted(counted(reader, span)))
    elif span is None or sessions.covered(reader, span, now):
        await services.record(write)
    else:
        async with sessions.entry:
            if sessions.covered(reader, span, now):  # another page had its entry written meanwhile
                await services.record(write)
            else:
                due = sessions.due(reader, span, now)
                await services.record(noted(due.facts))
                sessions.committed(reader, due, now)
    return page


async def close_sessions(services: Services, *, all: bool = False) -> None:
    """Log the end of idle sessions, or of all before the process stops."""
    now = services.clock()
    log = tuple(
        entries.note(NOTE, facts, now, actor=reader.system) for reader, facts in services.sessions.closing(now, all=all)
    )
    try:
        if log:
            await services.journal.commit(Write(log=log))
    except Exception:  # the entries that opened them stand, with their range as the upper bound
        _logger.exception("the end of %d reading sessions could not be logged", len(log))


def _page(services: Services, contract: CompiledContract, request: ApiRequest, times: Times, masks: Masks) -> _Page:
    """Runs in a thread."""
    name, after, limit = contract.contract.name, request.params["after"], request.params["limit"]
    with services.engine.connect() as connection:
        if not any(masks.values()):
            raw: RawPage = read_raw(connection, name, after, limit, vault=services.vault, times=times)
            return _Page(list(raw.events), raw.next, raw.more, raw.span, _ends(times, raw.complete))
        page: Page = read(connection, name, after, limit, vault=services.vault, times=times)
    return _Page(_shown(page.events, contract, masks), page.next, page.more, page.span, _ends(times, page.complete))


def _ends(times: Times, complete: bool) -> Mapping[str, Any]:
    return {} if times.until is None else {"complete": complete}


def _state(services: Services, contract: CompiledContract, request: ApiRequest, masks: Masks) -> _Page:
    """Runs in a thread."""
    after, limit, hash_id = request.params["after"], request.params["limit"], services.exchange.hash_id
    with services.engine.connect() as connection:
        page = standing(connection, contract.contract, after, limit, services.vault, hash_id)
    return _Page(_shown(page.events, contract, masks), page.next, page.more, page.span, {"continue": page.place})


def _shown(events: Sequence[dict[str, Any]], contract: CompiledContract, masks: Masks) -> list[bytes]:
    for event in events:
        masked(event, contract, masks)
    return [jsontext.write_json(event) for event in events]

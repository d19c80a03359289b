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
from contracts.canonical.model import Kind, Operation
from contracts.compiled.contract import CompiledContract
from contracts.compiled.pinned import PinnedCodec
from contracts.wire import jsontext
from gateway.doors.api.errors import API_INVALID, FEED_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.encryption import demand_key
from gateway.doors.http.channel import identify
from gateway.doors.reply import Reply
from gateway.exchange.quotas import GrantQuery, UsedUp, decide, refused, uses_of
from gateway.feeds import Page, RawPage, read, read_raw
from gateway.feeds import cursor as cursors
from gateway.feeds.heads import head_of
from gateway.feeds.places import Bounds, Times, bounds, moment
from gateway.feeds.sessions import NOTE, Reader, Span, counted
from gateway.journal.write import Write
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Mask, Snapshot
from gateway.transfer import entries
from gateway.transfer.transfer_records import end_of, event_type, operation_of
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
    contract, decision = _decided(services, request)
    name, times = contract.contract.name, _times(request.params)
    if request.params["wait"]:
        request = await _arrived(services, request, name, times)
        contract, decision = _decided(services, request)
    snapshot, caller = request.snapshot, request.proven
    query, quotas = _query(services, request, contract), services.exchange.quotas
    receiver = demand_key(contract.contract, snapshot, caller.system, request.received.at)
    while True:
        try:
            page = await _counted(services, request, contract, decision, times)
            break
        except UsedUp as full:  # at most once for each grant: the page is written again without it
            decision = quotas.without(query, decision, full)
    form = _LINES if request.params["form"] == "lines" else _OBJECT
    body, media = form.write(name, page, times), form.media
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
    """Its events as JSON texts."""

    events: list[bytes]
    next: str
    more: bool
    span: Span | None
    complete: bool

    def place(self, times: Times) -> str:
        """What a reader needs to go on."""
        more = {"next": self.next, "more": self.more}
        if times.until is not None:
            more["complete"] = self.complete
        return json.dumps(more, separators=(",", ":"))


class _Form(NamedTuple):
    media: str
    write: Callable[[str, _Page, Times], bytes]


def _object(contract: str, page: _Page, times: Times) -> bytes:
    head = f'{{"contract":{json.dumps(contract)},{page.place(times)[1:-1]},"events":['
    return head.encode() + b",".join(page.events) + b"]}"


def _lines(contract: str, page: _Page, times: Times) -> bytes:
    return b"\n".join([*page.events, page.place(times).encode(), b""])


_OBJECT: Final = _Form("application/json", _object)
_LINES: Final = _Form("application/x-ndjson", _lines)


async def _counted(
    services: Services, request: ApiRequest, contract: CompiledContract, decision: Decision, times: Times
) -> _Page:
    """The page's events under this decision, logged and counted."""
    caller, snapshot, name = request.proven, request.snapshot, contract.contract.name
    assert decision.grant is not None
    codec = snapshot.codec(caller.system, contract)

    def mask_of(operation: Operation, message: str) -> Mask | None:
        mask = snapshot.mask(contract, message, decision.views)
        return _brought_down(codec, operation, message, mask) if isinstance(codec, PinnedCodec) else mask

    masks = {each.name: of_data([mask_of(each, message) for message in each.fed]) for each in contract.contract.fed}
    wanted = _Wanted(name, request.params["after"], request.params["limit"], times)
    page = await services.readers.run(request.owner, _page, services, contract, wanted, masks)
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


class _Wanted(NamedTuple):
    contract: str
    after: str | None
    limit: int
    times: Times


def _page(services: Services, contract: CompiledContract, wanted: _Wanted, masks: dict[str, Mask | None]) -> _Page:
    """Runs in a thread."""
    name, after, limit, times = wanted
    with services.engine.connect() as connection:
        if not any(masks.values()):
            raw: RawPage = read_raw(connection, name, after, limit, vault=services.vault, times=times)
            return _Page(list(raw.events), raw.next, raw.more, raw.span, raw.complete)
        page: Page = read(connection, name, after, limit, vault=services.vault, times=times)
    for event in page.events:
        # The event's type names its operation, and so the message of its data.
        operation = operation_of(contract.namespace, event["type"])
        mask = masks.get(operation, _nothing)
        if mask is not None:
            _hide(event, contract, operation, mask)
            if "data" in event:
                event["data"] = mask(event["data"])
    return _Page([jsontext.write_json(event) for event in page.events], page.next, page.more, page.span, page.complete)


def _hide(event: dict[str, Any], contract: CompiledContract, name: str, mask: Mask) -> None:
    """Leaves out of an event's attributes what follows from fields that its reader does not see."""
    operation = contract.contract.operations.get(name)
    if "subject" in event and (operation is None or not _shows(mask, operation.subject)):
        del event["subject"]
    identity = operation.identity if operation is not None else None
    if name and end_of(event["type"]) is None and (identity is None or not _shows(mask, identity.decisive)):
        event["type"] = event_type(contract.namespace, name, Kind.SUBMITTED)


def of_data(masks: Sequence[Mask | None]) -> Mask | None:
    """The mask of an event's data, which is one message, or an object of two: `request` and `answer`."""
    if len(masks) == 1 or not any(masks):
        return masks[0]
    request, answer = (each or _all for each in masks)
    own = {"request": request, "answer": answer}
    return lambda data: {name: own.get(name, _nothing)(message) for name, message in data.items()}


def _brought_down(codec: PinnedCodec, operation: Operation, message: str, mask: Mask | None) -> Mask:
    """The mask, then only the fields of the reader's older version. An operation unknown to it becomes an event without
    data.
    """
    if not codec.supports(operation.name):
        return _nothing
    project = codec.projection(message)
    return project if mask is None else lambda data: project(mask(data))


def _shows(mask: Mask, paths: Sequence[str]) -> bool:
    """Whether the reader sees all of these fields, and there are any."""
    return bool(paths) and all(_seen(mask, path) for path in paths)


def _seen(mask: Mask, path: str) -> bool:
    value: Any = _PROBE
    for step in reversed(path.split(".")):
        value = {step.removesuffix("[]"): [value] if step.endswith("[]") else value}
    shown: Any = mask(value)
    for step in path.split("."):
        shown = shown.get(step.removesuffix("[]")) if isinstance(shown, Mapping) else None
        if step.endswith("[]"):
            shown = shown[0] if isinstance(shown, list) and shown else None
    return bool(shown == _PROBE)


def _all(data: dict[str, Any]) -> dict[str, Any]:
    return data


def _nothing(data: dict[str, Any]) -> dict[str, Any]:
    """For an event whose operation the contract in force does not have: no field may be shown."""
    return {}

"""Serves `/feeds/{contract}/v{major}`: pages of a feed, for agencies with a grant for the operation `feed`.

A page of a contract with encrypted bodies is encrypted for its reader.
Invariant: fields outside the grant, or outside the reader's older version, are removed before a page is written.
Invariant: an entry of the log covers each event before it leaves (`gateway.feeds.sessions`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.canonical.model import Kind, Operation
from contracts.compiled.contract import CompiledContract
from contracts.compiled.pinned import PinnedCodec
from contracts.wire import jsontext
from gateway.doors.api.errors import FEED_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.encryption import demand_key
from gateway.doors.reply import Reply
from gateway.exchange.quotas import GrantQuery, UsedUp, decide, refused, uses_of
from gateway.feeds import Page, RawPage, read, read_raw
from gateway.feeds.sessions import NOTE, Reader, Span, counted
from gateway.journal.write import Write
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Mask
from gateway.transfer import entries
from gateway.transfer.transfer_records import end_of, event_type, operation_of
from security import jose
from security.grants.grants import Decision

_logger: Final = logging.getLogger("lgsp.feeds")
_PROBE: Final = "x"


async def read_feed(services: Services, request: ApiRequest) -> Reply:
    received, caller, snapshot = request.received, request.proven, request.snapshot
    name = f"{request.params['contract']}/v{request.params['major']}"
    contract = snapshot.contract(name)
    if contract is None or not contract.contract.fed:
        raise FEED_UNKNOWN(contract=name)
    agency = caller.system.agency
    query, quotas = GrantQuery(snapshot, agency, contract.contract, FEED, received.at), services.exchange.quotas
    decision = quotas.without_full(query, decide(query))
    if decision is None:
        raise refused(query)
    receiver = demand_key(contract.contract, snapshot, caller.system, received.at)
    while True:
        try:
            events, cursor, more = await _counted(services, request, contract, decision)
            break
        except UsedUp as full:  # at most once for each grant: the page is written again without it
            decision = quotas.without(query, decision, full)
    head = (
        f'{{"contract":{json.dumps(name)},"next":{json.dumps(cursor)},"more":{"true" if more else "false"},"events":['
    )
    page, media = head.encode() + b",".join(events) + b"]}", "application/json"
    if receiver is not None:
        sealed = await services.readers.run(request.owner, jose.seal, page, media, services.rest.signing_key, receiver)
        page, media = sealed[0], jose.MEDIA_TYPE
    return Reply(200, {"content-type": media}, page)


async def _counted(
    services: Services, request: ApiRequest, contract: CompiledContract, decision: Decision
) -> tuple[list[bytes], str, bool]:
    """The page's events under this decision, logged and counted."""
    caller, snapshot, name = request.proven, request.snapshot, contract.contract.name
    assert decision.grant is not None
    codec = snapshot.codec(caller.system, contract)

    def mask_of(operation: Operation, message: str) -> Mask | None:
        mask = snapshot.mask(contract, message, decision.views)
        return _brought_down(codec, operation, message, mask) if isinstance(codec, PinnedCodec) else mask

    masks = {each.name: of_data([mask_of(each, message) for message in each.fed]) for each in contract.contract.fed}
    events, cursor, more, span = await services.readers.run(
        request.owner, _page, services, contract, name, request.params, masks
    )
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
    return events, cursor, more


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


def _page(
    services: Services, contract: CompiledContract, name: str, params: Any, masks: dict[str, Mask | None]
) -> tuple[list[bytes], str, bool, Span | None]:
    """The page's events as JSON texts, next cursor, whether there are more, and what it holds. Runs in a thread."""
    after, limit = params["after"], params["limit"]
    with services.engine.connect() as connection:
        if not any(masks.values()):
            raw: RawPage = read_raw(connection, name, after, limit, vault=services.vault)
            return list(raw.events), raw.next, raw.more, raw.span
        page: Page = read(connection, name, after, limit, vault=services.vault)
    for event in page.events:
        # The event's type names its operation, and so the message of its data.
        operation = operation_of(contract.namespace, event["type"])
        mask = masks.get(operation, _nothing)
        if mask is not None:
            _hide(event, contract, operation, mask)
            if "data" in event:
                event["data"] = mask(event["data"])
    return [jsontext.write_json(event) for event in page.events], page.next, page.more, page.span


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

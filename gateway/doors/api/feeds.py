"""Serves `/feeds/{contract}/v{major}`: pages of a feed, for agencies with a grant for the operation `feed`.

A page of a contract with encrypted bodies is encrypted for its reader.
Invariant: fields outside the grant, or outside the reader's older version, are removed before a page is written.
Invariant: a page with bodies is logged with the range that was read, before it leaves (05-audit).
"""

from __future__ import annotations

import json
from typing import Any

from contracts.canonical.model import Operation, Pattern
from contracts.compiled.contract import CompiledContract
from contracts.compiled.pinned import PinnedCodec
from contracts.wire import jsontext
from gateway.doors.api.errors import API_REPLAYED, FEED_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.encryption import demand_key
from gateway.doors.reply import Reply
from gateway.exchange.quotas import GrantQuery, UsedUp, decide, refused, uses_of
from gateway.feeds import Page, RawPage, read, read_raw
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import Verdict, Write
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Mask
from gateway.transfer import entries
from security import jose
from security.grants.grants import Decision


async def read_feed(services: Services, request: ApiRequest) -> Reply:
    received, caller, snapshot = request.received, request.proven, request.snapshot
    name = f"{request.params['contract']}/v{request.params['major']}"
    contract = snapshot.contract(name)
    submitted = (
        []
        if contract is None
        else [each for each in contract.contract.operations.values() if each.pattern is Pattern.SUBMIT]
    )
    if contract is None or not submitted:
        raise FEED_UNKNOWN(contract=name)
    agency = caller.system.agency
    query, quotas = GrantQuery(snapshot, agency, contract.contract, FEED, received.at), services.exchange.quotas
    decision = quotas.without_full(query, decide(query))
    if decision is None:
        raise refused(query)
    receiver = demand_key(contract.contract, snapshot, caller.system, received.at)
    while True:
        try:
            events, cursor, more = await _counted(services, request, contract, submitted, decision)
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
    services: Services, request: ApiRequest, contract: CompiledContract, submitted: list[Operation], decision: Decision
) -> tuple[list[bytes], str, bool]:
    """The page's events under this decision, logged and counted."""
    caller, snapshot, name = request.proven, request.snapshot, contract.contract.name
    assert decision.grant is not None
    masks = {each.name: snapshot.mask(contract, each.request, decision.views) for each in submitted}
    codec = snapshot.codec(caller.system, contract)
    if isinstance(codec, PinnedCodec):
        masks = {each.name: _brought_down(codec, each, masks[each.name]) for each in submitted}
    events, cursor, more, tampered, owners = await services.readers.run(
        request.owner, _page, services, contract, name, request.params, masks
    )
    facts = {
        "contract": name,
        "grant": decision.grant.id,
        "events": len(events),
        "after": request.params["after"] or "",
        "next": cursor,
        "owners": list(owners),
    }
    if tampered:
        facts["tampered"] = list(tampered)
    if len(decision.through) > 1:
        facts["also"] = [each.id for each in decision.through[1:]]
    entry = entries.note("feed-read", facts, services.clock(), actor=caller.system.name)
    uses = uses_of(decision, caller.system.agency, request.received.at)
    written = await services.journal.commit(Write(replay=caller.replay, log=(entry,), quota=uses))
    if written.verdict is Verdict.REPLAYED:
        raise API_REPLAYED()
    if written.verdict is Verdict.FULL:
        raise UsedUp(written.full)
    if written.verdict is not Verdict.COMMITTED:
        raise JOURNAL_FENCED(retry_after=1)
    return events, cursor, more


def _page(
    services: Services, contract: CompiledContract, name: str, params: Any, masks: dict[str, Mask | None]
) -> tuple[list[bytes], str, bool, tuple[int, ...], tuple[str, ...]]:
    """The page's events as JSON texts, the offsets of changed rows or bodies, the owners. Runs in a thread."""
    after, limit = params["after"], params["limit"]
    with services.engine.connect() as connection:
        if not any(masks.values()):
            raw: RawPage = read_raw(connection, name, after, limit, vault=services.vault)
            return list(raw.events), raw.next, raw.more, raw.tampered, raw.owners
        page: Page = read(connection, name, after, limit, vault=services.vault)
    operations = contract.contract.operations
    for event in page.events:
        # The event's type names its operation, and so the message of its data.
        operation = event["type"].rpartition(":")[2]
        mask = masks.get(operation, _nothing)
        if mask is not None and "subject" in event:  # it is the value of a field that may be masked
            key = operations[operation].key if operation in operations else None
            if key is None or mask({key: event["subject"]}).get(key) != event["subject"]:
                del event["subject"]
        if mask is not None and "data" in event:
            event["data"] = mask(event["data"])
    return [jsontext.write_json(event) for event in page.events], page.next, page.more, page.tampered, page.owners


def _brought_down(codec: PinnedCodec, operation: Operation, mask: Mask | None) -> Mask:
    """The mask, then only the fields of the reader's older version. An operation unknown to it becomes an event without
    data.
    """
    if not codec.supports(operation.name):
        return _nothing
    project = codec.projection(operation.request)
    return project if mask is None else lambda data: project(mask(data))


def _nothing(data: dict[str, Any]) -> dict[str, Any]:
    """For an event whose operation the contract in force does not have: no field may be shown."""
    return {}

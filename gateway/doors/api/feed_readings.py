"""Decides who may read a feed, logs each reading before its events leave, and counts it against the quotas.

Invariant: an entry of the log covers each event before it leaves (`gateway.feeds.sessions`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.compiled.contract import CompiledContract
from gateway.doors.api.errors import FEED_UNKNOWN
from gateway.doors.api.feed_pages import FeedPage, Make
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.http.channel import identify
from gateway.exchange.quotas import GrantQuery, UsedUp, decide, refused, uses_of
from gateway.feeds.masks import masks_of
from gateway.feeds.sessions import NOTE, Reader, counted
from gateway.journal.write import ReplayKey, Write
from gateway.registry.parts.grants import FEED
from gateway.transfer import entries
from security.errors import SIGNATURE_UNKNOWN_KEY
from security.grants.grants import Decision

_logger: Final = logging.getLogger("lgsp.feeds")


def decided(services: Services, request: ApiRequest, name: str) -> tuple[CompiledContract, Decision]:
    """The contract, and the decision that lets the caller read its feed."""
    contract = request.snapshot.contract(name)
    if contract is None or not contract.contract.fed:
        raise FEED_UNKNOWN(contract=name)
    query = _query(request, contract)
    decision = services.exchange.quotas.without_full(query, decide(query))
    if decision is None:
        raise refused(query)
    return contract, decision


def _query(request: ApiRequest, contract: CompiledContract) -> GrantQuery:
    agency = request.proven.system.agency
    return GrantQuery(request.snapshot, agency, contract.contract, FEED, request.received.at)


def judged_anew(services: Services, request: ApiRequest, proven: ApiRequest) -> ApiRequest:
    """The request as the registry says now; `proven` is the last result of this function, or the request itself.

    Raises what a new request would get if certificate, system or key is no longer in force. Signature and token are
    held against the time that the request came at.
    """
    snapshot, now = services.registry.snapshot, services.clock()
    channel = identify(request.received.certificate, snapshot, now)
    received = request.received._replace(snapshot=snapshot)
    if snapshot is not proven.snapshot:
        services.rest.prove(received, channel)
    key_id = request.proven.key_id
    key = snapshot.key(key_id)
    if key is None:
        raise SIGNATURE_UNKNOWN_KEY(key=key_id)
    key.check_time(now)
    return replace(request, received=received._replace(at=now), caller=replace(request.proven, system=channel.system))


async def reading(
    services: Services,
    request: ApiRequest,
    contract: CompiledContract,
    decision: Decision,
    make: Make,
    replay: ReplayKey | None,
) -> FeedPage:
    """The page as the grants allow, logged and counted. `replay` is None if the request is recorded already."""
    query, quotas = _query(request, contract), services.exchange.quotas
    while True:
        try:
            return await _counted(services, request, contract, decision, make, replay)
        except UsedUp as full:  # at most once for each grant: the page is written again without it
            decision = quotas.without(query, decision, full)


async def _counted(
    services: Services,
    request: ApiRequest,
    contract: CompiledContract,
    decision: Decision,
    make: Make,
    replay: ReplayKey | None,
) -> FeedPage:
    """The page's events under this decision, logged and counted."""
    caller, snapshot, name = request.proven, request.snapshot, contract.contract.name
    assert decision.grant is not None
    masks = masks_of(snapshot, caller.system, contract, decision)
    page = await services.readers.run(request.owner, make, masks)
    span = page.span
    if span is None and replay is None:  # nothing was read, and the request is recorded
        return page
    reader = Reader(caller.system.name, name, tuple(each.id for each in decision.through))
    uses = uses_of(decision, caller.system.agency, request.received.at)
    write, now, sessions = Write(replay=replay, quota=uses), services.clock(), services.sessions

    def noted(facts: Mapping[str, Any]) -> Write:
        return write._replace(log=(entries.note(NOTE, facts, now, actor=reader.system),))

    if decision.limited:
        await services.record(noted(counted(reader, span)))
    elif span is None or sessions.covered(reader, span, now):
        if replay is not None:
            await services.record(write)
    else:
        async with sessions.entry:
            if sessions.covered(reader, span, now):  # another page had its entry written meanwhile
                if replay is not None:
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

"""Serves `GET /handlings` and `/handlings/{id}`: how messages are handled, for sender, handling agency and centre.

Invariant: a handling of others is answered exactly as one that does not exist; so is a row that was changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.journal.database import snapshot
from gateway.journal.write import HandlingRow
from gateway.registry.own_feed import CENTRE
from gateway.workflow import reading
from gateway.workflow.errors import HANDLING_UNKNOWN
from gateway.workflow.records import Actor, Office
from gateway.workflow.showing import listed, shown, steps_of
from security.transparency.entry import keyed


async def list_handlings(services: Services, request: ApiRequest) -> Reply:
    return _json(await services.readers.run(request.owner, _page, services, request))


async def read_handling(services: Services, request: ApiRequest) -> Reply:
    return _json(await services.readers.run(request.owner, _one, services, request))


HANDLERS = {"listOwnHandlings": list_handlings, "readOwnHandling": read_handling}


def _page(services: Services, request: ApiRequest) -> dict[str, Any]:
    """One page. Whoever names a message gets all of its handlings, each with its steps and their reasons."""
    params, actor = request.params, _actor(request)
    which = params["list"] or ("open" if params["transfer"] is None else "all")
    late = which == "overdue"
    sought = reading.Sought(
        concerning=None if actor.centre else actor.agency,
        contract=params["contract"],
        state=params["state"],
        transfer=params["transfer"],
        ended={"open": False, "overdue": False, "ended": True}.get(which),
        before=request.received.theirs if late else None,
    )
    with snapshot(services.engine) as connection:
        found = reading.page(connection, sought, params["after"], params["limit"])
        seen = []
        if sought.transfer is not None and found.handlings:
            office = _office(services)
            seen = [reading.one(connection, office, each.id) for each in found.handlings]
    steps = {each.row.id: {"steps": steps_of(each)} for each in seen if each.sound}
    told = [listed(each, _now(request, each)) | steps.get(each.id, {}) for each in found.handlings]
    return {"handlings": [each for each in told if each["overdue"] or not late], "next": found.next}


def _one(services: Services, request: ApiRequest) -> dict[str, Any]:
    id, actor = request.params["handling"], _actor(request)
    with snapshot(services.engine) as connection:
        seen = reading.one(connection, _office(services), id)
    row = seen.row
    parts = {row.agency, row.sender_agency, *(each.step.agency for each in seen.steps)}
    if not seen.sound or not (actor.centre or actor.agency in parts):
        raise HANDLING_UNKNOWN(handling=id)
    return shown(seen, seen.possible(actor), _now(request, row))


def _now(request: ApiRequest, row: HandlingRow) -> float:
    """By the clock of the reader's agency. What was opened after it had been moved is no older for that."""
    agency = request.snapshot.agency(request.proven.system.agency)
    return request.received.at + (0 if agency is None else agency.clock.since(row.opened))


def _actor(request: ApiRequest) -> Actor:
    system = request.proven.system
    agency = request.snapshot.agency(system.agency)
    return Actor(system.name, system.agency, agency is not None and CENTRE in agency.roles)


def _office(services: Services) -> Office:
    return Office(
        engine=services.engine,
        registry=services.registry,
        vault=services.vault,
        hash_id=partial(keyed, services.keyring.hash_key()),
        clock=services.clock,
    )


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())

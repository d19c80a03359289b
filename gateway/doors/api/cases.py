"""Serves `/cases`: a component system opens cases of its agency, reads them and takes their steps (`gateway.cases`).

Invariant: a case of others is answered exactly as one that does not exist.
Invariant: an act, its entry of the log and the key against replay are one transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from contracts.base import jcs
from contracts.base.times import moment
from gateway.cases import reading, texts
from gateway.cases.acting import Acting, By, steps_of
from gateway.cases.acting import Reply as Answer
from gateway.cases.checks import Wanted
from gateway.cases.errors import CASE_TEXT, CASE_UNKNOWN
from gateway.cases.reading import Asked
from gateway.cases.repeats import Once
from gateway.doors.api.errors import API_REPLAYED
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.journal.append import apply
from gateway.journal.database import snapshot, writing
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import Verdict, Write
from gateway.registry import contacts
from gateway.registry.errors import REGISTRY_CONTACT_DUTY
from gateway.transfer.case_entries import Folded, fold

Act = Callable[[Connection, Acting, By], Folded]


async def list_cases(services: Services, request: ApiRequest) -> Reply:
    return _json(200, await services.readers.run(request.owner, _page, services, request))


async def read_case(services: Services, request: ApiRequest) -> Reply:
    return _json(200, await services.readers.run(request.owner, _one, services, request))


async def open_case(services: Services, request: ApiRequest) -> Reply:
    body = request.json
    wanted = Wanted(
        kind=body["kind"],
        content=texts.checked(body["subject"], body["text"]),
        receivers=tuple(body.get("receivers", ())),
        reference=body.get("reference"),
        days=body.get("days"),
        begins=_time(body, "begins"),
        ends=_time(body, "ends"),
        urgent=body.get("urgent", False),
    )
    return await _changed(services, request, lambda connection, acting, by: acting.open_in(connection, by, wanted))


async def take_step(services: Services, request: ApiRequest) -> Reply:
    body, case, act = request.json, request.params["case"], request.params["act"]
    content = texts.reply(body["text"]) if body.get("text", "").strip() else None
    answer = Answer(content=content, decision=body.get("decision"), link=body.get("link"))

    def taken(connection: Connection, acting: Acting, by: By) -> Folded:
        steps = steps_of(connection, case, locked=True)
        if not steps or by.agency not in fold(steps).parties:
            raise CASE_UNKNOWN(case=case)
        return acting.act_in(connection, by, case, act, answer)

    return await _changed(services, request, taken)


HANDLERS = {
    "listOwnCases": list_cases,
    "readOwnCase": read_case,
    "openOwnCase": open_case,
    "takeOwnCaseStep": take_step,
}


def _page(services: Services, request: ApiRequest) -> dict[str, Any]:
    params, agency = request.params, request.proven.system.agency
    asked = Asked(agency, params["view"], params["kind"], params["after"])
    with snapshot(services.engine) as connection:
        found = reading.listed(connection, services.vault, asked, request.received.at)
        counted = reading.counts(connection, agency, request.received.at)
    return {"cases": [each.shown() for each in found.cases], "next": found.next, **counted}


def _one(services: Services, request: ApiRequest) -> dict[str, Any]:
    agency = request.proven.system.agency
    with snapshot(services.engine) as connection:
        seen = reading.one(connection, services.vault, request.params["case"], agency, request.received.at)
    return {"case": seen.shown(), "acts": list(seen.acts(agency))}


async def _changed(services: Services, request: ApiRequest, act: Act) -> Reply:
    """Runs an act in one transaction with the key against replay. Raises: registry.contact-duty."""
    caller, settings = request.proven, services.settings
    _check_duties(request)
    hash_id, body = services.exchange.hash_id, request.json
    key, content = jcs.encode([caller.system.agency, body["key"]]), jcs.encode([request.received.path, body])
    once = Once(*(hash_id(hashlib.sha256(each).hexdigest()) for each in (key, content)))
    by = By(caller.system.agency, caller.system.name, once)
    acting = Acting(
        engine=services.engine,
        vault=services.vault,
        snapshot=request.snapshot,
        clock=services.clock,
        mails=bool(settings.mail_server),
    )

    def changed() -> Folded:
        with writing(services.engine) as connection:
            (written,) = apply(connection, [Write(replay=caller.replay)])
            if written.verdict is Verdict.REPLAYED:
                raise API_REPLAYED()
            if written.verdict is not Verdict.COMMITTED:
                raise JOURNAL_FENCED(retry_after=1)
            return act(connection, acting, by)

    case = await services.readers.run(request.owner, changed)
    return _json(200, {"case": case.id, "state": case.state, "due": case.due})


def _check_duties(request: ApiRequest) -> None:
    """Whoever writes must be reachable: contacts in force have both duties (article 12.3)."""
    system = request.proven.system
    agency = request.snapshot.agency(system.agency)
    known = (*system.contacts, *(() if agency is None else agency.contacts))
    missing = contacts.missing(known, request.received.at)
    if missing:
        raise REGISTRY_CONTACT_DUTY(system=system.id, agency=system.agency, duties=contacts.said(missing))


def _time(body: Mapping[str, Any], name: str) -> float | None:
    if name not in body:
        return None
    at = moment(body[name])
    if at is None:
        raise CASE_TEXT(field=name, why="2026-11-27T08:00:00+07:00")
    return at


def _json(status: int, value: Mapping[str, Any]) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())

"""Answers GeoReport v2's paths on the agent's listener; every other address goes to the agent's own handler.

    GET  /discovery.json|xml, /services.json|xml, /services/<code>.json|xml    for everybody on the host
    POST /requests.json|xml                                                    the secret as `api_key`
    GET  /requests.json|xml, /requests/<id>.json|xml, /tokens/<token>.json|xml the secret by Basic, header or `api_key`
    GET  /servicerequestupdates.json|xml                                       the same (an extension of FixMyStreet)

Invariant: a number or a token is answered only after the message is at the gateway or on disk.
Invariant: every refusal is GeoReport's list of errors, in the form of the address called.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl, unquote

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.base.times import moment, rfc3339
from contracts.base.words import Language
from contracts.wire import problems
from contracts.wire.jsontext import text_of
from gateway.agent.caller import JSON, Caller
from gateway.agent.errors import (
    AGENT_ADDRESS,
    AGENT_BODY_TOO_LARGE,
    AGENT_FORM,
    AGENT_REPORT_UNKNOWN,
    AGENT_SECRET,
    AGENT_UNREACHABLE,
)
from gateway.agent.link import Away, Passed
from gateway.agent.listener import Body, Head, Reply
from gateway.agent.open311 import forms
from gateway.agent.open311.following import Following, answered, number_of
from gateway.agent.open311.reports import LISTED, Filter, Progress, Report, Reports
from gateway.agent.open311.services import CONTRACT, ServiceList
from gateway.agent.open311.written import Form, Value, reply
from gateway.agent.secret import HEADER

_PATH: Final = re.compile(r"/(discovery|services|requests|tokens|servicerequestupdates)(?:/([^/]{1,300}))?\.(json|xml)")
_ROOTS: Final = {"services": "services", "requests": "service_requests", "tokens": "service_requests"}
_UPDATES: Final = "servicerequestupdates"
_SPECIFICATION: Final = "http://wiki.open311.org/GeoReport_v2"
_SHOWN: Final = ("description", "address_string", "address_id", "lat", "long", "media_url")
_MOST_IDS: Final = 100
_MOST_PARAMETERS: Final = 30


class _Asked(NamedTuple):
    resource: str
    id: str | None
    form: Form
    language: Language


@dataclass(slots=True)
class Open311:
    """The handler of a listener whose agent serves GeoReport."""

    caller: Caller
    services: ServiceList
    reports: Reports
    following: Following
    system: str
    started: float = field(default_factory=time.time)

    async def handle(self, head: Head, read: Body) -> Reply:
        asked = _asked(head)
        if asked is None:
            return await self.caller.handle(head, read)
        if head.method == "POST" and asked.resource == "requests" and asked.id is None:
            return await self._report(head, asked, read)
        whole = ("tokens",) if asked.id is None else ("discovery", _UPDATES)  # what stands at no such address
        if head.method != "GET" or asked.resource in whole:
            raise AGENT_ADDRESS(method=head.method, path=head.target[:120], allowed="GeoReport v2")
        if asked.resource == "discovery":
            return reply("discovery", self._discovery(head), asked.form)
        if asked.resource == "services":
            return await self._services(asked)
        parameters = _parameters(head.query)
        self._admit(head, parameters.get(forms.API_KEY, ""))
        if asked.resource == "tokens":
            return await self._token(asked)
        if asked.resource == _UPDATES:
            return await self._updates(asked, parameters)
        return await self._list(asked, parameters)

    def refuse(self, head: Head, failure: Failure) -> Reply:
        asked = _asked(head)
        if asked is None:
            return self.caller.refuse(head, failure)
        description = f"{failure.what(asked.language)} {failure.next(asked.language)} ({failure.code})"
        answer = _errors(failure.status, description, asked.form)
        if failure.code == AGENT_SECRET.code:
            return answer._replace(headers={**answer.headers, "www-authenticate": 'Basic realm="lgsp-agent"'})
        if failure.retry_after is not None:
            return answer._replace(headers={**answer.headers, "retry-after": str(failure.retry_after)})
        return answer

    def _admit(self, head: Head, api_key: str) -> None:
        shown = HEADER in head.headers or "authorization" in head.headers
        self.caller.secret.check(head.headers if shown else {HEADER: api_key})

    def _discovery(self, head: Head) -> Value:
        changed = rfc3339(self.started)
        endpoint: dict[str, Value] = {
            "specification": _SPECIFICATION,
            "url": self.caller.here(head),
            "changeset": changed,
            "type": "production",
            "formats": [JSON, "text/xml"],
        }
        key = "Lgsp-Agent-Secret = api_key (docs/agent.md)"
        return {"changeset": changed, "contact": self.system, "key_service": key, "endpoints": [endpoint]}

    async def _services(self, asked: _Asked) -> Reply:
        if asked.id is None:
            return reply("services", await self.services.listed(asked.language), asked.form)
        definition = await self.services.definition(asked.id, asked.language)
        if definition is None:
            raise AGENT_REPORT_UNKNOWN(id=asked.id)
        return reply("service_definition", definition, asked.form)

    async def _report(self, head: Head, asked: _Asked, read: Body) -> Reply:
        length = head.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > forms.MOST_BYTES:
            raise AGENT_BODY_TOO_LARGE(limit=forms.MOST_BYTES)
        form = forms.read(head.headers, await read())
        self._admit(head, form.api_key)
        target = f"/{CONTRACT}/requests"
        operation = await self.caller.known(lambda: self.caller.directory.rest("POST", target))
        if operation is None:
            raise AGENT_UNREACHABLE(reason=f"/contracts/{CONTRACT}", retry_after=30)
        token, now = new_id(), time.time()
        call = {"face": "rest", "target": target, "content_type": JSON, "language": asked.language}
        result = await self.caller.submit(operation, token, call, text_of(form.report).encode())
        if isinstance(result, Away):
            raise result.failure
        if isinstance(result, Passed) and result.refused:
            return _refused(result, asked)
        progress, number = Progress(updated=now), token
        if isinstance(result, Passed):
            progress = Progress(updated=now, transfer=result.transfer or "")
            if result.status != 202:
                answer = json.loads(result.body)
                progress, number = answered(progress, answer, now), number_of(answer) or token
        shown = {name: str(form.report[name]) for name in _SHOWN if name in form.report}
        report = Report(token, number, form.report["service_code"], now, shown, progress)
        report = await asyncio.to_thread(self.reports.put, report)
        named = {"token": token} if report.number == token else {"service_request_id": report.number}
        account = form.report.get("account_id", "")
        said: dict[str, Value] = {**named, "service_notice": progress.notice, "account_id": account}
        return reply("service_requests", [said], asked.form)

    async def _token(self, asked: _Asked) -> Reply:
        report = await self._one(asked.id or "")
        named: dict[str, Value] = {"token": report.token}
        if report.number != report.token:
            named = {"service_request_id": report.number, **named}
        return reply("service_requests", [named], asked.form)

    async def _list(self, asked: _Asked, parameters: Mapping[str, str]) -> Reply:
        names = await self.services.names(asked.language)
        if asked.id is not None:
            listed = [await self._one(asked.id)]
        else:
            wanted = _filter(parameters)
            await self.following.refresh()
            listed = await asyncio.to_thread(self.reports.found, wanted)
        requests: list[Value] = [_request(each, names) for each in listed[: _size(parameters)]]
        return reply("service_requests", requests, asked.form)

    async def _updates(self, asked: _Asked, parameters: Mapping[str, str]) -> Reply:
        """The steps of the handlings, newest first; `start_date` and `end_date` are of the steps."""
        wanted = _filter(parameters)
        await self.following.refresh()
        listed = await asyncio.to_thread(self.reports.found, replace(wanted, since=0.0, until=float("inf")))
        updates: list[tuple[float, Value]] = []
        for report in listed:
            for each in report.progress.updates:
                at = moment(each.at) or 0.0
                if wanted.since <= at <= wanted.until:
                    update: dict[str, Value] = {
                        "update_id": f"{report.token}.{each.number}",
                        "service_request_id": report.number,
                        "status": each.status.upper(),
                        "updated_datetime": each.at,
                        "description": each.text,
                        "media_url": None,
                    }
                    updates.append((at, update))
        updates.sort(key=lambda each: each[0], reverse=True)
        return reply("service_request_updates", [each for _, each in updates[: _size(parameters)]], asked.form)

    async def _one(self, id: str) -> Report:
        found = await asyncio.to_thread(self.reports.found, Filter(ids=(id,)))
        if not found:
            raise AGENT_REPORT_UNKNOWN(id=id)
        return await self.following.follow(found[0])


def _asked(head: Head) -> _Asked | None:
    """None: no path of GeoReport."""
    match = _PATH.fullmatch(head.path)
    if match is None:
        return None
    language = problems.language_of(head.headers.get("accept-language"))
    return _Asked(match[1], None if match[2] is None else unquote(match[2]), cast(Form, match[3]), language)


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, errors="strict", max_num_fields=_MOST_PARAMETERS))
    except ValueError as wrong:
        raise AGENT_FORM(why=str(wrong)[:120]) from None


def _filter(parameters: Mapping[str, str]) -> Filter:
    """By GeoReport, numbers stand above all other parameters."""
    ids = _words(parameters, "service_request_id")
    if ids:
        return Filter(ids=ids)
    times = {"start_date": 0.0, "end_date": float("inf")}
    for name in times:
        if name in parameters:
            at = moment(parameters[name])
            if at is None:
                raise AGENT_FORM(why=f"{name}={parameters[name][:80]}")
            times[name] = at
    return Filter(
        services=_words(parameters, "service_code"),
        statuses=_words(parameters, "status"),
        since=times["start_date"],
        until=times["end_date"],
    )


def _size(parameters: Mapping[str, str]) -> int:
    """`page_size` is no word of GeoReport, but clients use it."""
    text = parameters.get("page_size", str(LISTED))
    if not text.isdecimal() or not 1 <= len(text) <= 4:
        raise AGENT_FORM(why=f"page_size={text[:80]}")
    return int(text)


def _words(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(each.strip() for each in parameters.get(name, "").split(",") if each.strip()))
    if len(words) > _MOST_IDS:
        raise AGENT_FORM(why=f"{name}: > {_MOST_IDS}")
    return words


def _request(report: Report, names: Mapping[str, str]) -> Value:
    shown, progress = report.shown, report.progress
    return {
        "service_request_id": report.number,
        "status": progress.status,
        "status_notes": progress.notes or None,
        "service_name": names.get(report.service, report.service),
        "service_code": report.service,
        "description": shown.get("description"),
        "agency_responsible": progress.agency or None,
        "service_notice": progress.notice or None,
        "requested_datetime": rfc3339(report.taken),
        "updated_datetime": rfc3339(progress.updated),
        "expected_datetime": progress.expected or None,
        "address": shown.get("address_string"),
        "address_id": shown.get("address_id"),
        "zipcode": None,
        "lat": _number(shown.get("lat")),
        "long": _number(shown.get("long")),
        "media_url": shown.get("media_url"),
    }


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _refused(result: Passed, asked: _Asked) -> Reply:
    """The gateway's problem document, with its findings, as an error of GeoReport. Wrong content is 400 there."""
    problem: dict[str, Any] = json.loads(result.body)
    findings = [
        f"{each.get('canonical') or each.get('here')}: {each.get('rule')}" for each in problem.get("findings", ())
    ]
    text = " ".join([f"{problem.get('detail', '')}", *findings[:10], f"({result.code})"])
    return _errors(400 if result.status == 422 else result.status, text, asked.form)


def _errors(status: int, description: str, form: Form) -> Reply:
    return reply("errors", [{"code": status, "description": description}], form, status)

"""Makes pages of feeds for a reader: events as JSON texts, masked, in the form that was asked for.

Invariant: fields outside the grant, or outside the reader's older version, are removed before a page is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts.base.errors import Finding
from contracts.compiled.contract import CompiledContract
from contracts.wire import jsontext
from gateway.doors.api.errors import API_INVALID
from gateway.doors.api.feed_masks import Masks, masked
from gateway.doors.api.services import ApiRequest, Services
from gateway.feeds import Page, RawPage, read, read_raw
from gateway.feeds.places import Times, moment
from gateway.feeds.sessions import Span
from gateway.feeds.standing import at_time, standing

JSON: Final = "application/json"


class FeedPage(NamedTuple):
    """`events` as JSON texts. `place`: what else a reader needs to go on. `offsets`: of the events."""

    events: list[bytes]
    next: str
    more: bool
    span: Span | None
    place: Mapping[str, Any]
    offsets: tuple[int, ...] = ()

    def written(self, contract: str, form: str) -> tuple[bytes, str]:
        """The body and its media type."""
        place = json.dumps({"next": self.next, "more": self.more, **self.place}, separators=(",", ":"))
        if form == "lines":
            return b"\n".join([*self.events, place.encode(), b""]), "application/x-ndjson"
        head = f'{{"contract":{json.dumps(contract)},{place[1:-1]},"events":['
        return head.encode() + b",".join(self.events) + b"]}", JSON


class Part(NamedTuple):
    """The part of a feed that is asked for: up to `limit` events after a cursor, within times."""

    after: str | None
    limit: int
    times: Times


Make = Callable[[Masks], FeedPage]


def part_of(request: ApiRequest) -> Part:
    """Raises `api.invalid` for a time that is none."""
    return Part(request.params["after"], request.params["limit"], times_of(request.params))


def times_of(params: Mapping[str, Any]) -> Times:
    wrong = [name for name in Times._fields if params[name] is not None and moment(params[name]) is None]
    if wrong:
        raise _no_time(wrong)
    return Times(**{name: time_of(params, name) for name in Times._fields})


def time_of(params: Mapping[str, Any], name: str) -> float | None:
    """Raises `api.invalid` for a text that is no time."""
    time = moment(params[name]) if params[name] is not None else None
    if params[name] is not None and time is None:
        raise _no_time([name])
    return time


def _no_time(names: Sequence[str]) -> Exception:
    expected = "a time with its zone, as 2026-11-24T07:00:00Z or with +07:00 written %2B07:00"
    findings = [Finding(f"query {name}", "", "text", "format", expected) for name in names]
    return API_INVALID(count=len(findings), findings=findings)


def make_page(services: Services, contract: CompiledContract, part: Part, masks: Masks) -> FeedPage:
    """Runs in a thread."""
    name, (after, limit, times) = contract.contract.name, part
    with services.engine.connect() as connection:
        if not any(masks.values()):
            raw: RawPage = read_raw(connection, name, after, limit, vault=services.vault, times=times)
            ends = _ends(times, raw.complete)
            return FeedPage(list(raw.events), raw.next, raw.more, raw.span, ends, raw.offsets)
        page: Page = read(connection, name, after, limit, vault=services.vault, times=times)
    events = _shown(page.events, contract, masks)
    return FeedPage(events, page.next, page.more, page.span, _ends(times, page.complete), page.offsets)


def make_state(services: Services, contract: CompiledContract, request: ApiRequest, masks: Masks) -> FeedPage:
    """Runs in a thread."""
    after, limit, hash_id = request.params["after"], request.params["limit"], services.exchange.hash_id
    time = time_of(request.params, "at")
    with services.engine.connect() as connection:
        if time is not None and after is None:
            after = at_time(connection, contract.contract, time)
        page = standing(connection, contract.contract, after, limit, services.vault, hash_id)
    return FeedPage(_shown(page.events, contract, masks), page.next, page.more, page.span, {"continue": page.place})


def _ends(times: Times, complete: bool) -> Mapping[str, Any]:
    return {} if times.until is None else {"complete": complete}


def _shown(events: Sequence[dict[str, Any]], contract: CompiledContract, masks: Masks) -> list[bytes]:
    for event in events:
        masked(event, contract, masks)
    return [jsontext.write_json(event) for event in events]

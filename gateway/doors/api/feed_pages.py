"""Makes pages of feeds for a reader: events as JSON texts, masked, in the form that was asked for.

Invariant: fields outside the grant, or outside the reader's older version, are removed before a page is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Engine

from contracts.base.errors import Finding
from contracts.compiled.contract import CompiledContract
from contracts.wire import jsontext
from gateway.doors.api.errors import API_INVALID
from gateway.doors.api.feed_filters import ALL, LOOKED_AT, Filter, area_filter, filter_of, joined, span_of
from gateway.doors.api.services import ApiRequest, Services
from gateway.feeds import MOST, Page, RawPage, read, read_raw
from gateway.feeds import cursor as cursors
from gateway.feeds.masks import Masks, masked
from gateway.feeds.places import Times, moment
from gateway.feeds.sessions import Span
from gateway.feeds.standing import at_time, standing
from gateway.vault.vault import Vault

JSON: Final = "application/json"


class FeedPage(NamedTuple):
    """`events` as JSON texts. `place`: what else a reader needs to go on. `offsets`: of the events."""

    events: list[bytes]
    next: str
    more: bool
    span: Span | None
    place: Mapping[str, Any]
    offsets: tuple[int, ...] = ()

    def written(self, named: Mapping[str, Any], form: str) -> tuple[bytes, str]:
        """The body and its media type. `named`: the members that name what was read."""
        place = json.dumps({"next": self.next, "more": self.more, **self.place}, separators=(",", ":"))
        if form == "lines":
            return b"\n".join([*self.events, place.encode(), b""]), "application/x-ndjson"
        head = f'{json.dumps(named, separators=(",", ":"))[:-1]},{place[1:-1]},"events":['
        return b"%b%b]}" % (head.encode(), b",".join(self.events)), JSON


class Part(NamedTuple):
    """The part of a feed that is asked for: up to `limit` events after a cursor, within times, that a filter passes."""

    after: str | None
    limit: int
    times: Times
    filter: Filter = ALL


Make = Callable[[Masks], FeedPage]


def part_of(params: Mapping[str, Any]) -> Part:
    """Raises `api.invalid` for a time that is none, or a filter that is none."""
    return Part(params["after"], params["limit"], times_of(params), filter_of(params))


def feed_name(request: ApiRequest) -> str:
    """The feed that the address names."""
    return f"{request.params['contract']}/v{request.params['major']}"


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


class Store(Protocol):
    """Where events and their bodies are."""

    @property
    def engine(self) -> Engine: ...
    @property
    def vault(self) -> Vault: ...


def make_page(services: Store, contract: CompiledContract, part: Part, masks: Masks) -> FeedPage:
    """Runs in a thread."""
    name, (after, limit, times, filter) = contract.contract.name, part
    if filter != ALL:
        return _filtered(services, contract, part, masks)
    with services.engine.connect() as connection:
        if not any(masks.values()):
            raw: RawPage = read_raw(connection, name, after, limit, vault=services.vault, times=times)
            ends = _ends(times, raw.complete)
            return FeedPage(list(raw.events), raw.next, raw.more, raw.span, ends, raw.offsets)
        page: Page = read(connection, name, after, limit, vault=services.vault, times=times)
    events = _shown(page.events, contract, masks)
    return FeedPage(events, page.next, page.more, page.span, _ends(times, page.complete), page.offsets)


def _filtered(services: Store, contract: CompiledContract, part: Part, masks: Masks) -> FeedPage:
    """Looks at pages until enough events pass the filter, or LOOKED_AT events were looked at."""
    name, after, events = contract.contract.name, part.after, list[bytes]()
    spans, offsets, looked_at = list[Span](), list[int](), 0
    about = area_filter(contract, masks, part.filter.areas) if part.filter.areas else None
    while True:
        with services.engine.connect() as connection:
            page: Page = read(connection, name, after, MOST, vault=services.vault, times=part.times)
        kept, last = list[tuple[int, dict[str, Any]]](), None
        for offset, event in zip(page.offsets, page.events, strict=True):
            masked(event, contract, masks)
            last, looked_at = offset, looked_at + 1
            if part.filter.passes(event) and (about is None or about(event)):
                kept.append((offset, event))
                if len(events) + len(kept) == part.limit:
                    break
        offsets += [offset for offset, _ in kept]
        events += [jsontext.write_json(event) for _, event in kept]
        span = span_of(page.span, [event for _, event in kept], [offset for offset, _ in kept])
        spans += [span] if span is not None else []
        place = cursors.decode(page.next, (name,))
        after = page.next if last is None else cursors.encode(name, last, place.log)
        if len(events) == part.limit or not page.more or looked_at >= LOOKED_AT:
            break
    more = page.more or after != page.next
    ends = _ends(part.times, page.complete and not more)
    return FeedPage(events, after, more, joined(spans), ends, tuple(offsets))


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

"""Serves `/feeds/{contract}/v{major}/atom`: what stands now in a feed, as Atom (RFC 4287), and
`/feeds/{contract}/v{major}/events/{sequence}`: the message of one event in an XML format of its contract.

Each entry links to its message, so a reader of Common Alerting Protocol follows the alerts with a common feed reader.
Links are relative: beside an agent they lead to the agent.
Invariant: both show what the reader's grant shows of the feed, and are logged and counted as a page of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from contracts.base.errors import Finding
from contracts.base.times import moment
from contracts.base.words import Language, Words
from contracts.compiled.contract import CompiledContract
from contracts.wire import atom, problems
from contracts.wire.jsontext import read_json
from contracts.workflow.model import State
from gateway.doors.api.errors import API_INVALID, FEED_NO_MESSAGE
from gateway.doors.api.feed_pages import FeedPage, Part, feed_name, make_page, make_state
from gateway.doors.api.feed_readings import decided, reading
from gateway.doors.api.feeds import sent
from gateway.doors.api.services import ApiRequest, Handler, Services
from gateway.doors.reply import Reply
from gateway.exchange.answer_keys import demand_key
from gateway.feeds.masks import Masks
from gateway.feeds.places import ALWAYS, cursor_at, head
from gateway.journal.write import HandlingRow
from gateway.registry.errors import words as of_registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer.transfer_records import operation_of
from gateway.workflow.reading import of_transfers
from gateway.workflow.records import Office
from gateway.workflow.steps import is_sound

_XML: Final = "application/xml"
_TITLES: Final = ("headline", "event")  # of an alert


class _Stand(NamedTuple):
    """A handling, its state, and the name of its agency."""

    row: HandlingRow
    state: State
    agency: Words


async def read_atom(services: Services, request: ApiRequest) -> Reply:
    """A page of the Atom feed."""
    name = feed_name(request)
    contract, decision = decided(services, request, name)
    format = _format(contract, request.params["format"])
    receiver = demand_key(contract.contract, request.snapshot, request.proven.system, request.received.at)
    make = partial(make_state, services, contract, request)
    page = await reading(services, request, contract, decision, make, request.proven.replay)
    body = await services.readers.run(request.owner, _written, services, request, contract, format, page)
    return await sent(services, request, body, atom.MEDIA_TYPE, receiver)


async def read_event_message(services: Services, request: ApiRequest) -> Reply:
    """The message of one event."""
    name, sequence = feed_name(request), int(request.params["sequence"])
    contract, decision = decided(services, request, name)
    format = _format(contract, request.params["format"])
    receiver = demand_key(contract.contract, request.snapshot, request.proven.system, request.received.at)
    make = partial(_one, services, contract, sequence)
    page = await reading(services, request, contract, decision, make, request.proven.replay)
    if page.offsets != (sequence,):
        raise FEED_NO_MESSAGE(contract=name, sequence=sequence)
    body = await services.readers.run(request.owner, _message, contract, format, page.events[0])
    if body is None:
        raise FEED_NO_MESSAGE(contract=name, sequence=sequence)
    return await sent(services, request, body, _XML, receiver)


def _format(contract: CompiledContract, name: str) -> str:
    """Raises `api.invalid` for a name that is no XML format of the contract."""
    known = sorted(each for each, codec in contract.formats.items() if codec.media == "xml")
    if name not in known:
        finding = Finding("query format", "", "no XML format of the contract", "enum", ", ".join(known) or "—")
        raise API_INVALID(count=1, findings=[finding])
    return name


def _one(services: Services, contract: CompiledContract, sequence: int, masks: Masks) -> FeedPage:
    """The page of that one event; empty if it does not exist. Runs in a thread."""
    name = contract.contract.name
    with services.engine.connect() as connection:
        newest = head(connection, name)
        after = cursor_at(connection, name, min(sequence - 1, newest))
    return make_page(services, contract, Part(after, 1, ALWAYS), masks)


def _message(contract: CompiledContract, format: str, raw: bytes) -> bytes | None:
    """The message in that format; None for an event without one."""
    event = read_json(raw)
    operation = contract.contract.operations.get(operation_of(contract.namespace, event["type"]))
    if operation is None or "data" not in event:
        return None
    content = event["data"]["request"] if operation.in_feed else event["data"]
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + contract.codec(format).write_xml(operation.request, content)


def _written(services: Services, request: ApiRequest, contract: CompiledContract, format: str, page: FeedPage) -> bytes:
    """Runs in a thread."""
    name, snapshot = contract.contract.name, request.snapshot
    language: Language = problems.language_of(request.received.headers.get("accept-language"))
    uri = urlsplit(request.received.target_uri)
    base = f"{uri.scheme}://{uri.netloc}/feeds/{name}"
    words = {"format": format, "limit": request.params["limit"]}
    here = f"atom?{urlencode(words)}"
    links = [atom.Link("self", here, atom.MEDIA_TYPE)]
    if page.more:
        links.append(atom.Link("next", f"{here}&{urlencode({'after': page.next})}", atom.MEDIA_TYPE))
    events = [event for raw in page.events if "data" in (event := read_json(raw))]
    stands = _stands(services, request, [event["id"] for event in events])
    entries = [
        _entry(snapshot, event, f"events/{int(event['sequence'])}?{urlencode({'format': format})}", language)
        for event in events
    ]
    entries = [
        _handled(entry, stands.get(event["id"], ()), language) for entry, event in zip(entries, events, strict=True)
    ]
    centre = snapshot.centre()
    author = of_registry("centre") if centre is None else centre.name
    return atom.written(
        atom.Feed(
            id=f"{base}/atom?{urlencode({'format': format})}",
            title=contract.contract.title.say(language, {}),
            author=author.say(language, {}),
            updated=max((each.updated for each in entries), default=request.received.at),
            language=language,
            links=links,
            entries=entries,
        )
    )


def _entry(snapshot: Snapshot, event: Mapping[str, Any], address: str, language: Language) -> atom.Entry:
    agency = snapshot.agency(event["lgspagency"])
    return atom.Entry(
        id=f"urn:uuid:{event['id']}",
        title=_title(event),
        author=event["lgspagency"] if agency is None else agency.name.say(language, {}),
        updated=moment(event["sequencedtime"]) or 0.0,
        links=[atom.Link("alternate", address, _XML)],
    )


def _stands(services: Services, request: ApiRequest, transfers: Sequence[str]) -> Mapping[str, Sequence[_Stand]]:
    """The handlings of messages, for the centre and for whoever sent or handles them; of rows that are sound."""
    snapshot, reader = request.snapshot, request.proven.system.agency
    centre = snapshot.centre()
    every = centre is not None and centre.code == reader
    office = Office(
        engine=services.engine,
        registry=services.registry,
        vault=services.vault,
        hash_id=services.exchange.hash_id,
        clock=services.clock,
    )
    with services.engine.connect() as connection:
        rows = of_transfers(connection, transfers)
    found: dict[str, list[_Stand]] = {}
    for row in rows:
        if (every or reader in (row.agency, row.sender_agency)) and is_sound(office, row):
            agency, state = snapshot.agency(row.agency), office.workflow(row).states[row.state]
            named = Words(row.agency, row.agency) if agency is None else agency.name
            found.setdefault(row.transfer, []).append(_Stand(row, state, named))
    return found


def _handled(entry: atom.Entry, stands: Sequence[_Stand], language: Language) -> atom.Entry:
    """The entry with the state of its handlings."""
    if not stands:
        return entry
    said = [f"{each.agency.say(language, {})}: {each.state.title.say(language, {})}" for each in stands]
    categories = [
        atom.Category(
            term,
            f"urn:lgsp:workflow:{each.row.contract.replace('/', ':')}:{scheme}",
            each.state.title.say(language, {}),
        )
        for each in stands
        for scheme, term in (("state", each.state.name), ("shown", each.state.shown))
    ]
    updated = max(entry.updated, *(each.row.entered for each in stands))
    return replace(entry, updated=updated, categories=categories, summary="\n".join(said))


def _title(event: Mapping[str, Any]) -> str:
    """The headline of an alert, or what its event is; else the subject of the event in the feed."""
    data = event.get("data")
    infos = data.get("info") if isinstance(data, dict) else None
    for info in infos if isinstance(infos, list) else ():
        for name in _TITLES:
            if isinstance(info, dict) and isinstance(info.get(name), str):
                return str(info[name])
    return str(event.get("subject") or event["id"])


HANDLERS: Final[dict[str, Handler]] = {"readAtom": read_atom, "readEventMessage": read_event_message}

"""Reads values of indicators from the feed: what stands under each business key, and what stood before.

Theory of operation
1. The rows of `feed_key` and `feed_key_past` name the transfers that handed in each value, oldest first.
2. The events of these transfers are opened as a page of the feed is: body, event and seals are checked against each
   other (`gateway.feeds.reading`), and masked as the reader's grant says.
Invariant: the cost depends on the keys that are asked for and on their corrections, never on the size of the feed.
Invariant: only sequenced events count, as in the feed. What was changed in the database is named, never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.compiled.contract import CompiledContract
from gateway.feeds import keys
from gateway.feeds.masks import Masks, masked
from gateway.feeds.reading import COLUMNS, CloudEvent, FeedRow, events_of
from gateway.feeds.sessions import Span
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import HashId, is_sound
from gateway.vault.vault import Vault

CONTRACT: Final = "indicator/v1"
ASKS: Final = "getValue"  # the operation whose answers come from the feed
_AT_ONCE: Final = 50  # events, of up to 20 000 values each
_PAGE: Final = 500
_past: Final = tables.feed_key_past.c
_event: Final = tables.feed_event.c


class Key(NamedTuple):
    """The business key of a value."""

    indicator: str
    area: str
    period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A value as it was handed in. `absent`: why there is none: a reason of its sender or of the reader's grant
    (`unknown`, `partial`, `none`, `not-permitted`), or that its message is gone: `retention`, `lost`, `tampered`.
    """

    key: Key
    value: Decimal | int | None
    absent: str = ""
    unit: str = ""
    frequency: str = ""
    status: str = ""
    note: str = ""
    updated: str = ""  # as its sender says
    received: str = ""  # when the gateway took it in
    agency: str = ""
    system: str = ""
    transfer: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from, and what their reader sees of them; without masks everything."""

    connection: Connection
    vault: Vault
    contract: CompiledContract
    hash_id: HashId
    masks: Masks | None = None


class Reading(NamedTuple):
    """The values of each key that was ever handed in, oldest first; the last one stands. `span`: what of the feed was
    read, for the log.
    """

    values: Mapping[Key, Sequence[Observation]]
    span: Span | None


def read(source: Source, wanted: Collection[Key]) -> Reading:
    """What was handed in under these keys."""
    chains = handed_in(source.connection, source.contract, source.hash_id, wanted)
    by_transfer: dict[str, list[Key]] = {}
    for key, rows in chains.items():
        for row in rows:
            by_transfer.setdefault(row.transfer, []).append(key)
    known, spans = dict[tuple[str, Key], Observation](), list[Span]()
    for events, span in _events(source, sorted(by_transfer)):
        spans += [span] if span is not None else []
        for event in events:
            known |= {(event["id"], key): each for key, each in _observed(source, event, by_transfer[event["id"]])}
    values: dict[Key, Sequence[Observation]] = {}
    for key, rows in chains.items():
        observed = [
            each if is_sound(row, source.hash_id) else _gone(key, each, "tampered")
            for row in rows
            if (each := known.get((row.transfer, key))) is not None
        ]
        if observed:
            values[key] = observed
    return Reading(values, _joined(spans))


def handed_in(
    connection: Connection, contract: CompiledContract, hash_id: HashId, wanted: Collection[Key]
) -> dict[Key, list[KeyRow]]:
    """The rows with content of each key, oldest first; none for a key that was never handed in."""
    operation = contract.contract.operations[ASKS]
    hashed = {keys.key_of_query(contract.contract, operation, key._asdict(), hash_id): key for key in wanted}
    return {hashed[key]: rows for key, rows in _chains(connection, list(hashed)).items()}


def _chains(connection: Connection, wanted: Sequence[str]) -> dict[str, list[KeyRow]]:
    """The rows with content of each key, oldest first. A row names the transfer that changed it before."""
    past: dict[str, dict[str | None, KeyRow]] = {}
    columns = [_past[name] for name in KeyRow._fields]
    for start in range(0, len(wanted), _PAGE):
        query = select(*columns).where(_past.key.in_(wanted[start : start + _PAGE]))
        for row in map(KeyRow._make, connection.execute(query)):
            past.setdefault(row.key, {})[row.changed] = row
    return {key: _chain(row, past.get(key, {})) for key, row in keys.read_rows(connection, wanted).items()}


def _chain(row: KeyRow | None, past: dict[str | None, KeyRow]) -> list[KeyRow]:
    chain: dict[str, KeyRow] = {}
    while row is not None:
        if row.state == keys.LIVE:
            chain.setdefault(row.transfer, row)
        row = past.pop(row.previous, None)  # each row once, whatever an edited one says
    return [*chain.values()][::-1]


def _events(source: Source, transfers: Sequence[str]) -> Iterator[tuple[list[CloudEvent], Span | None]]:
    name = source.contract.contract.name
    for start in range(0, len(transfers), _AT_ONCE):
        # By the transfers alone: with the contract as well, SQLite looks through the whole feed.
        query = select(_event.contract, *COLUMNS).where(_event.transfer.in_(transfers[start : start + _AT_ONCE]))
        found = source.connection.execute(query)
        rows = [FeedRow.of(row[1:]) for row in found if row.contract == name]
        yield events_of(source.connection, name, rows, source.vault)


def _observed(source: Source, event: CloudEvent, wanted: Collection[Key]) -> Iterator[tuple[Key, Observation]]:
    """The values of an event under these keys."""
    if "data" not in event:
        for key in wanted:
            yield key, _of({}, key, event, str(event.get("tombstonereason", "lost")))
        return
    places = _places(event["data"], set(wanted))
    if source.masks is not None:
        masked(event, source.contract, source.masks)
    items = event["data"]["values"]
    for key, place in places.items():
        yield key, _of(items[place], key, event)


def _places(data: Mapping[str, Any], wanted: Collection[Key]) -> dict[Key, int]:
    """Where in a message each of the keys stands."""
    places: dict[Key, int] = {}
    for number, item in enumerate(data["values"]):
        key = Key(item["indicator"], item["area"], item["period"])
        if key in wanted:
            places.setdefault(key, number)
    return places


def _of(item: Mapping[str, Any], key: Key, event: CloudEvent, absent: str = "") -> Observation:
    value = item.get("value")
    number = value if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None
    if number is None and not absent:
        absent = str(value["absent"]) if isinstance(value, Mapping) else "not-permitted"
    text: Callable[[str], str] = lambda name: each if isinstance(each := item.get(name), str) else ""  # noqa: E731
    return Observation(
        key=key,
        value=number,
        absent=absent,
        unit=text("unit"),
        frequency=text("frequency"),
        status=text("status"),
        note=text("note"),
        updated=text("updated"),
        received=str(event.get("time", "")),
        agency=str(event.get("lgspagency", "")),
        system=str(event["source"]).removeprefix("urn:lgsp:system:"),
        transfer=str(event["id"]),
    )


def _gone(key: Key, each: Observation, absent: str) -> Observation:
    return Observation(key=key, value=None, absent=absent, transfer=each.transfer)


def _joined(spans: Sequence[Span]) -> Span | None:
    if not spans:
        return None
    return Span(
        min(each.first for each in spans),
        max(each.last for each in spans),
        sum(each.events for each in spans),
        frozenset().union(*(each.owners for each in spans)),
        tuple(sorted({offset for each in spans for offset in each.tampered})),
    )

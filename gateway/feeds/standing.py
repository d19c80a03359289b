"""Lists what stands now in a feed: each event with content that nothing corrected or recalled, by business key.

A new reader takes the state first and goes on with the feed after it, instead of reading years of events.
Theory of operation
1. The first page fixes a place in the feed, `continue`. The cursor of the state carries it along.
2. The pages go by transfer. An event later than that place is left out: the feed after the place has it.
3. What changes while the pages are read is an event after the place. So state and feed together always end at what
   stands, in whatever order pages and changes come.
Invariant: the state at a past time is what the feed up to that time gives, event by event (`gateway.feeds.history`).
Invariant: of a message with many items only those are given that stand.
Invariant: a row of a key that was changed in the database is not believed: its event is a tombstone.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.integers import whole_number
from contracts.canonical.model import Contract
from contracts.compiled.identity import keys_of, subject_of
from gateway.feeds import cursor as cursors
from gateway.feeds import history, keys
from gateway.feeds.errors import FEED_BAD_CURSOR, FEED_NO_STATE, FEED_OTHER_LOG
from gateway.feeds.history import Stood
from gateway.feeds.places import before, head, resynced
from gateway.feeds.reading import COLUMNS, MOST, CloudEvent, FeedRow, events_of
from gateway.feeds.sessions import Span
from gateway.journal import feed_log
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import HashId, is_sound
from gateway.transfer.transfer_records import operation_of
from gateway.vault.vault import Vault

_logger: Final = logging.getLogger("lgsp.feeds")
_VERSION, _PAST = "state", "state-at"
_LONGEST: Final = 400
_key: Final = tables.feed_key.c


class _Place(NamedTuple):
    """`head`: the offset of the newest event when the first page was read. `after`: the last transfer of the pages.
    `log`: as of a cursor. `past`: of the state at a past time, which was `head`.
    """

    head: int
    after: str = ""
    log: str = ""
    past: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """`next`: the cursor of the next page of the state; `place`: the cursor to go on with in the feed."""

    events: tuple[CloudEvent, ...]
    next: str
    more: bool
    place: str
    span: Span | None


def at_time(connection: Connection, contract: Contract, time: float) -> str:
    """The cursor with which the state before a time begins. `feed.no-state`, `feed.no-history`."""
    _demand_state(contract)
    history.check(connection, contract.name, time)
    return _encode(
        contract.name, _Place(before(connection, contract.name, time), log=feed_log.name(connection), past=True)
    )


def _demand_state(contract: Contract) -> None:
    if not any(operation.identity is not None for operation in contract.fed):
        raise FEED_NO_STATE(contract=contract.name)


def standing(
    connection: Connection, contract: Contract, after: str | None, limit: int, vault: Vault, hash_id: HashId
) -> Standing:
    """A page of up to `limit` events. `feed.no-state` for a contract without business keys, `feed.bad-cursor`."""
    _demand_state(contract)
    log = feed_log.name(connection)
    place = _decode(after, contract.name) if after else _Place(head(connection, contract.name), log=log)
    if place.log and place.log != log:
        raise resynced(connection, FEED_OTHER_LOG(contract=contract.name), (contract.name,))
    limit = max(1, min(limit, MOST))
    stood = (history.stood if place.past else _stands)(connection, contract.name, place.after, limit, place.head)
    transfers = stood.transfers
    event = tables.feed_event.c
    # By the transfers alone: with the contract as well, SQLite looks through the whole feed.
    query = select(event.contract, *COLUMNS).where(event.transfer.in_([*stood.rows])).order_by(event.transfer)
    found = connection.execute(query)
    rows = [FeedRow.of(row[1:]) for row in found if row.contract == contract.name and row.offset <= place.head]
    events, span = events_of(connection, contract.name, rows, vault)
    shown = [
        _reduced(contract, each, stood.rows.get(row.transfer, ()), hash_id)
        for row, each in zip(rows, events, strict=True)
    ]
    changed = [row.offset for row, each in zip(rows, shown, strict=True) if each.get("tombstonereason") == "tampered"]
    if span is not None:
        span = span._replace(tampered=tuple(sorted({*span.tampered, *changed})))
    next = _encode(contract.name, place._replace(after=transfers[-1] if transfers else place.after))
    return Standing(tuple(shown), next, stood.more, cursors.encode(contract.name, place.head, log), span)


def _stands(connection: Connection, contract: str, after: str, limit: int, head: int) -> Stood:
    """What stands now: of up to `limit` transfers behind `after`."""
    live = (
        select(_key.transfer)
        .where(_key.contract == contract, _key.state == keys.LIVE, _key.transfer > after)
        .distinct()
        .order_by(_key.transfer)
        .limit(limit + 1)
    )
    found = list(connection.scalars(live))
    transfers = found[:limit]
    columns = [_key[name] for name in KeyRow._fields]
    query = select(*columns).where(_key.contract == contract, _key.state == keys.LIVE, _key.transfer.in_(transfers))
    by_transfer: dict[str, list[KeyRow]] = {}
    for row in connection.execute(query):
        by_transfer.setdefault(row.transfer, []).append(KeyRow(*row))
    return Stood(transfers, by_transfer, len(found) > limit)


def _reduced(contract: Contract, event: CloudEvent, rows: Sequence[KeyRow], hash_id: HashId) -> CloudEvent:
    """The event with the items that stand."""
    if "data" not in event:
        return event
    if not all(is_sound(row, hash_id) for row in rows):
        _logger.critical("feed %s: a key of transfer %s was changed in the database", contract.name, event["id"])
        told = {name: event[name] for name in ("sequence", "sequencedtime")}
        bare = {"specversion": "1.0", "id": event["id"], "source": "urn:lgsp:gateway", "type": "lgsp:tampered"}
        return {**bare, **told, "tombstone": True, "tombstonereason": "tampered"}
    operation = contract.operations.get(operation_of(contract.namespace, event["type"]))
    identity = operation.identity if operation is not None else None
    if operation is None or identity is None or not identity.items:
        return event
    party = keys.Party(event.get("lgspagency", ""), event["source"].removeprefix("urn:lgsp:system:"))
    space, known = keys.space(contract.name, operation.name, identity, party), {row.key for row in rows}
    at = {each.at for each in keys_of(identity, event["data"]) if hash_id(f"{space}{each.key}") in known}
    if not at:  # its keys are those of an earlier version of the contract, until they are taken up again
        return event
    data = _with_items(event["data"], identity.items.removesuffix("[]").split("."), at)
    return {**event, "data": data, "subject": subject_of(identity, data)}


def _with_items(value: Mapping[str, Any], path: Sequence[str], at: Collection[int | None]) -> dict[str, Any]:
    """The same, with the items of the list at `path` whose positions these are."""
    step, *rest = path
    inner = value[step]
    kept = _with_items(inner, rest, at) if rest else [item for number, item in enumerate(inner) if number in at]
    return {**value, step: kept}


def _encode(contract: str, place: _Place) -> str:
    text = f"{_PAST if place.past else _VERSION} {contract} {place.head} {place.after}" + (
        f" {place.log}" if place.log else ""
    )
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def _decode(cursor: str, contract: str) -> _Place:
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, feed, text, after, *logs = base64.urlsafe_b64decode(padded).decode("utf-8").split(" ")
        offset = whole_number(text)
        place = _Place(offset or 0, after, " ".join(logs), version == _PAST)
        if version not in (_VERSION, _PAST) or offset is None or _encode(feed, place) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise FEED_BAD_CURSOR(contract=contract, reason=cursors.words("cursor.not-ours")) from None
    if feed != contract:
        raise FEED_BAD_CURSOR(contract=contract, reason=cursors.words("cursor.other-feed", feed=feed))
    return place

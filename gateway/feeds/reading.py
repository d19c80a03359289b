"""Reads pages of a feed: CloudEvents 1.0 in the sequencer's order, with their data from the vault.

Invariant: only sequenced events are returned. Offsets are contiguous within an epoch (from 1 in the first), so a page
  never skips an event that comes later.
Invariant: a cursor stays valid. A reader that stops and continues misses nothing and reads nothing twice.
Invariant: a field that the reader's grant does not hold is masked before the event leaves this module.
Invariant: an event whose body is past its retention stays as a tombstone with reason and time. A body lost for another
  reason is reported as lost, never as retention.
Invariant: an event's body is its transfer's, sealed with the contract and the event's attributes. If the row differs,
  or the body does not open, the event becomes a tombstone without unsealed attributes. The page names it, and it is
  logged as critical.
Invariant: the event of a dispatched message is sealed itself, with its contract. Its data are the request, and the
  answer if there was one. They too open only as bodies of its transfer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from contracts.base.errors import Ours
from contracts.base.times import rfc3339
from contracts.compiled.event_facts import UNKNOWN
from contracts.wire.jsontext import read_json
from gateway.feeds import places
from gateway.feeds.places import ALWAYS, Times
from gateway.feeds.sessions import Span
from gateway.journal.driver_reads import Read
from gateway.journal.schema import tables
from gateway.transfer.provider_agencies import provider_agencies
from gateway.transfer.states import State
from gateway.transfer.transfer_records import ENDS, EXPIRED, NOT_READ, ending_of, expired_event
from gateway.vault import binding
from gateway.vault.vault import Opened, Vault

MOST: Final = 1000
HANDLED: Final = ENDS[State.ANSWERED.value]
_END_MARKS: Final = tuple(f':{end}"' for end in (*ENDS.values(), EXPIRED))
_logger: Final = logging.getLogger("lgsp.feeds")
_event: Final = tables.feed_event.c
COLUMNS: Final = (_event.offset, _event.transfer, _event.event, _event.body_ref, _event.sequenced)
_FOLLOWING: Final = (
    select(*COLUMNS)
    .where(_event.contract == bindparam("contract"), _event.offset > bindparam("low"))
    .order_by(_event.offset)
    .limit(bindparam("limit"))
)
_AFTER: Final = Read(_FOLLOWING)
_BETWEEN: Final = Read(_FOLLOWING.where(_event.offset <= bindparam("high")))
# What older events do not tell: a reader gets "unknown", never a false value.
_LAST_TOLD: Final = "lgspfailedrules"
NOT_TOLD: Final = NOT_READ | {_LAST_TOLD: UNKNOWN}
_TOLD: Final = f',"{_LAST_TOLD}":'
_NOT_TOLD: Final = f",{json.dumps(NOT_TOLD, separators=(',', ':'))[1:-1]}"
Mask = Callable[[dict[str, Any]], dict[str, Any]]
CloudEvent = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the next page, also if `more` is false. `span` is None for a page without events.
    `complete`: no event will come into the range of times any more. `offsets`: of the events.
    """

    events: tuple[CloudEvent, ...]
    next: str
    more: bool
    span: Span | None = None
    complete: bool = False
    offsets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RawPage:
    """The same as JSON texts, for readers without a mask: nothing is parsed."""

    events: tuple[bytes, ...]
    next: str
    more: bool
    span: Span | None = None
    complete: bool = False
    offsets: tuple[int, ...] = ()


class FeedRow(NamedTuple):
    offset: int
    transfer: str
    event: str
    body_ref: str
    sequenced: float
    end: str | None  # how the dispatched message ended that it tells of, or that the content of a message expired
    about: str  # the transfer whose content it tells of: another one only if that content expired

    @classmethod
    def of(cls, row: Any) -> FeedRow:
        """A row of `COLUMNS`."""
        offset, transfer, event, body_ref, sequenced = row
        end = _end(event)
        about = transfer if end != EXPIRED else str(json.loads(event).get("lgspreplaces"))
        return cls(offset, transfer, event, body_ref, sequenced, end, about)

    @property
    def plain(self) -> bool:
        """Whether its data are one message, whose body is sealed with the event that it was handed in by."""
        return self.end is None or self.end == EXPIRED

    @property
    def body(self) -> str:
        """The id of its body, independent of the row's reference."""
        return f"{self.about}/canonical"

    @property
    def parts(self) -> Mapping[str, str]:
        """The ids of the bodies of its data, by their name there; of a submission there is one without a name."""
        if self.plain:
            return {"": self.body}
        request = {"request": self.body}
        return request | {"answer": f"{self.transfer}/answer"} if self.end == HANDLED else request

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all bodies that this event needs; the last is that which is sealed with it."""
        return (self.body,) if self.plain else (*self.parts.values(), f"{self.transfer}/{binding.EVENT_PART}")


def read(
    connection: Connection,
    contract: str,
    after: str | None,
    limit: int,
    *,
    vault: Vault,
    mask: Mask | None = None,
    times: Times = ALWAYS,
) -> Page:
    """Up to `limit` events after the cursor, or from the start, within the times. `feed.bad-cursor` for a cursor of
    another feed.
    """
    rows, next, more, complete = _rows(connection, contract, after, limit, times)
    events, span = events_of(connection, contract, rows, vault)
    if mask is not None:
        for event in events:
            if "data" in event:
                event["data"] = mask(event["data"])
    return Page(tuple(events), next, more, span, complete, tuple(row.offset for row in rows))


def events_of(
    connection: Connection, contract: str, rows: Sequence[FeedRow], vault: Vault
) -> tuple[list[CloudEvent], Span | None]:
    """The events of these rows, in their order, and what of the feed they hold."""
    bodies = _bodies(connection, contract, rows, vault)
    events: list[CloudEvent] = []
    for row in rows:
        body = bodies.plain[row.offset]
        event: CloudEvent = json.loads(
            row.event if body is not None or row.offset not in bodies.tampered else _bare(row)
        )
        event["sequence"] = f"{row.offset:020d}"
        event["sequencedtime"] = rfc3339(row.sequenced)
        if _LAST_TOLD not in event and row.offset not in bodies.tampered:
            event |= NOT_TOLD
        if body is None:
            event.update(bodies.tombstone(row))
        else:
            event["data"] = read_json(body)
        events.append(event)
    return events, _span(connection, rows, bodies.tampered)


def read_raw(
    connection: Connection, contract: str, after: str | None, limit: int, *, vault: Vault, times: Times = ALWAYS
) -> RawPage:
    """The same without a mask: each event as JSON text, with the stored bytes of its body."""
    rows, next, more, complete = _rows(connection, contract, after, limit, times)
    bodies = _bodies(connection, contract, rows, vault)
    events: list[bytes] = []
    for row in rows:
        body = bodies.plain[row.offset]
        tampered = row.offset in bodies.tampered
        text = (row.event if body is not None or not tampered else _bare(row)).rstrip()[:-1]
        told = "" if _TOLD in text or tampered else _NOT_TOLD
        head = f'{text}{told},"sequence":"{row.offset:020d}","sequencedtime":"{rfc3339(row.sequenced)}",'
        if body is not None:
            events.append(b'%b"data":%b}' % (head.encode(), body))
        else:
            events.append(head.encode() + json.dumps(bodies.tombstone(row)).encode()[1:])
    span = _span(connection, rows, bodies.tampered)
    return RawPage(tuple(events), next, more, span, complete, tuple(row.offset for row in rows))


def _span(connection: Connection, rows: Sequence[FeedRow], tampered: tuple[int, ...]) -> Span | None:
    """What of the feed a page holds. The agency of a changed row may be a false one: it is named all the same."""
    if not rows:
        return None
    senders = {_sender(row.event) for row in rows}
    answered = [row.transfer for row in rows if row.end == HANDLED]
    answering = provider_agencies(connection, answered).values() if answered else ()
    offsets = [row.offset for row in rows]
    return Span(min(offsets), max(offsets), len(rows), frozenset({*senders, *answering} - {""}), tampered)


@dataclass(frozen=True, slots=True)
class _Bodies:
    """The bodies of a page by offset, the ends of retention by id, the offsets of changed rows or bodies."""

    plain: Mapping[int, bytes | None]
    ended: Mapping[str, str]
    tampered: tuple[int, ...]

    def tombstone(self, row: FeedRow) -> dict[str, Any]:
        if row.offset in self.tampered:
            return {"tombstone": True, "tombstonereason": "tampered"}
        for id in row.ids:
            if id in self.ended:
                return {"tombstone": True, "tombstonereason": "retention", "tombstonetime": self.ended[id]}
        return {"tombstone": True, "tombstonereason": "lost"}


def _bodies(connection: Connection, contract: str, rows: Sequence[FeedRow], vault: Vault) -> _Bodies:
    ids = [row.ids for row in rows]
    opened = vault.open_many(connection, [*{id for each in ids for id in each}])
    plain: dict[int, bytes | None] = {}
    tampered: list[int] = []
    handed_in = _handed_in(connection, contract, [row.about for row in rows if row.end == EXPIRED])
    for row, own in zip(rows, ids, strict=True):
        bodies = [opened.get(id) for id in own]
        plain[row.offset] = _data(row, bodies)
        sealed = bodies[-1]
        bound = sealed.binding if isinstance(sealed, Opened) else None
        if (
            row.body_ref != f"{row.transfer}/canonical"
            or plain[row.offset] is None
            and any(isinstance(each, Ours) for each in bodies)
            or bound is not None
            and bound != binding.of_event(contract, handed_in.get(row.about, row.event))
            or row.end == EXPIRED
            and not _expired(row, handed_in.get(row.about))
        ):
            plain[row.offset] = None
            tampered.append(row.offset)
            _logger.critical(
                "feed %s: the event %d (transfer %s) was changed in the database; it is not shown",
                contract,
                row.offset,
                row.transfer,
            )
    gone = [id for row in rows if plain[row.offset] is None and row.offset not in tampered for id in row.ids]
    return _Bodies(plain, vault.ended(connection, gone) if gone else {}, tuple(tampered))


def _handed_in(connection: Connection, contract: str, transfers: Sequence[str]) -> Mapping[str, str]:
    """The events that these transfers were handed in by."""
    if not transfers:
        return {}
    table = tables.feed_event.c
    # By the transfers alone: with the contract as well, SQLite looks through the whole feed.
    query = select(table.contract, table.transfer, table.event).where(table.transfer.in_(transfers))
    return {row.transfer: row.event for row in connection.execute(query) if row.contract == contract}


def _expired(row: FeedRow, handed_in: str | None) -> bool:
    """Whether an event of expiry is the one that follows from the event by which its content was handed in."""
    return handed_in is not None and (row.transfer, row.event) == expired_event(json.loads(handed_in))


def _data(row: FeedRow, bodies: Sequence[Opened | Ours | None]) -> bytes | None:
    """The event's data as JSON text; None if one of its bodies is gone. `bodies`: those of `row.ids`."""
    texts = [each.plain for each in bodies if isinstance(each, Opened)]
    if len(texts) < len(bodies):
        return None
    if row.plain:
        return texts[0]
    parts = [f'"{name}":'.encode() + text for name, text in zip(row.parts, texts, strict=False)]
    return b"{" + b",".join(parts) + b"}"


def _bare(row: FeedRow) -> str:
    """Only the required attributes (CloudEvents 1.0), for an event that was changed."""
    attributes = {"specversion": "1.0", "id": row.transfer, "source": "urn:lgsp:gateway", "type": "lgsp:tampered"}
    return json.dumps(attributes, separators=(",", ":"))


def _rows(
    connection: Connection, contract: str, after: str | None, limit: int, times: Times
) -> tuple[Sequence[FeedRow], str, bool, bool]:
    """The rows, the next cursor, whether there are more, and whether the range is complete."""
    low, high, complete = places.bounds(connection, contract, after, times)
    limit = max(1, min(limit, MOST))
    bounds = {"contract": contract, "low": low, "limit": limit + 1}
    if high is None:
        events = _AFTER.rows(connection, **bounds)
    else:
        events = _BETWEEN.rows(connection, **bounds, high=high)
    if low and (not events or events[0][0] != low + 1):
        places.check(connection, contract, low)
    rows = [FeedRow.of(row) for row in events[:limit]]
    more = len(events) > limit
    return rows, _cursor(connection, contract, rows, low), more, complete and not more


def _cursor(connection: Connection, contract: str, rows: Sequence[FeedRow], low: int) -> str:
    return places.cursor_at(connection, contract, rows[-1].offset if rows else low)


def _sender(event: str) -> str:
    # As `transfer_records.event` writes it. Within a value the quotation marks would be escaped. Parsing costs more.
    _, found, rest = event.partition(',"lgspagency":"')
    sender = rest.partition('"')[0]
    return sender if found and "\\" not in sender else str(json.loads(event).get("lgspagency", ""))


def _end(event: str) -> str | None:
    # In the same way: most events need not be parsed.
    for mark in _END_MARKS:
        if mark in event:
            return ending_of(str(json.loads(event).get("type")))
    return None

"""Reads what a subscription's next delivery holds, as the reader's grant shows it at this moment.

The same functions as for pages of a feed judge, mask and encrypt. One event is a structured CloudEvent, several are a
batch (CloudEvents 1.0, HTTP binding 3.2 and 3.3).
Invariant: a delivery holds whole events in the order of the feed, without a gap after the position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, func, select

from contracts.compiled.contract import CompiledContract
from contracts.wire import jsontext
from gateway.exchange.answer_keys import demand_key
from gateway.exchange.quotas import GrantQuery, Quotas, decide, refused, uses_of
from gateway.feeds import read, read_raw
from gateway.feeds.masks import Masks, masked, masks_of
from gateway.feeds.places import cursor_at
from gateway.feeds.sessions import Reader, Span
from gateway.journal.schema import tables
from gateway.journal.write import QuotaUse
from gateway.push.errors import PUSH_NO_FEED
from gateway.push.records import Subscription
from gateway.registry.parts.grants import FEED
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.vault.vault import Vault
from security import jose
from security.grants.grants import Decision
from security.keys import SigningKey

MOST_BYTES: Final = 1_000_000  # of one delivery with more than one event, before encryption
ONE: Final = "application/cloudevents+json"
SEVERAL: Final = "application/cloudevents-batch+json"
_event: Final = tables.feed_event.c


class Allowed(NamedTuple):
    """What lets the subscriber read now."""

    system: System
    contract: CompiledContract
    query: GrantQuery
    decision: Decision


class Batch(NamedTuple):
    """A delivery. `first` and `last` are offsets, `uses` what it counts against quotas."""

    first: int
    last: int
    body: bytes
    content_type: str
    span: Span
    reader: Reader
    uses: tuple[QuotaUse, ...]


def allowed(subscription: Subscription, snapshot: Snapshot, quotas: Quotas, now: float) -> Allowed:
    """The refusal if the subscriber may not read the feed now."""
    system, contract = snapshot.system(subscription.system), snapshot.contract(subscription.contract)
    if system is None or contract is None or not contract.contract.fed:
        raise PUSH_NO_FEED(contract=subscription.contract, system=subscription.system)
    if not system.active:
        raise snapshot.suspension(system)
    query = GrantQuery(snapshot, system.agency, contract.contract, FEED, now)
    decision = quotas.without_full(query, decide(query))
    if decision is None:
        raise refused(query)
    return Allowed(system, contract, query, decision)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where events are read, and what signs a body that is encrypted."""

    engine: Engine
    vault: Vault
    key: SigningKey

    def batch(self, subscription: Subscription, by: Allowed) -> Batch | None:
        """The events after the position, up to the end that was reserved; None if there are none."""
        snapshot, now = by.query.snapshot, by.query.at
        receiver = demand_key(by.contract.contract, snapshot, by.system, now)
        masks = masks_of(snapshot, by.system, by.contract, by.decision)
        with self.engine.connect() as connection:
            limit = _count(connection, subscription)
            if not limit:
                return None
            events, last, span = self._events(connection, subscription, by.contract, masks, limit)
            kept = _fitting(events)
            if kept < len(events):
                events, last, span = self._events(connection, subscription, by.contract, masks, kept)
        body, content_type = (events[0], ONE) if len(events) == 1 else (b"[" + b",".join(events) + b"]", SEVERAL)
        if receiver is not None:
            body, content_type = jose.seal(body, content_type, self.key, receiver)[0], jose.MEDIA_TYPE
        return Batch(
            first=span.first,
            last=last,
            body=body,
            content_type=content_type,
            span=span,
            reader=Reader(by.system.name, subscription.contract, tuple(each.id for each in by.decision.through)),
            uses=uses_of(by.decision, by.system.agency, now),
        )

    def _events(
        self, connection: Connection, subscription: Subscription, contract: CompiledContract, masks: Masks, limit: int
    ) -> tuple[list[bytes], int, Span]:
        name, position = subscription.contract, subscription.position
        after = cursor_at(connection, name, position) if position else None
        page: Any
        if any(masks.values()):
            page = read(connection, name, after, limit, vault=self.vault)
            for event in page.events:
                masked(event, contract, masks)
            texts = [jsontext.write_json(event) for event in page.events]
        else:
            page = read_raw(connection, name, after, limit, vault=self.vault)
            texts = list(page.events)
        return texts, page.span.last if page.span is not None else position, page.span


def _count(connection: Connection, subscription: Subscription) -> int:
    upto = subscription.upto or 0
    return (
        connection.scalar(
            select(func.count()).where(
                _event.contract == subscription.contract,
                _event.offset > subscription.position,
                _event.offset <= upto,
            )
        )
        or 0
    )


def _fitting(events: list[bytes]) -> int:
    """How many of them fit into one delivery; one always does."""
    size = 0
    for number, event in enumerate(events):
        size += len(event) + 1
        if number and size > MOST_BYTES:
            return number
    return len(events)

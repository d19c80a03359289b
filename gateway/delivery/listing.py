"""Lists what waits, is under way, is dead or in doubt: by state, provider and failure, in pages, oldest first.

Invariant: a page reads at most one row more than it shows, in the order of an index (`queue_state`, `queue_provider`,
  `transfer_state`). By a failure, or a provider of doubts, it looks at `LOOKS` rows at most: it may be short then, with
  a cursor to continue.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, or_, select

from gateway.delivery.decisions import Act, possible
from gateway.delivery.queue import DEAD, HELD, LEASED, OPEN, WAITING
from gateway.journal.schema import tables
from gateway.transfer.states import FINAL, State

WAITS, HOLDS, UNDER_WAY, IN_DOUBT, GIVEN_UP = "waiting", "held", "under-way", "in-doubt", "dead"
# What a list is called -> state of the transfer, state of its message in the queue.
STATES: Final[Mapping[str, tuple[State, str | None]]] = {
    WAITS: (State.QUEUED, WAITING),
    HOLDS: (State.QUEUED, HELD),
    UNDER_WAY: (State.FORWARDING, LEASED),
    IN_DOUBT: (State.IN_DOUBT, None),
    GIVEN_UP: (State.DEAD, DEAD),
}
COUNTED: Final = 1_000  # no count goes further
LOOKS: Final = 400  # messages that a page looks at for a condition without an index
_queue: Final = tables.queue
_transfer: Final = tables.transfer


@dataclass(frozen=True, slots=True)
class Wanted:
    """`failure` is the last one of the queue, or the one of the transfer."""

    state: str = WAITS
    provider: str | None = None
    failure: str | None = None


class Message(NamedTuple):
    """A message of a list. `tries` and `next_at` are None where it is in no queue.

    `failure` is why it ended; until then that of its last try.
    """

    transfer: str
    state: str  # of the transfer
    pattern: str
    caller_agency: str
    caller_system: str
    contract: str
    operation: str
    provider: str | None
    idempotent: bool
    committed: float
    failure: str | None
    tries: int | None
    next_at: float | None

    @property
    def acts(self) -> tuple[Act, ...]:
        return possible(self.state, self.pattern)


class Listed(NamedTuple):
    messages: tuple[Message, ...]
    next: str | None  # the cursor of the next page


def page(connection: Connection, wanted: Wanted, after: str | None = None, limit: int = 50) -> Listed:
    """`after` is a transfer's id, the cursor of the page before."""
    _, place = STATES[wanted.state]
    key = _queue.c.transfer if place is not None else _transfer.c.id
    looks = max(LOOKS, limit + 1) if wanted.failure is not None or (wanted.provider and place is None) else limit + 1
    looked = _keys(wanted, after).limit(looks).subquery()
    query = _messages(wanted).where(key.in_(select(looked.c[0])))
    rows = connection.execute(query.order_by(key).limit(limit + 1)).all()
    messages = tuple(map(_message, rows[:limit]))
    if len(rows) > limit:
        return Listed(messages, messages[-1].transfer)
    number, last = connection.execute(select(func.count(), func.max(looked.c[0]))).one()
    return Listed(messages, last if number == looks else None)


def first(connection: Connection, wanted: Wanted, limit: int) -> Listed:
    """The oldest of the whole set, at most `limit`; `next` is there if there are more."""
    messages, cursor = list[Message](), None
    while True:
        found = page(connection, wanted, cursor, limit - len(messages))
        messages += found.messages
        if len(messages) == limit or found.next is None:
            return Listed(tuple(messages), found.next)
        cursor = found.next


def members(connection: Connection, wanted: Wanted, transfers: Collection[str]) -> frozenset[str]:
    """Those of these transfers that are in the list now."""
    query = _messages(wanted).where(_transfer.c.id.in_(transfers))
    return frozenset(_message(row).transfer for row in connection.execute(query))


def count(connection: Connection, state: str, most: int = COUNTED) -> int:
    """Of a whole list, at most `most`. A message that was given up has the state of its transfer."""
    some = (
        _keys(Wanted(state), None) if state in (WAITS, HOLDS, UNDER_WAY) else select(_transfer.c.id).where(_in(state))
    )
    return int(connection.execute(select(func.count()).select_from(some.limit(most).subquery())).scalar_one())


def _in(state: str) -> ColumnElement[bool]:
    return _transfer.c.state == STATES[state][0].value


def _keys(wanted: Wanted, after: str | None) -> Select[Any]:
    """The ids of a list in order, by an index alone."""
    place = STATES[wanted.state][1]
    if place is None:
        query, key = select(_transfer.c.id).where(_in(wanted.state)), _transfer.c.id
    else:
        query, key = select(_queue.c.transfer).where(_queue.c.state == place), _queue.c.transfer
        if wanted.provider is not None:
            query = query.where(_queue.c.provider == wanted.provider)
    return (query if after is None else query.where(key > after)).order_by(key)


def one(connection: Connection, transfer: str) -> Message | None:
    """Any transfer that was to be forwarded, whatever its state."""
    row = connection.execute(_all().where(_transfer.c.id == transfer)).first()
    return None if row is None else _message(row)


class Standing(NamedTuple):
    """Where a message of the queue stands beside its tries. `behind` is the open transfer of its key that goes first.

    `callback` is `wanted`, `done` or `dead`; None if its sender is not called back.
    """

    held: bool
    behind: str | None
    callback: str | None
    callback_tries: int
    callback_at: float
    callback_failure: str | None


def standing(connection: Connection, transfer: str) -> Standing | None:
    """None if it is in no queue."""
    row = connection.execute(select(_queue).where(_queue.c.transfer == transfer)).first()
    if row is None:
        return None
    behind = None
    if row.order_key is not None and row.state in OPEN:
        earlier = select(_queue.c.transfer, _queue.c.place).where(
            _queue.c.order_key == row.order_key, _queue.c.state.in_(OPEN), _queue.c.place <= row.place
        )
        head = connection.execute(earlier.order_by(_queue.c.place, _queue.c.transfer).limit(1)).first()
        behind = head.transfer if head is not None and head.transfer != transfer else None
    return Standing(
        held=row.state == HELD,
        behind=behind,
        callback=row.callback,
        callback_tries=row.callback_tries,
        callback_at=row.callback_at,
        callback_failure=row.callback_failure,
    )


def _messages(wanted: Wanted) -> Select[Any]:
    place = STATES[wanted.state][1]
    fits: list[ColumnElement[bool]] = [_in(wanted.state)]
    if place is not None:
        fits.append(_queue.c.state == place)
    if wanted.provider is not None:
        fits.append(_transfer.c.provider == wanted.provider)
    if wanted.failure is not None:
        fits.append(or_(_queue.c.last_failure == wanted.failure, _transfer.c.failure == wanted.failure))
    return _all(outer=place is None).where(*fits)


def _all(*, outer: bool = True) -> Select[Any]:
    columns = [_transfer.c[name] for name in Message._fields[1:10]]
    tried, ended = _queue.c.last_failure, _transfer.c.failure
    final = _transfer.c.state.in_([each.value for each in FINAL])
    failure = case((final, func.coalesce(ended, tried)), else_=func.coalesce(tried, ended)).label("failure")
    return select(_transfer.c.id, *columns, failure, _queue.c.tries, _queue.c.next_at).select_from(
        _transfer.outerjoin(_queue, _queue.c.transfer == _transfer.c.id)
        if outer
        else _queue.join(_transfer, _transfer.c.id == _queue.c.transfer)
    )


def _message(row: Row[Any]) -> Message:
    return Message._make(row)

"""Checks the events that the gateway itself makes (`gateway.feeds.quality`): each follows from an entry of the log, and
each entry that was passed has its event.

The body of an event is sealed with its attributes (`gateway.vault.binding`), which are compared here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, or_, select

from gateway.audit.verify.findings import MOST, Findings
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.values import value_of
from gateway.registry.own_feed import QUALITY as QUALITY
from gateway.transfer.quality_events import POSITION, REFUSAL, TRIES, Position, concerns, id_of, made_again
from gateway.vault import binding

_PAGE: Final = 500
_present: Final = tables.log_entry.c


def check_event(connection: Connection, row: Row[Any, Any, Any, Any], wrong: Findings) -> None:
    """`row`: the feed, the id and the text of the event."""
    wrong.count("events of quality")
    name = f"the event {row.transfer} of the feed {row.contract}"
    event = _object(row.event)
    about = str(event.get("subject"))
    if not any(
        (made.id, made.text) == (row.transfer, row.event)
        for phase, entry in _entries(connection, about)
        for made in (made_again(phase, entry, _intent(connection, about), event),)
    ):
        wrong.add(f"{name}: it follows from no entry of the log")
    sealed = connection.scalar(select(tables.vault.c.sealed).where(tables.vault.c.id == f"{row.transfer}/canonical"))
    if sealed is not None and binding.split(bytes(sealed))[0] != binding.of_event(row.contract, row.event):
        wrong.add(f"{name}: its body was sealed with another event")


def check_missing(connection: Connection, wrong: Findings) -> None:
    """Entries that the position has passed and that have no event."""
    event = tables.feed_event.c
    text = value_of(connection, POSITION)
    if text is None:
        if connection.scalar(select(event.offset).where(event.contract == QUALITY).limit(1)) is not None:
            wrong.add(f"the feed {QUALITY}: it has events, and nothing says how far the log was followed")
        return
    try:
        position = Position.of(text)
    except ValueError:
        wrong.add(f"the feed {QUALITY}: nothing says how far the log was followed")
        return
    last = connection.scalar(select(_present.leaf).where(_present.idx == position.next - 1))
    if position.next and (last is None or bytes(last).hex() != position.leaf):
        return  # of a log that has ended
    missing = 0
    for page in _passed(connection, position):
        ids = {
            id_of(row.phase, entry): row.idx for row in page if concerns(row.phase, entry := parse(bytes(row.entry)))
        }
        for table in (tables.feed_pending.c, tables.feed_event.c):  # events move from left to right
            for id in connection.scalars(select(table.transfer).where(table.transfer.in_(ids))):
                ids.pop(id, None)
        for index in ids.values():
            wrong.add(f"entry {index}: an event of the feed {QUALITY} follows from it, and stands in no feed")
        missing += len(ids)
        if missing >= MOST:
            return


def _passed(connection: Connection, position: Position) -> Iterator[Sequence[Row[Any, Any, Any]]]:
    """The entries of the kinds that events follow from, in pages."""
    kinds = or_(
        *(_present.phase == each for each in (REFUSAL, *TRIES)), *(_present.phase.like(f"{each}#%") for each in TRIES)
    )
    query = select(_present.idx, _present.phase, _present.entry).where(kinds, _present.idx < position.next)
    at = position.begin
    while rows := connection.execute(query.where(_present.idx >= at).order_by(_present.idx).limit(_PAGE)).all():
        yield rows
        at = rows[-1].idx + 1


def _entries(connection: Connection, transfer: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for table in (tables.log_entry, tables.past_entry):
        query = select(table.c.phase, table.c.entry).where(table.c.transfer == transfer)
        for row in connection.execute(query):
            entry = parse(bytes(row.entry))
            if concerns(row.phase, entry):
                yield row.phase, entry


def _intent(connection: Connection, transfer: str) -> Mapping[str, Any]:
    for table in (tables.log_entry, tables.past_entry):
        query = select(table.c.entry).where(table.c.transfer == transfer, table.c.phase == "intent")
        if (entry := connection.scalar(query)) is not None:
            return parse(bytes(entry))
    return {}


def _object(event: str) -> dict[str, Any]:
    try:
        value = json.loads(event)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

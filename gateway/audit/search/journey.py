"""The journey of one transfer: its entries in the log, in order, and its present state.

Its sender repeats a message, and is refused, as often as it likes: a journey has the `ENDS` oldest and newest entries.
Invariant: no body is read; a journey contains only names and sizes of the vault's parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.audit.search import facts
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.search import Query, search
from gateway.journal.logged import parse
from gateway.journal.schema import tables

_PAGE: Final = 500
_PENDING: Final = 2_000
ENDS: Final = 200  # entries of the transfer, and refusals of its message, of either end


@dataclass(frozen=True, slots=True)
class Step:
    """One entry; `index` is None while it is pending."""

    index: int | None
    facts: Facts
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Journey:
    """`row` is the transfer's, None if it was refused. `feed` holds its events, `vault` its parts. `left_out`: there
    are entries between the steps."""

    transfer: str
    steps: tuple[Step, ...]
    row: Mapping[str, Any] | None
    queue: Mapping[str, Any] | None
    feed: tuple[Mapping[str, Any], ...]
    vault: tuple[Mapping[str, Any], ...]
    left_out: bool = False


def of_message(connection: Connection, message: str, system: str | None) -> list[Journey]:
    """The journeys of all transfers of a message; `message` is its keyed hash.

    A message that was only refused gives one journey of its refusals.
    """
    query = Query(message=message, system=system, oldest_first=True)
    transfers = dict.fromkeys(each.facts.about for each in _all(connection, replace(query, kind="intent")))
    if transfers:
        return [of_transfer(connection, transfer) for transfer in transfers]
    entries, left_out = _ends(connection, query)
    steps = tuple(_step(each) for each in entries)
    return [Journey(entries[0].facts.transfer, steps, None, None, (), (), left_out)] if entries else []


def of_transfer(connection: Connection, id: str) -> Journey:
    """The journey of a transfer; the id of a repeat gives that of the repeated transfer."""
    entries, left_out = _ends(connection, Query(transfer=id, oldest_first=True))
    abouts = {each.facts.about for each in entries}
    transfer = next(iter(abouts)) if abouts and id not in abouts else id
    if transfer != id:
        entries, left_out = _ends(connection, Query(transfer=transfer, oldest_first=True))
    intent = next((each.facts for each in entries if each.facts.kind == "intent"), None)
    if intent is not None and intent.message is not None:  # refusals of the same message id belong to it
        query = Query(message=intent.message, system=intent.system, kind="refusal", oldest_first=True)
        refused, more = _ends(connection, query)
        entries, left_out = sorted({each.idx: each for each in (*entries, *refused)}.values()), left_out or more
    steps = [_step(each) for each in entries]
    steps += _waiting(connection, transfer, {step.facts.transfer + step.facts.kind + step.facts.at for step in steps})
    row, queue, feed, vault = tables.transfer, tables.queue, tables.feed_event, tables.vault
    present = connection.execute(select(row).where(row.c.id == transfer)).mappings().first()
    queued = connection.execute(select(queue).where(queue.c.transfer == transfer)).mappings().first()
    events = connection.execute(
        select(feed.c.contract, feed.c.offset, feed.c.sequenced).where(feed.c.transfer == transfer)
    ).mappings()
    parts = connection.execute(
        select(vault.c.id, vault.c.size, vault.c.key_id)
        .where(vault.c.id >= f"{transfer}/", vault.c.id < f"{transfer}0")
        .order_by(vault.c.id)
    )
    return Journey(
        transfer=transfer,
        steps=tuple(steps),
        row=None if present is None else dict(present),
        queue=None if queued is None else dict(queued),
        feed=tuple(dict(each) for each in events),
        vault=tuple({"part": str(id).partition("/")[2], "size": size, "key": key} for id, size, key in parts),
        left_out=left_out,
    )


def beside(connection: Connection, transfer: str) -> list[Step]:
    """Entries with ids of their own about the transfer: repeats and notes; in order, pending ones last."""
    entries = _all(connection, Query(transfer=transfer, oldest_first=True))
    steps = [_step(each) for each in entries if each.facts.transfer != transfer]
    logged = {step.facts.transfer + step.facts.kind + step.facts.at for step in steps}
    return steps + [step for step in _waiting(connection, transfer, logged) if step.facts.transfer != transfer]


def entries_of(connection: Connection, transfer: str) -> list[dict[str, Any]]:
    """All entries of a transfer, and those about it (repeats, notes that name it), as objects with their index.

    Those of ended logs come first, with their origin; then those with an index, in order; then pending ones.
    """
    entry, pending, past = tables.log_entry, tables.log_pending, tables.past_entry
    before = (
        select(past.c.origin, past.c.idx, past.c.entry)
        .where(past.c.transfer == transfer)
        .order_by(past.c.origin, past.c.idx)
    )
    sequenced = select(entry.c.idx, entry.c.entry).where(entry.c.transfer == transfer)
    waiting = select(pending.c.entry).where(pending.c.transfer == transfer).order_by(pending.c.id)
    about = beside(connection, transfer)
    listed = {row.idx: json.loads(row.entry) for row in connection.execute(sequenced)}
    listed |= {step.index: step.entry for step in about if step.index is not None}
    return [
        *({"origin": row.origin, "index": row.idx, **json.loads(row.entry)} for row in connection.execute(before)),
        *({"index": index, **listed[index]} for index in sorted(listed)),
        *({"index": None, **json.loads(row.entry)} for row in connection.execute(waiting)),
        *({"index": None, **step.entry} for step in about if step.index is None),
    ]


def _ends(connection: Connection, query: Query) -> tuple[list[Logged], bool]:
    """The oldest and the newest entries, oldest first, and whether there are others between them."""
    first = search(connection, query, limit=ENDS)
    if first.next is None:
        return list(first.hits), False
    last = search(connection, replace(query, oldest_first=False), limit=ENDS).hits[::-1]
    following = search(connection, query, limit=1, cursor=first.next).hits
    later = [each for each in last if each.idx > first.hits[-1].idx]
    return [*first.hits, *later], bool(following) and following[0].idx < later[0].idx


def _all(connection: Connection, query: Query) -> list[Logged]:
    entries: list[Logged] = []
    cursor: str | None = None
    while True:
        page = search(connection, query, limit=_PAGE, cursor=cursor)
        entries += page.hits
        cursor = page.next
        if cursor is None:
            return entries


def _waiting(connection: Connection, transfer: str, logged: set[str]) -> list[Step]:
    """Pending entries; normally for a second at most."""
    table = tables.log_pending.c
    rows = connection.execute(
        select(table.transfer, table.phase, table.entry).order_by(table.id.desc()).limit(_PENDING)
    )
    steps = []
    for own, phase, raw in reversed(rows.all()):
        value = parse(bytes(raw))
        entry = facts.facts_of(value, own, phase, {})
        if transfer in (entry.about, entry.transfer) and entry.transfer + entry.kind + entry.at not in logged:
            steps.append(Step(None, entry, value))
    return steps


def _step(logged: Logged) -> Step:
    return Step(logged.idx, logged.facts, json.loads(logged.entry))

"""Reads notes of the log by kind, in the order of the log: ended logs, the current one, pending ones."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, literal, select, union_all

from gateway.journal.schema import tables
from security.transparency.merkle import leaf_hash

_COMMON: Final = frozenset({"intent", "outcome", "refusal"})  # they are in no index by phase


class Noted(NamedTuple):
    """One note. `at` is RFC 3339, as in the entry; `name` names the entry in texts.

    `ended` is the number of the ended log that holds it, or None.
    """

    what: str
    at: str
    actor: str
    facts: Mapping[str, Any]
    name: str
    ended: int | None
    transfer: str  # the id in the entry
    leaf: bytes


def read_notes(connection: Connection, kinds: Collection[str]) -> list[Noted]:
    """All notes of these kinds, oldest first."""
    past, present, pending, origin = tables.past_entry.c, tables.log_entry.c, tables.log_pending.c, tables.log_origin.c
    query = union_all(
        select(literal(0).label("turn"), origin.number.label("ended"), past.idx.label("place"), past.phase, past.entry)
        .select_from(tables.past_entry.join(tables.log_origin, past.origin == origin.origin))
        .where(past.phase.in_(kinds)),
        select(literal(1), literal(0), present.idx, present.phase, present.entry).where(
            *([tables.NOTES] if not _COMMON.intersection(kinds) else []), present.phase.in_(kinds)
        ),
        select(literal(2), literal(0), pending.id, pending.phase, pending.entry).where(pending.phase.in_(kinds)),
    )
    rows = query.subquery().c
    return list(_read(connection.execute(select(*rows).order_by(rows.turn, rows.ended, rows.place))))


def _read(rows: Any) -> Iterator[Noted]:
    for turn, ended, place, phase, entry in rows:
        try:
            value = json.loads(bytes(entry))
            facts = value["facts"]
            if not isinstance(facts, dict):
                continue
            yield Noted(
                what=phase,
                at=str(value["at"]),
                actor=str(value["actor"]),
                facts=facts,
                name="a pending entry" if turn == 2 else f"entry {place}",
                ended=int(ended) if turn == 0 else None,
                transfer=str(value["transfer"]),
                leaf=leaf_hash(bytes(entry)),
            )
        except (ValueError, KeyError, TypeError):  # the check of entries reports it
            continue

"""What a person sees of feeds: which ones there are, and the newest events of one, with the place to go on from.

Invariant: events come from `Following.page`, so each one that is shown was judged, masked and logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import pretty, read_json
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.doors.api.feed_filters import what
from gateway.doors.api.feed_pages import FeedPage, Part
from gateway.feeds.heads import Head, head_of
from gateway.feeds.places import ALWAYS, cursor_at
from gateway.journal.schema import tables

ROWS: Final = 20
_event: Final = tables.feed_event.c


class Listed(NamedTuple):
    """A feed. `refused`: why this person may not read it."""

    contract: CompiledContract
    head: Head | None
    refused: Failure | None


class Seen(NamedTuple):
    """An event: `what` it tells (`feed_filters.TYPES`), who sent it, and all of it as text."""

    offset: int
    id: str
    what: str
    sequenced: str
    subject: str
    agency: str
    absent: str  # of an event without its content: the reason
    text: str


class View(NamedTuple):
    """`events`: the newest first. `cursor`: after the last of them. `earlier`: the offset up to which to look next."""

    contract: CompiledContract
    events: tuple[Seen, ...]
    cursor: str
    earlier: int | None
    newest: bool  # whether the newest event of the feed is shown


def listed(desk: Desk, viewer: Viewer) -> list[Listed]:
    """All feeds by name, those that he may read first."""
    found = []
    for name, contract in sorted(desk.services.registry.snapshot.contracts.items()):
        if not contract.contract.fed:
            continue
        try:
            desk.feeds.judged(viewer, name)
        except Failure as failure:
            found.append(Listed(contract, None, failure))
            continue
        with desk.reading() as connection:
            found.append(Listed(contract, head_of(connection, name), None))
    return sorted(found, key=lambda each: each.refused is not None)


def seen(desk: Desk, viewer: Viewer, name: str, upto: int | None) -> View:
    """The newest events, or those up to an offset. Raises what a reader of the feed is refused with."""
    _, contract, _ = desk.feeds.judged(viewer, name)
    asked = select(_event.offset).where(_event.contract == name).order_by(_event.offset.desc())
    with desk.reading() as connection:
        newest = connection.scalar(asked.limit(1)) or 0
        within = asked if upto is None else asked.where(_event.offset <= upto)
        offsets = connection.scalars(within.limit(ROWS + 1)).all()
        shown, before = offsets[:ROWS], offsets[ROWS] if len(offsets) > ROWS else 0
        begin = cursor_at(connection, name, before) if before else None
        cursor = cursor_at(connection, name, shown[0] if shown else 0)
    if not shown:
        return View(contract, (), cursor, None, newest == 0)
    page = desk.feeds.page(viewer, name, Part(begin, len(shown), ALWAYS))
    return View(contract, _newest_first(page), cursor, before or None, shown[0] == newest)


def _newest_first(page: FeedPage) -> tuple[Seen, ...]:
    rows = zip(page.offsets, map(read_json, page.events), strict=True)
    return tuple(_seen(offset, event) for offset, event in rows)[::-1]


def _seen(offset: int, event: Mapping[str, Any]) -> Seen:
    text = partial(_text, event)
    told, absent = what(text("type")), text("tombstonereason")
    return Seen(
        offset, text("id"), told, text("sequencedtime"), text("subject"), text("lgspagency"), absent, pretty(event)
    )


def _text(event: Mapping[str, Any], name: str) -> str:
    """An attribute; one that the reader may not see is none."""
    value = event.get(name)
    return value if isinstance(value, str) else ""

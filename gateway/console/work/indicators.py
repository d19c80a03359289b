"""Indicators for people: figures as the grants of their agency show them, and definitions (`gateway.indicators`).

Invariant: who sees figures may read the feed of their values; the reading is in the log before anything leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.feeds.masks import masks_of
from gateway.indicators import forms, store
from gateway.indicators.definitions import Definition, known_to, parse
from gateway.indicators.figures import Figures, Wanted, figures
from gateway.indicators.store import Defined
from gateway.indicators.values import CONTRACT, Source
from gateway.registry.records import Change
from gateway.registry.seals.sealing import Seal, changing
from security.transparency import entry


class Read(NamedTuple):
    """`at`: when they were read."""

    found: Figures
    contract: CompiledContract
    at: float

    @property
    def areas(self) -> Mapping[str, Words]:
        return {row.code: Words(row.vi, row.en) for row in self.contract.tables["area"].rows}


class Definitions(NamedTuple):
    """All versions by code, and when each was stored."""

    known: Mapping[str, Sequence[Definition]]
    defined: Mapping[tuple[str, int], Defined]
    document: str


def read(desk: Desk, viewer: Viewer, wanted: Wanted) -> Read:
    """Raises what a reader of the feed is refused with, `indicator.unknown`, `indicator.too-many`."""
    _, contract, decision = desk.feeds.judged(viewer, CONTRACT)
    masks, now = masks_of(desk.services.registry.snapshot, None, contract, decision), desk.now()
    hash_id = partial(entry.keyed, desk.hash_key)
    with desk.reading() as connection:
        source = Source(connection, desk.feeds.vault(), contract, hash_id, masks)
        found = figures(source, store.every(connection), wanted, now)
    desk.feeds.note(viewer, CONTRACT, decision, found.span)
    return Read(found, contract, now)


def written(desk: Desk, viewer: Viewer, wanted: Wanted, form: str, states: str | None = None) -> tuple[bytes, str]:
    """The figures in a form of `forms.MEDIA`, and its media type."""
    it, centre = read(desk, viewer, wanted), desk.services.registry.snapshot.centre()
    sender = centre.name.vi if centre is not None else "LGSP"
    return forms.written(forms.in_states(it.found.figures, states), form, it.contract, sender, it.at)


def definitions(desk: Desk) -> Definitions:
    with desk.reading() as connection:
        known = store.every(connection)
        return Definitions(known, store.defined(connection), store.document(known))


def define(desk: Desk, viewer: Viewer, text: str, reason: str) -> list[Change]:
    """Raises `indicator.invalid`, `indicator.no-contract`."""
    desk.follow()
    snapshot = desk.services.registry.snapshot
    wanted = parse(text.replace("\r\n", "\n"), known_to(snapshot.contract(CONTRACT), snapshot.agencies))
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        changes = store.apply(act, wanted, desk.now(), (viewer.actor, reason))
    desk.follow()
    return changes

"""Indicators for people: figures as the grants of their agency show them, and definitions (`gateway.indicators`).

Invariant: who sees figures may read the feed of their values; the reading is in the log before anything leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.feeds.masks import masks_of
from gateway.indicators import forms, store
from gateway.indicators.definitions import Definition, known_to, parse
from gateway.indicators.errors import INDICATOR_NO_CONTRACT
from gateway.indicators.figures import Figures, Wanted, figures
from gateway.indicators.owed import Asking, Owed, State, owed
from gateway.indicators.owed import newest as newest_due
from gateway.indicators.store import Defined
from gateway.indicators.values import CONTRACT, Key, Source
from gateway.indicators.values import read as observed
from gateway.registry.own_feed import CENTRE
from gateway.registry.records import Change
from gateway.registry.seals.sealing import Seal, changing
from security.transparency import entry

_KEPT: Final = 60.0  # seconds for which what is missing is kept
_missing: Final[WeakKeyDictionary[Engine, dict[str | None, tuple[float, list[Owed]]]]] = WeakKeyDictionary()
NEWEST: Final = 2000  # values whose state is looked up for the wall


class Read(NamedTuple):
    """`at`: when they were read."""

    found: Figures
    contract: CompiledContract
    at: float

    @property
    def areas(self) -> Mapping[str, Words]:
        return _areas(self.contract)


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


class Owing(NamedTuple):
    """`scope`: of which agency they are; None: of all. `areas`: names by code."""

    values: tuple[Owed, ...]
    scope: str | None
    areas: Mapping[str, Words]
    at: float


def owing(desk: Desk, viewer: Viewer, wanted: Wanted) -> Owing:
    """What the viewer's agency owes; for the centre's people, and for those who see all, what every agency owes. Raises
    `indicator.too-many`, `indicator.no-contract`.
    """
    contract, now, scope = _contract(desk), desk.now(), scope_of(desk, viewer)
    with desk.reading() as connection:
        asking = Asking(connection, contract, partial(entry.keyed, desk.hash_key), scope)
        found = owed(asking, store.every(connection), wanted, now)
    return Owing(tuple(found), scope, _areas(contract), now)


def missing(desk: Desk, viewer: Viewer) -> list[Owed]:
    """What is owed and was not handed in, as the page of what is owed lists it; looked up once a minute.

    Where that page cannot list so many, the newest values alone.
    """
    scope, now = scope_of(desk, viewer), desk.now()
    kept = _missing.setdefault(desk.services.engine, {})
    if scope not in kept or kept[scope][0] != now // _KEPT:
        try:
            values: Sequence[Owed] = owing(desk, viewer, Wanted.of(now)).values
        except Failure:
            values = newest(desk, viewer)
        kept[scope] = now // _KEPT, [each for each in values if each.state(now) is State.MISSING]
    return kept[scope][1]


def newest(desk: Desk, viewer: Viewer) -> list[Owed]:
    """The newest values that are due, of the agencies that the viewer sees; at most NEWEST."""
    contract = desk.services.registry.snapshot.contract(CONTRACT)
    if contract is None:
        return []
    with desk.reading() as connection:
        asking = Asking(connection, contract, partial(entry.keyed, desk.hash_key), scope_of(desk, viewer))
        return newest_due(asking, store.every(connection), desk.now(), NEWEST)


def values_of(desk: Desk, viewer: Viewer, wanted: Sequence[Owed]) -> Mapping[Key, Decimal | int | None]:
    """The values as the feed shows them to the viewer, logged as a reading; none for somebody who may not read it."""
    keys = [each.key for each in wanted if each.delivered is not None]
    try:
        _, contract, decision = desk.feeds.judged(viewer, CONTRACT)
    except Failure:
        return {}
    masks, hash_id = (
        masks_of(desk.services.registry.snapshot, None, contract, decision),
        partial(entry.keyed, desk.hash_key),
    )
    with desk.reading() as connection:
        found = observed(Source(connection, desk.feeds.vault(), contract, hash_id, masks), keys)
    desk.feeds.note(viewer, CONTRACT, decision, found.span)
    return {key: each[-1].value for key, each in found.values.items()}


def scope_of(desk: Desk, viewer: Viewer) -> str | None:
    """The agency whose things somebody sees; None for the centre's people and for those who see all."""
    own = desk.services.registry.snapshot.agency(viewer.account.agency)
    return None if own is not None and CENTRE in own.roles else viewer.account.scope


def _contract(desk: Desk) -> CompiledContract:
    contract = desk.services.registry.snapshot.contract(CONTRACT)
    if contract is None:
        raise INDICATOR_NO_CONTRACT()
    return contract


def _areas(contract: CompiledContract) -> Mapping[str, Words]:
    return {row.code: Words(row.vi, row.en) for row in contract.tables["area"].rows}


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

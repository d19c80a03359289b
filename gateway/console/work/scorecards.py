"""Scorecards of systems for pages and programs (`gateway.scorecards`).

Whoever sees all, and the centre's own people, see all systems; others see those of their agency.
Figures are computed once for all who ask for the same days, and kept for a minute: `Shown.at` says when.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.roles import Role
from gateway.console.site.desk import Desk
from gateway.registry.records import System
from gateway.scorecards.cards import BadDays, Card, Dates, cards

DAYS: Final = 7  # of a card, if nobody says which
SECONDS: Final = 60.0  # for which figures are kept
_MOST: Final = 8  # different days that are kept


class Shown(NamedTuple):
    dates: Dates
    at: float
    cards: tuple[Card, ...]


@dataclass(slots=True)
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    cards: dict[tuple[Dates, int], tuple[float, Mapping[str, Card]]] = field(default_factory=dict)


_kept: Final[WeakKeyDictionary[Engine, _Kept]] = WeakKeyDictionary()


def every(desk: Desk, viewer: Viewer, first: str = "", last: str = "") -> Shown:
    """The cards that the viewer may see, by agency and system. Raises `console.form`."""
    dates = _dates(desk, first, last)
    at, known = _cards(desk, dates)
    seen = (card for card in known.values() if may_see(desk, viewer, card.system))
    return Shown(dates, at, tuple(sorted(seen, key=lambda card: (card.system.agency, card.system.id))))


def one(desk: Desk, viewer: Viewer, id: str, first: str = "", last: str = "") -> Shown:
    """Raises `console.form` and `console.no-page`."""
    system = desk.services.registry.snapshot.systems.get(id)
    if system is None or not may_see(desk, viewer, system):
        raise CONSOLE_NO_PAGE(path=id[:60])
    dates = _dates(desk, first, last)
    at, known = _cards(desk, dates)
    if id not in known:
        raise CONSOLE_NO_PAGE(path=id[:60])
    return Shown(dates, at, (known[id],))


def _dates(desk: Desk, first: str, last: str) -> Dates:
    try:
        return Dates.of(desk.now(), first, last, days=DAYS)
    except BadDays as bad:
        raise CONSOLE_FORM(field="from, until", why=str(bad)) from None


def may_see(desk: Desk, viewer: Viewer, system: System) -> bool:
    """Whether somebody sees how this system does."""
    account, centre = viewer.account, desk.services.registry.snapshot.centre()
    watches = Role.CENTRE in account.roles and centre is not None and account.agency == centre.code
    return watches or account.scope in (None, system.agency)


def _cards(desk: Desk, dates: Dates) -> tuple[float, Mapping[str, Card]]:
    snapshot, now = desk.services.registry.snapshot, desk.now()
    kept, key = _kept.setdefault(desk.services.engine, _Kept()), (dates, snapshot.revision)
    with kept.lock:
        found = kept.cards.get(key)
        if found is None or not 0 <= now - found[0] < SECONDS:
            with desk.reading() as connection:
                made = cards(connection, snapshot, snapshot.systems.values(), dates, now)
            while len(kept.cards) >= _MOST:
                kept.cards.pop(next(iter(kept.cards)))
            found = kept.cards[key] = now, {card.system.id: card for card in made}
    return found

"""Shows who reads which feed, how far, and how far behind (`gateway.exchange.feed_readers`)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from gateway.console.accounts.records import Viewer
from gateway.exchange.feed_readers import FeedReader, readers

if TYPE_CHECKING:
    from gateway.console.site.desk import Desk

KEPT_SECONDS: Final = 10.0
_REST: Final = 20.0  # times as long as it took: so the first page spends little on it, however many readers there are


def reading(desk: Desk, viewer: Viewer) -> list[FeedReader]:
    """By feed and system; of the viewer's agency alone if that is all he sees."""
    with desk.reading() as connection:
        return readers(connection, desk.services.registry.snapshot, desk.now(), agency=viewer.account.scope)


def far_behind(desk: Desk, scope: str | None) -> tuple[FeedReader, ...]:
    """Readers that have read before and wait too long (`behind_events`, `behind_seconds`), the longest first.

    Counts of all readers are kept for a moment. Who never read has not begun: that is no lag.
    """
    settings = desk.services.settings
    return tuple(
        sorted(
            (
                each
                for each in _kept(desk)
                if scope in (None, each.agency)
                and each.read_at is not None
                and (each.behind > settings.behind_events or each.behind_seconds > settings.behind_seconds)
            ),
            key=lambda each: -each.behind_seconds,
        )
    )


@dataclass(slots=True)
class Kept:
    """The newest counts of one desk."""

    found: list[FeedReader] = field(default_factory=list)
    until: float = 0.0  # by the monotonic clock
    counting: Lock = field(default_factory=Lock)


def _kept(desk: Desk) -> list[FeedReader]:
    kept = desk.reader_counts
    with kept.counting:
        if (began := time.monotonic()) >= kept.until:
            with desk.reading() as connection:
                kept.found = readers(connection, desk.services.registry.snapshot, desk.now())
            ended = time.monotonic()
            kept.until = ended + max(KEPT_SECONDS, _REST * (ended - began))
        return kept.found

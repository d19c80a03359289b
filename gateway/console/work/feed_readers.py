"""Shows who reads which feed, how far, and how far behind (`gateway.exchange.feed_readers`)."""

from __future__ import annotations

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.exchange.feed_readers import FeedReader, readers


def reading(desk: Desk, viewer: Viewer) -> list[FeedReader]:
    """By feed and system; of the viewer's agency alone if that is all he sees."""
    with desk.reading() as connection:
        return readers(connection, desk.services.registry.snapshot, desk.now(), agency=viewer.account.scope)

"""Who reads which feed: how far, and how far behind the newest event."""

from __future__ import annotations

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import feed_readers
from gateway.exchange.feed_readers import MOST_BEHIND


def every(ask: Ask) -> Shown:
    return Shown("readers.html", {"readers": feed_readers.reading(ask.desk, ask.viewer), "most": MOST_BEHIND})


PAGES = (Page("/readers", every, May.SYSTEMS, N_("Readers of feeds"), Menu.OPERATION),)

"""Who reads which feed: how far, and how far behind the newest event."""

from __future__ import annotations

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import feed_readers
from gateway.exchange.feed_readers import MOST_BEHIND


def every(ask: Ask) -> Shown:
    found, systems = feed_readers.reading(ask.desk, ask.viewer), ask.desk.services.registry.snapshot.systems
    titles = {id: each.title.of(ask.language) for id, each in systems.items()}
    return Shown("readers.html", {"readers": found, "titles": titles, "most": MOST_BEHIND})


PAGES = (Page("/readers", every, May.SYSTEMS, N_("Readers of feeds"), Menu.OPERATION),)

"""The wall view: areas, open alerts, overdue handlings and systems that are not well, for a large screen."""

from __future__ import annotations

from functools import partial
from typing import Final

from gateway.console.pages.indicators import exact
from gateway.console.roles import May
from gateway.console.site.drawing import Tile, tile_map
from gateway.console.site.page import N_, Ask, Live, Menu, Page, Shown
from gateway.console.work import wall

LINKS: Final = {  # the list behind each number, and who may open it
    "late": ("/console/handlings?list=overdue", May.SEARCH),
    "alerts": (f"/console/handlings?contract={wall.ALERTS}", May.SEARCH),
    "reports": ("/console/handlings", May.SEARCH),
    "systems": ("/console/watch", May.SYSTEMS),
    "indicators": ("/console/indicators/owed?state=missing", May.SYSTEMS),
    "cases": ("/console/cases", May.CASES),
}
PAUSE: Final = 5.0  # seconds between two looks for a page that is open


def shown(ask: Ask) -> Shown:
    found = wall.wall(ask.desk, ask.viewer)
    tiles = [
        Tile(
            name=each.name.of(ask.language),
            column=each.place.column,
            row=each.place.row,
            number=each.open,
            late=each.late,
            alerts=each.alerts,
        )
        for each in found.tiles
    ]
    links = {name: address for name, (address, may) in LINKS.items() if may in ask.viewer.account.may}
    values = {"it": found, "map": tile_map(tiles), "exact": partial(exact, ask.language), "links": links}
    return Shown("wall.html", values)


def events(ask: Ask) -> Live:
    return Live(("wall", ask.viewer.account.id), lambda: wall.mark(ask.desk, ask.viewer), PAUSE)


PAGES = (
    Page("/wall", shown, May.SEARCH, N_("Wall view"), Menu.HOME),
    Page("/wall/events", events, May.SEARCH),
)

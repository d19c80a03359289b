"""The parts of which pages are made, each shown once."""

from __future__ import annotations

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Page, Shown

_DAYS = (3.0, 5.0, 2.0, 8.0, 13.0, 9.0, 11.0)


def design(ask: Ask) -> Shown:
    return Shown("design.html", {"days": _DAYS, "rows": [("H14.0", 12.0), ("H14.7", 5.0), ("H14.9", 2.0)]})


PAGES = (Page("/design", design, May.ENTER, N_("Design of these pages")),)

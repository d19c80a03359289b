"""Scorecards: how each system did, and how the score of one is counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import scorecards
from gateway.scorecards.figures import DAY
from gateway.scorecards.periods import name_of
from gateway.scorecards.scoring import weights

SPANS: Final = (7, 30, 90)  # days that a page offers
DRAWN: Final = 31  # days whose hours are drawn


def every(ask: Ask) -> Shown:
    found = scorecards.every(ask.desk, ask.viewer, ask.query.get("from", ""), ask.query.get("until", ""))
    return Shown("scorecards.html", {"it": found, "cards": found.cards, **_spans(found)})


def one(ask: Ask) -> Shown:
    given = (ask.query.get("from", ""), ask.query.get("until", ""))
    found = scorecards.one(ask.desk, ask.viewer, ask.path["system"], *given)
    values = {"it": found, "card": found.cards[0], "drawn": found.cards[0].days[-DRAWN:], "period": name_of}
    values["late_days"] = round(weights().late / DAY)
    return Shown("scorecard.html", {**values, **_spans(found)})


def _spans(found: scorecards.Shown) -> dict[str, Any]:
    """The days that a link leads to, by their number."""
    last = found.dates.last
    return {"spans": {number: (last - timedelta(days=number - 1)).isoformat() for number in SPANS}}


PAGES = (
    Page("/scorecards", every, May.SYSTEMS, N_("Scorecards"), Menu.OPERATION),
    Page("/scorecards/{system}", one, May.SYSTEMS, N_("A scorecard")),
)

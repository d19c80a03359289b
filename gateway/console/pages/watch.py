"""The watch: alarms about systems, open ones first; and that somebody has taken notice of one."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Shown
from gateway.console.work import watch

HERE: Final = "/console/watch"
ENDED: Final = 50  # that a page shows


def every(ask: Ask) -> Shown:
    found = watch.every(ask.desk, ask.viewer)
    return Shown("watch.html", {"it": found, "ended": found.ended[:ENDED]})


def acknowledge(ask: Ask) -> Moved:
    watch.acknowledge(ask.desk, ask.viewer, ask.path["alarm"], ask.reason())
    return Moved(HERE, "alarm-acknowledged")


def live(ask: Ask) -> Live:
    return Live(("watch",), lambda: watch.mark(ask.desk), pause=3.0)


PAGES = (
    Page("/watch", every, May.SYSTEMS, N_("Watch"), Menu.OPERATION),
    Page("/watch/events", live, May.SYSTEMS),
    Page("/watch/{alarm}/acknowledge", acknowledge, May.ALARMS, method="POST", operation="acknowledgeAlarm"),
)

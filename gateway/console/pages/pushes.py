"""Feeds by webhook: who gets one, what waits; one subscription with its tries, and what an operator decides."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import pushes
from gateway.push.records import Cause, State

HERE: Final = "/console/subscriptions"


def every(ask: Ask) -> Shown:
    return Shown("pushes.html", {"subscriptions": pushes.every(ask.desk)})


def one(ask: Ask) -> Shown:
    found = pushes.one(ask.desk, ask.path["subscription"])
    state = found.seen.subscription.state
    acts = {State.PAUSED: ["resume", "end"], State.ENDED: []}.get(State(state), ["pause", "end"])
    if found.seen.altered:
        acts = [] if state == State.ENDED else ["end"]
    dead = state == State.PAUSED and found.seen.subscription.cause == Cause.DEAD
    return Shown("push.html", {"it": found, "acts": acts, "dead": dead})


def decide(ask: Ask) -> Moved:
    id, how = ask.path["subscription"], ask.path["how"]
    pushes.act(ask.desk, ask.viewer, id, how, ask.reason())
    return Moved(f"{HERE}/{id}", f"push-{how}")


PAGES = (
    Page("/subscriptions", every, May.QUEUE, N_("Feeds by webhook"), Menu.OPERATION),
    Page("/subscriptions/{subscription}", one, May.QUEUE, N_("A subscription to a feed")),
    Page("/subscriptions/{subscription}/{how}", decide, May.SETTLE, method="POST", operation="decidePush"),
)

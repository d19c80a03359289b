"""Finds subscriptions to feeds that deliver nothing: paused by the gateway, or changed in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from gateway.doctor.findings import Finding, finding
from gateway.push import operating
from gateway.push.records import Cause, State
from gateway.settings import Settings

_NAMED: Final = 20


def subscriptions(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    """The connection must show one moment."""
    found = operating.every(connection, operating.hashing_if_readable(settings), now, limit=1000)
    live = [each for each in found if each.subscription.state != State.ENDED]
    altered = [each.subscription.id for each in live if each.altered]
    if altered:
        yield finding("push.altered", subscriptions=", ".join(altered[:_NAMED]), count=len(altered))
    for each in live:
        it = each.subscription
        if it.state == State.PAUSED and it.cause == Cause.DEAD:
            yield finding(
                "push.paused",
                subscription=it.id,
                system=it.system,
                feed=it.contract,
                waiting=each.waiting.events,
                hours=round(each.lag / 3600, 1),
                failure=it.failure or "—",
            )

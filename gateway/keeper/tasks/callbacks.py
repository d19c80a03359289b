"""Calls systems back whose asynchronous transfers have ended (`gateway.delivery.callbacks`)."""

from __future__ import annotations

from gateway.delivery.breaker import rules_for
from gateway.delivery.callbacks import Callbacks
from gateway.keeper.periodic import KeeperServices, PeriodicTask


def _callbacks(services: KeeperServices) -> Callbacks | None:
    posts = services.forwarder.posts
    if posts is None:
        return None
    return Callbacks(
        services.engine,
        services.lock,
        services.registry,
        posts,
        services.clock,
        rules=rules_for(services.settings.kind),
    )


TASK = PeriodicTask("systems are not called back", _callbacks, 0.5)

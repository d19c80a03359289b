"""Posts to those who operate the gateway what stands (`gateway.push.operators`)."""

from __future__ import annotations

from functools import partial

from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keys.keyring import Keyring
from gateway.push.operators import ANYWHERE, Posting
from gateway.push.peers import receivers
from gateway.push.posting import Limits, Poster
from gateway.watch import operators


def _posting(services: KeeperServices) -> Posting | None:
    settings = services.settings
    if not settings.alarm_url:
        return None
    poster = Poster(receivers(services.peers, Keyring(settings), settings, ANYWHERE), ANYWHERE)
    services.closing.push_async_callback(poster.close)
    return Posting(
        engine=services.engine,
        lock=services.lock,
        registry=services.registry,
        poster=poster,
        hash_id=services.hash_id,
        urls=operators.receivers(settings),
        body=partial(operators.body, settings),
        clock=services.clock,
        limits=Limits(connect=min(5.0, settings.push_seconds), total=settings.push_seconds),
    )


TASK = PeriodicTask("operators are not told by webhook", _posting, 2.0)

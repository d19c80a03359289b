"""Delivers feeds to their subscribers by webhook (`gateway.push.sending`)."""

from __future__ import annotations

from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keys.keyring import Keyring
from gateway.push.addresses import Networks
from gateway.push.batches import Reading
from gateway.push.peers import receivers
from gateway.push.posting import Limits, Poster
from gateway.push.sending import Pusher


def _pusher(services: KeeperServices) -> Pusher:
    settings = services.settings
    keyring, networks = Keyring(settings), Networks(settings.push_networks)
    key = keyring.signing_key()
    pusher = Pusher(
        engine=services.engine,
        lock=services.lock,
        journal=services.journal,
        registry=services.registry,
        reading=Reading(services.engine, services.vault, key),
        poster=Poster(receivers(services.peers, keyring, settings, networks), networks),
        hash_id=services.hash_id,
        key=key,
        clock=services.clock,
        dead_seconds=settings.push_dead_seconds,
        mails=bool(settings.mail_server),
        limits=Limits(connect=min(5.0, settings.push_seconds), total=settings.push_seconds),
    )
    services.closing.push_async_callback(pusher.finish)
    return pusher


TASK = PeriodicTask("feeds are not pushed", _pusher)

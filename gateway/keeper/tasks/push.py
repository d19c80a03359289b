"""Delivers feeds to their subscribers by webhook (`gateway.push.sending`)."""

from __future__ import annotations

from typing import Final

from adapters.http import client_context
from gateway.journal.wakes import FEED
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keys.keyring import Keyring
from gateway.push.addresses import Networks
from gateway.push.batches import Reading
from gateway.push.posting import Limits, Poster
from gateway.push.sending import Pusher

SYSTEM: Final = "system"  # in place of a file: the authorities of the operating system


def _pusher(services: KeeperServices) -> Pusher:
    settings, keyring = services.settings, Keyring(services.settings)
    tls = services.tls
    if settings.push_anchors:
        tls = client_context(
            keyring.trust_anchors, keyring.client_certificate, keyring.client_key, keyring.at_rest.password
        )
        if settings.push_anchors == SYSTEM:
            tls.load_default_certs()
        else:
            tls.load_verify_locations(settings.push_anchors)
    key = keyring.signing_key()
    pusher = Pusher(
        engine=services.engine,
        lock=services.lock,
        journal=services.journal,
        registry=services.registry,
        reading=Reading(services.engine, services.vault, key),
        poster=Poster(tls, Networks(settings.push_networks)),
        hash_id=services.hash_id,
        key=key,
        clock=services.clock,
        dead_seconds=settings.push_dead_seconds,
        mails=bool(settings.mail_server),
        limits=Limits(connect=min(5.0, settings.push_seconds), total=settings.push_seconds),
    )
    services.closing.push_async_callback(pusher.finish)
    return pusher


TASK = PeriodicTask("feeds are not pushed", _pusher, wakes=FEED)

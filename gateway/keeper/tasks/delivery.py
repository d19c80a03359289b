"""Delivers the messages in the queue (`gateway.delivery.worker`)."""

from __future__ import annotations

from gateway.delivery.worker import TIMEOUT, Deliverer
from gateway.journal.wakes import QUEUE
from gateway.keeper.periodic import KeeperServices, PeriodicTask


def _deliverer(services: KeeperServices) -> Deliverer:
    deliverer = Deliverer(
        services.engine,
        services.lock,
        services.journal,
        services.vault,
        services.registry,
        services.forwarder,
        services.process_id,
        services.clock,
        timeout=max(TIMEOUT, services.settings.provider_seconds),
    )
    services.closing.push_async_callback(deliverer.finish)
    return deliverer


TASK = PeriodicTask("the queue is not delivered", _deliverer, wakes=QUEUE)

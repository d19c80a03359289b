"""Destroys the vault's keys whose retention has ended (`gateway.keeper.retention`)."""

from __future__ import annotations

from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keeper.retention.destruction import Retention


def _retention(services: KeeperServices) -> Retention:
    settings = services.settings
    return Retention(
        services.engine,
        services.lock,
        services.vault,
        services.clock,
        seconds=settings.retention_seconds,
        copy_days=settings.vault_backup_days,
    )


TASK = PeriodicTask("the vault's retention is not kept", _retention)

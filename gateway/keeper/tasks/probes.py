"""Looks whether each component system takes connections (`gateway.watch.probing`)."""

from __future__ import annotations

from adapters.opening import ConnectionProbe
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.watch.probing import Probing


def _probing(services: KeeperServices) -> Probing:
    return Probing(
        engine=services.engine,
        lock=services.lock,
        registry=services.registry,
        probe=ConnectionProbe(services.peers),
        clock=services.clock,
        hold=services.settings.alarm_seconds,
    )


TASK = PeriodicTask("systems are not probed", _probing, lambda settings: settings.probe_seconds)

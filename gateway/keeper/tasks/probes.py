"""Looks whether each component system takes connections (`gateway.watch.probing`)."""

from __future__ import annotations

from adapters.http import ConnectionProbe
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.watch.probing import Probing


def _probing(services: KeeperServices) -> Probing:
    probe = ConnectionProbe(services.tls)
    return Probing(services.engine, services.lock, services.registry, probe, services.clock)


TASK = PeriodicTask("systems are not probed", _probing, lambda settings: settings.probe_seconds)

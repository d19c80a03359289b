"""Raises alarms about systems, and has their contacts told (`gateway.watch.watching`)."""

from __future__ import annotations

from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.watch.late import LateData
from gateway.watch.watching import Watching


def _watching(services: KeeperServices) -> Watching:
    return Watching(
        engine=services.engine,
        lock=services.lock,
        registry=services.registry,
        clock=services.clock,
        queue_seconds=services.settings.alarm_queue_seconds,
        late=LateData(services.clock),
        mails=bool(services.settings.mail_server),
    )


TASK = PeriodicTask("nobody is told what is wrong with systems", _watching, 10.0)

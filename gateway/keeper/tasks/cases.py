"""Reminds receivers of cases, and tells agencies of suspensions (`gateway.cases`)."""

from __future__ import annotations

from gateway.cases.acting import Acting
from gateway.cases.reminding import Reminding
from gateway.keeper.periodic import KeeperServices, PeriodicTask


def _reminding(services: KeeperServices) -> Reminding:
    acting = Acting(
        engine=services.engine,
        vault=services.vault,
        snapshot=services.registry.snapshot,
        clock=services.clock,
        mails=bool(services.settings.mail_server),
        lock=services.lock,
    )
    return Reminding(acting, services.registry)


TASK = PeriodicTask("nobody is reminded of cases", _reminding, 5.0)

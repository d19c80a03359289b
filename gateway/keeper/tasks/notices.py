"""Tells the contacts of systems by e-mail (`gateway.notices`)."""

from __future__ import annotations

import logging
from typing import Final

from contracts.base.errors import Failure
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.notices.mail import MailServer
from gateway.notices.sending import Mailing
from gateway.watch.operators import receivers

_logger: Final = logging.getLogger("lgsp.notices")


def _mailing(services: KeeperServices) -> Mailing | None:
    try:
        server = MailServer.of(services.settings)
    except Failure as failure:  # the doctor names it; nothing else waits for mail
        _logger.error("%s", failure)
        return None
    if server is None:
        return None
    return Mailing(
        engine=services.engine,
        lock=services.lock,
        registry=services.registry,
        server=server,
        name=services.settings.name,
        clock=services.clock,
        operators=receivers(services.settings),
    )


TASK = PeriodicTask("contacts are not told by e-mail", _mailing, 2.0)

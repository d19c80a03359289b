"""Has the newest checkpoint time-stamped by the authority of the settings (`gateway.keeper.witnessing.stamps`)."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from gateway.audit.witnessing.admission import STAMPS
from gateway.audit.witnessing.config import anchors_of
from gateway.audit.witnessing.verify import newest_stamped
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keeper.witnessing.coverage import log_key, tracker_of
from gateway.keeper.witnessing.post import trusting
from gateway.keeper.witnessing.stamps import Authority, Stamps
from gateway.keys.keyring import Keyring


def _stamps(services: KeeperServices) -> Stamps | None:
    settings = services.settings
    anchors = anchors_of(settings)
    if not anchors:
        return None
    key = log_key(settings)

    def prove(connection: Connection, top: int, now: float) -> tuple[int, float]:
        return newest_stamped(connection, key, top, now, anchors)

    tracker = tracker_of(services, STAMPS, prove)
    tls = trusting(Keyring(settings).trust_anchors)
    authority = Authority(services.web, settings.stamp_url, anchors, time.time, tls)
    return Stamps(tracker, authority, settings.stamp_seconds)


TASK = PeriodicTask("checkpoints are not time-stamped", _stamps, lambda settings: min(1.0, settings.stamp_seconds / 8))

"""Has the newest checkpoint cosigned by the witnesses of the settings (`gateway.keeper.witnessing.witnesses`)."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.audit.witnessing.admission import WITNESSES, patience
from gateway.audit.witnessing.config import witnesses_of
from gateway.audit.witnessing.verify import newest_cosigned
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keeper.witnessing.coverage import log_key, tracker_of
from gateway.keeper.witnessing.post import trusting
from gateway.keeper.witnessing.witnesses import Witnesses
from gateway.keys.keyring import Keyring


def _witnesses(services: KeeperServices) -> Witnesses | None:
    settings = services.settings
    witnesses = witnesses_of(settings)
    if not witnesses:
        return None
    key, known, quorum = log_key(settings), [each.key for each in witnesses], settings.witness_quorum

    def prove(connection: Connection, top: int, now: float) -> tuple[int, float]:
        return newest_cosigned(connection, key, top, now, known, quorum)

    tracker = tracker_of(services, WITNESSES, prove)
    tls = trusting(Keyring(settings).trust_anchors)
    return Witnesses(tracker, services.web, witnesses, quorum, settings.cosigned_file, tls)


TASK = PeriodicTask("witnesses are not asked", _witnesses, lambda settings: min(1.0, patience(settings, WITNESSES) / 8))

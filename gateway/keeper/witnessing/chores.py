"""The chores of the settings, put together: none where every policy is `off`."""

from __future__ import annotations

import time

import aiohttp
from sqlalchemy import Connection, Engine

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.witnessing.admission import STAMPS, WITNESSES, AdmissionDeadline, closing, patience
from gateway.audit.witnessing.config import anchors_of, witnesses_of
from gateway.audit.witnessing.verify import newest_cosigned, newest_stamped
from gateway.journal.filelock import FileLock
from gateway.keeper.witnessing.coverage import CoverageTracker
from gateway.keeper.witnessing.post import trusting
from gateway.keeper.witnessing.stamps import Authority, Stamps
from gateway.keeper.witnessing.witnesses import Witnesses
from gateway.keys.keyring import Keyring
from gateway.settings import BadSetting, Settings
from security.transparency.checkpoint import NoteKey


def vouching_chores(
    settings: Settings, engine: Engine, lock: FileLock | None, session: aiohttp.ClientSession
) -> list[tuple[str, Witnesses | Stamps]]:
    """With the words for when one cannot be done; `BadSetting` where the settings will not do."""
    witnesses, anchors = witnesses_of(settings), anchors_of(settings)
    if not witnesses and not anchors:
        return []
    licence, tls = (
        AdmissionDeadline(settings.licence_file, closing(settings)),
        trusting(Keyring(settings).trust_anchors),
    )
    found: list[tuple[str, Witnesses | Stamps]] = []
    shown = Keyring(settings).log_vkey
    try:
        key = NoteKey.from_text(shown.read_text("ascii").strip())
    except (OSError, ValueError) as trouble:
        raise BadSetting(f"{shown}, the log's public key, cannot be used: {trouble}") from None
    file = CheckpointFile(settings.checkpoint_file)
    known, needed = [each.key for each in witnesses], settings.witness_quorum

    def cosigned(connection: Connection, top: int, now: float) -> tuple[int, float]:
        return newest_cosigned(connection, key, top, now, known, needed)

    def stamped(connection: Connection, top: int, now: float) -> tuple[int, float]:
        return newest_stamped(connection, key, top, now, anchors)

    if witnesses:
        spell = CoverageTracker(
            WITNESSES, patience(settings, WITNESSES), engine, lock, licence, time.time, cosigned, file
        )
        chore = Witnesses(spell, session, witnesses, settings.witness_quorum, settings.cosigned_file, tls)
        found.append(("witnesses are not asked", chore))
    if anchors:
        spell = CoverageTracker(STAMPS, patience(settings, STAMPS), engine, lock, licence, time.time, stamped, file)
        authority = Authority(session, settings.stamp_url, anchors, time.time, tls)
        found.append(("checkpoints are not time-stamped", Stamps(spell, authority, settings.stamp_seconds)))
    return found

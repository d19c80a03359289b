"""What a reader can tell of registry rows that differ from the log. An auditor's account has no key of the seals."""

from __future__ import annotations

from sqlalchemy import Connection

from contracts.base.errors import Failure
from gateway.registry.seals.rows import Misfit, digest_of, misfits, rows
from gateway.registry.seals.sealed import KEY, Sealed
from gateway.registry.seals.sealing import Seal, stands
from gateway.settings import Settings


def differing(connection: Connection, settings: Settings) -> list[Misfit]:
    """The misfits; without the key, those that a seal of one's own would hide. The connection must show one moment."""
    try:
        seal = Seal.of(settings)
    except (OSError, Failure):
        return _without_key(connection)
    return seal.look(connection)[0]


def _without_key(connection: Connection) -> list[Misfit]:
    try:
        sealed = Sealed.read(connection)
    except ValueError:
        return [Misfit("instance", KEY, "altered")]
    if sealed is None:  # of an older release, or restored without its key
        return []
    if digest_of(sealed.rows) != sealed.digest or not stands(connection, sealed):
        return [Misfit("instance", KEY, "altered")]
    return misfits(sealed.rows, rows(connection))

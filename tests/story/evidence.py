"""The evidence of an encrypted request as the vault of a running instance holds it."""

from __future__ import annotations

from examples.story import World
from gateway.journal.database import open_engine
from gateway.vault.vault import Vault


def evidence(world: World, transfer: str) -> tuple[bytes, bytes]:
    """What travelled, and what was opened of it."""
    engine = open_engine(f"sqlite:///{world.data / 'lgsp.db'}")
    vault = Vault(world.data / "keys" / "vault")
    with engine.connect() as connection:
        travelled, opened = (vault.open(connection, f"{transfer}/{part}") for part in ("request", "request-opened"))
    engine.dispose()
    return travelled, opened

"""When a tenant of a sandbox reset its data last: what simulated systems were told before is gone for it.

A reset is a row of `instance`, one for each tenant. The simulation looks at it for each question of a tenant, so it
holds at once.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine

from gateway.journal.values import keep, value_of

PREFIX: Final = "sandbox.reset."


def put(connection: Connection, agency: str, now: float) -> None:
    keep(connection, PREFIX + agency, repr(now))


def since(engine: Engine, agency: str) -> float:
    """Unix seconds; 0 for a tenant that never reset anything."""
    with engine.connect() as connection:
        value = value_of(connection, PREFIX + agency)
    return 0.0 if value is None else float(value)

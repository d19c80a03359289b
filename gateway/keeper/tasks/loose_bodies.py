"""Removes opaque bodies that no document named in time, and those that did not come as a whole.

An upload in parts has as long to become whole as a body has to be named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, select

from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keeper.retention.rows import first_id
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.vault import opaque_bodies as bodies
from gateway.vault import partial_bodies

AT_ONCE: Final = 50


@dataclass(slots=True)
class LooseBodies:
    """`hours`: how long a body waits for a document."""

    engine: Engine
    lock: FileLock
    clock: Callable[[], float]
    hours: float

    async def run_once(self, lease: Lease) -> int:
        return await asyncio.to_thread(self._remove, lease)

    def _remove(self, lease: Lease) -> int:
        table, use, vault, now = tables.opaque_body.c, tables.opaque_use.c, tables.vault.c, self.clock()
        whole = select(vault.id).where(vault.id == table.id + f"/{bodies.PART}").exists()
        begun = select(vault.id).where(vault.id == table.id + f"/{partial_bodies.PART}").exists()
        broken = (table.id < first_id(now - bodies.GRACE)) & ~whole & ~begun
        over = (table.id < bodies.first_waiting(now, self.hours)) | broken
        loose = select(table.id, table.size, begun.label("begun")).where(
            over, ~select(use.body).where(use.body == table.id).exists()
        )
        with self.engine.connect() as connection:
            found = connection.execute(loose.order_by(table.id).limit(AT_ONCE)).all()

        def check(connection: Connection) -> None:
            leases.check(connection, lease)

        for body, size, in_parts in found:
            if in_parts:
                partial_bodies.clear(self.engine, body, whole=False, lock=self.lock, check=check)
                continue
            note = entries.note(bodies.REMOVED, {"size": size}, now, about=body)
            bodies.remove(self.engine, self.lock, body, size, check, lambda note=note: note)  # type: ignore[misc]
        return len(found)


def _loose(services: KeeperServices) -> LooseBodies:
    return LooseBodies(services.engine, services.lock, services.clock, services.settings.opaque_body_hours)


TASK = PeriodicTask("opaque bodies that no document names are not removed", _loose, 600.0)

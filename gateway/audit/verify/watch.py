"""Follows a log: each new checkpoint is proved to continue the last one, which is kept in the watcher's folder.

The monitor is that of the client kit (`gateway.client.audit.checkpoint_monitor`), over the tables of an instance or
HTTP.

Invariant: a step is reported only after its checkpoint was proved and kept. A log that removed entries raises
`LogObjection` with both notes kept as evidence, now and at every later look.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Connection, select

from contracts.base.errors import Theirs
from gateway.audit.log import proofs
from gateway.audit.verify.remote import Remote
from gateway.audit.verify.sources import NotYet
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.journal.schema import tables

_PAGE: Final = 512


@dataclass(frozen=True, slots=True)
class Step:
    """From one kept checkpoint to the next.

    `before` is the size of the last one, None at the first. `pending` counts checkpoints that are not proved yet.
    """

    before: int | None
    size: int
    root: bytes
    pending: int


class Log(Protocol):
    """A log to follow."""

    def newest(self) -> str:
        """The newest note; raises `NotYet`, `NoSource` or `NoConnection` if there is none."""
        ...

    def see(self, monitor: CheckpointMonitor, note: str) -> None: ...
    def entries(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Index and value of each readable entry."""
        ...


class DatabaseLog:
    """The log of an instance."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def newest(self) -> str:
        top = proofs.newest(self._connection)
        self._connection.rollback()
        if top is None:
            raise NotYet("the log has no checkpoint yet")
        return top[1]

    def see(self, monitor: CheckpointMonitor, note: str) -> None:
        asyncio.run(monitor.see(note, self._consistency))

    async def _consistency(self, older: int, newer: int) -> Sequence[bytes]:
        try:
            return proofs.consistency(self._connection, older, newer).hashes
        except Theirs:
            raise LookupError(newer) from None
        finally:
            self._connection.rollback()

    def entries(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        table = tables.log_entry.c
        for first in range(start, stop, _PAGE):
            wanted = (
                select(table.idx, table.entry)
                .where(table.idx >= first, table.idx < min(stop, first + _PAGE))
                .order_by(table.idx)
            )
            rows = self._connection.execute(wanted).all()
            self._connection.rollback()
            for idx, entry in rows:
                yield int(idx), json.loads(bytes(entry))


class RemoteLog:
    """The log of a gateway over HTTP: only its growth, as entries are not public."""

    def __init__(self, remote: Remote) -> None:
        self._remote: Final = remote

    def newest(self) -> str:
        return self._remote.checkpoint()

    def see(self, monitor: CheckpointMonitor, note: str) -> None:
        self._remote.run(monitor.see(note, self._remote.consistency))

    def entries(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        yield from ()


def look(log: Log, monitor: CheckpointMonitor) -> Step | None:
    """Looks once; None if nothing is new."""
    before, waiting = monitor.kept, len(monitor.pending)
    log.see(monitor, log.newest())
    kept, pending = monitor.kept, len(monitor.pending)
    if kept is None or (before is not None and kept.size == before.size and pending == waiting):
        return None
    return Step(None if before is None else before.size, kept.size, kept.root, pending)

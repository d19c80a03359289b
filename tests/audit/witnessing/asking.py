"""Witnesses for tests: honest ones (the small witness itself), and ones that answer what a test likes."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import select

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.witnessing.admission import WITNESSES, AdmissionDeadline
from gateway.audit.witnessing.config import Witness
from gateway.audit.witnessing.verify import newest_cosigned
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.keeper.witnessing.coverage import CoverageTracker
from gateway.keeper.witnessing.witnesses import Witnesses
from gateway.witness.judge import Judge
from gateway.witness.server import Server
from gateway.witness.state import Folder
from security.transparency.checkpoint import NoteKey

Clock = Callable[[], float]


@dataclass
class Honest:
    folder: Folder
    judge: Judge
    witness: Witness


@asynccontextmanager
async def honest(
    folder: Path, name: str, *vkeys: str, clock: Clock = time.time, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Honest]:
    place = Folder(folder)
    key = place.make_key(name) if not place.key_file.exists() else place.key()[0]
    for vkey in vkeys:
        place.add_log(vkey)
    judge = Judge(place, clock)
    server = Server(judge)
    port = await server.open("127.0.0.1", 0, tls)
    try:
        yield Honest(place, judge, Witness(f"http{'s' if tls is not None else ''}://127.0.0.1:{port}", key))
    finally:
        await server.close()


@asynccontextmanager
async def answering(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Asking:
    """The keeper's task over a log, whose monotonic clock a test can move."""

    log: Any
    session: aiohttp.ClientSession
    witnesses: Sequence[Witness]
    needed: int = 1
    patience: float = 60.0
    closing: frozenset[str] = frozenset({WITNESSES})
    clock: Clock = time.time
    moved: float = 0.0
    vkey: str = ""
    task: Witnesses = field(init=False)

    def __post_init__(self) -> None:
        self.vkey = self.vkey or self.log.key.vkey
        self.begin()

    def begin(self) -> None:
        """As a keeper that has just started: with nothing in memory."""
        engine, folder = self.log.engine, self.log.folder / "log"
        tracker = CoverageTracker(
            WITNESSES,
            self.patience,
            engine,
            lock_of(engine),
            AdmissionDeadline(folder / "licence", self.closing),
            self.clock,
            self._prove,
            CheckpointFile(folder / "checkpoint"),
        )
        self.task = Witnesses(
            tracker,
            self.session,
            self.witnesses,
            self.needed,
            folder / "cosigned",
            monotonic=lambda: time.monotonic() + self.moved,
        )

    def _prove(self, connection: Any, top: int, now: float) -> tuple[int, float]:
        return newest_cosigned(
            connection, NoteKey.from_text(self.vkey), top, now, [each.key for each in self.witnesses], self.needed
        )

    async def ask(self, lease: Any = None) -> dict[str, str]:
        """A round, however short the last one is ago; what is wrong with whom."""
        self.moved += 100.0
        await self.task.run_once(lease or self.log.lease)
        return dict(self.task.tracker.now.trouble or {})

    @property
    def file(self) -> Path:
        return Path(self.log.folder / "log" / "cosigned")

    def kept(self) -> list[tuple[int, str]]:
        with self.log.engine.connect() as connection:
            return [
                (row.size, row.note)
                for row in connection.execute(select(tables.cosigned).order_by(tables.cosigned.c.size))
            ]

    def noted(self) -> list[str]:
        """What the log was told, in order."""
        found: list[str] = []
        with self.log.engine.connect() as connection:
            for table, order in (
                (tables.log_entry, tables.log_entry.c.idx),
                (tables.log_pending, tables.log_pending.c.id),
            ):
                rows = connection.execute(select(table.c.phase, table.c.entry).order_by(order))
                found += [
                    row.entry.decode() for row in rows if row.phase in ("unwitnessed", "witnessed", "witness-objection")
                ]
        return found

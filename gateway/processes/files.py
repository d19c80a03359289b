"""The files worker: takes up what systems drop into their folders, one file after the other.

It is a process of its own, since it unpacks foreign bytes. It holds neither the log key nor a listener.

Theory of operation
0. Of several machines one works in a folder: its claim is in the database (`gateway.machines.claims`).
1. A settled file is claimed: one rename into work/, under the id of its future transfer.
2. It is read, decoded and passed through the exchange like any call: grant, log entries, evidence, feed.
3. Its result is written, then the file is moved there.
4. A process that dies leaves files in work/. Its successor takes them up under the same id. The database says how
   far each came, so nothing is lost or delivered twice. A report is made again from the same bytes.
5. Before a file is parsed, `in_hand` notes it. A file in hand at two deaths goes to quarantine/, unread.
   A process whose loop hangs for SILENT_SECONDS ends itself, so a file that never finishes counts too.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import uvloop
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.files import Claimed, Folder, TooLarge
from adapters.model import DropFolder
from contracts.base.errors import Failure
from contracts.base.ids import new_id
from gateway import hardening
from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.doors.files.dropped import NotNow, OneFile, Recorded, look_up
from gateway.doors.files.errors import FILE_TOO_LARGE, FILE_UNREADABLE
from gateway.doors.files.in_hand import MOST_DEATHS, InHand
from gateway.doors.files.report import reports
from gateway.exchange.exchange import Exchange
from gateway.journal.database import open_engine
from gateway.journal.limits import for_work, unavailable
from gateway.machines.claims import DropClaims
from gateway.machines.records import name_of
from gateway.processes import child
from gateway.processes.runtime import Runtime
from gateway.processes.table import Inherited
from gateway.registry.records import System
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.settings import Settings
from gateway.signals import lines, meters, spans

LOOK_SECONDS: Final = 0.5
TROUBLE_SECONDS: Final = 5.0
MOST_SECONDS: Final = 300.0
SILENT_SECONDS: Final = MOST_SECONDS  # the largest file that the limits allow is read in a tenth of this time
log = logging.getLogger("lgsp.files")


class Files:
    """Works through the folders of all registered systems."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        exchange: Exchange,
        settings: Settings,
        checkpoint: Callable[[], str],
        *,
        claims: DropClaims | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`claims`: where several machines may work in one folder; None: there is one machine."""
        self._claims = claims
        self._engine, self._registry, self._exchange, self._settings = engine, registry, exchange, settings
        self._checkpoint, self._monotonic = checkpoint, monotonic
        self._folders: dict[str, Folder] = {}
        self._waits: dict[str, tuple[float, float]] = {}  # seconds to wait, and until when
        self._in_hand = InHand(settings.in_hand_file, exchange.clock)
        self._stopping = False

    def stop(self) -> None:
        """Begin no further file. The process now ends in order, so the file in hand is not blamed for its end."""
        self._stopping = True
        with suppress(OSError):
            self._in_hand.let_go()

    async def look(self) -> int:
        """Take up the files that are there now. Returns how many were finished."""
        snapshot, done = self._registry.snapshot, 0
        if snapshot.held_until > self._exchange.clock():
            return 0
        for system in snapshot.systems.values():
            if system.drop is None or self._rests(system.drop.folder) or self._in_hand.rests(system.drop.folder):
                continue
            try:
                done += await self._work(snapshot, system, system.drop)
                self._waits.pop(system.drop.folder, None)
            except (NotNow, OSError, Failure, SQLAlchemyError) as trouble:
                self._rest(system.drop.folder, trouble)
                if (
                    isinstance(trouble, OSError) and system.drop.folder in self._folders
                ):  # it may have been moved away and created again
                    self._folders.pop(system.drop.folder).close()
        return done

    async def leave(self) -> int:
        """Let other machines work in the folders. Returns 0: no file was finished."""
        if self._claims is not None:
            await asyncio.to_thread(self._claims.release)
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()
        return 0

    def close(self) -> None:
        for folder in self._folders.values():
            folder.close()

    async def _work(self, snapshot: Snapshot, system: System, drop: DropFolder) -> int:
        folder = self._folders.get(drop.folder)
        if folder is None:
            folder = Folder(self._settings.drop_root / drop.folder, self._settings.file_seconds, self._monotonic)
            self._folders[drop.folder] = folder
        if not folder.hold():
            return 0
        if self._claims is not None and not await asyncio.to_thread(self._claims.hold, folder.place()):
            return 0
        self._exchange.admit()  # before anything is claimed, so that no file is refused and logged repeatedly
        deadly = [left for left in folder.claimed() if self._in_hand.was_at_a_death(drop.folder, left.file)]
        done = await self._take_left(
            snapshot, system, drop, folder, [left for left in folder.claimed() if left not in deadly]
        )
        for name in folder.settled():
            if self._stopping:
                return done
            claimed = folder.claim(name, new_id(int(self._exchange.clock() * 1000)))
            if claimed is not None:
                done += await self._take(snapshot, system, drop, folder, claimed, left_over=False)
        return done + await self._take_left(snapshot, system, drop, folder, deadly)

    async def _take_left(
        self, snapshot: Snapshot, system: System, drop: DropFolder, folder: Folder, lefts: Sequence[Claimed]
    ) -> int:
        """Take up files that were claimed before."""
        done = 0
        for left in lefts:
            name = f"{drop.folder}/{left.name}"
            if self._stopping or self._rests(name):
                continue
            try:
                done += await self._take(snapshot, system, drop, folder, left, left_over=True)
                self._waits.pop(name, None)
            except (NotNow, Failure, SQLAlchemyError) as trouble:  # only this file waits
                self._rest(name, trouble)
        return done

    def _rests(self, name: str) -> bool:
        return name in self._waits and self._waits[name][1] > self._monotonic()

    def _rest(self, name: str, trouble: Exception) -> None:
        """Double the wait before the next try. What is no trouble that passes is raised again."""
        if isinstance(trouble, SQLAlchemyError):
            trouble = unavailable(trouble) or trouble
            if isinstance(trouble, SQLAlchemyError):
                raise trouble
        wait = min(2 * self._waits[name][0], MOST_SECONDS) if name in self._waits else TROUBLE_SECONDS
        self._waits[name] = wait, self._monotonic() + wait
        log.error("%s: %s; tried again in %.0f s", name, trouble, wait)

    async def _take(
        self, snapshot: Snapshot, system: System, drop: DropFolder, folder: Folder, claimed: Claimed, *, left_over: bool
    ) -> bool:
        raw, early = b"", None
        try:
            read = folder.read(claimed, self._settings.file_limit)
            if read is None:
                return False
            raw = read
        except TooLarge as large:
            early = FILE_TOO_LARGE(size=large.size, limit=self._settings.file_limit)
        except OSError:
            early = FILE_UNREADABLE(name=claimed.name)
        one = OneFile(
            engine=self._engine,
            exchange=self._exchange,
            snapshot=snapshot,
            system=system,
            drop=drop,
            folder=folder,
            claimed=claimed,
            raw=raw,
        )
        recorded = look_up(self._engine, [claimed.mark]).get(claimed.mark, Recorded()) if left_over else Recorded()
        digest = hashlib.sha256(raw).hexdigest()
        deaths = self._in_hand.take(drop.folder, claimed.file, digest) if early is None else 0
        aside = deaths >= MOST_DEATHS
        try:
            report = await (one.set_aside(deaths, recorded) if aside else one.bring(early, recorded))
            folder.finish(
                one.claimed,
                "refused" if report.result == "refused" else "accepted",
                reports(report, self._checkpoint()),
                aside=aside,
            )
        except BaseException:
            self._in_hand.let_go()
            raise
        self._in_hand.ended(digest)
        if aside:
            log.error("%s: in quarantine, %d processes died with it in hand", one.claimed.mark, deaths)
        log.info("%s: %s, %d lines taken, %d refused", one.claimed.mark, report.result, report.taken, len(report.bad))
        return True


def run_files(settings: Settings, inherited: Inherited) -> None:
    """Work until told to stop."""
    hardening.leave_no_cores()
    lines.set_up(inherited.name or "files", settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, inherited))


async def _serve(settings: Settings, inherited: Inherited) -> None:
    meters.keep_in(settings.run, "files")
    spans.send_to(settings.otlp_url, "files", name_of(settings), settings.origin)
    engine = open_engine(settings.database_url, for_work(settings.database_seconds))
    runtime = await Runtime.start(settings, engine, f"files-{new_id()}", "files")
    newest = NewestCheckpoint(settings.checkpoint_file)
    claims = DropClaims.of(runtime.engine, runtime.journal.process_id)
    files = Files(runtime.engine, runtime.registry, runtime.exchange(), settings, newest.note, claims=claims)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def stopped() -> None:
        stopping.set()
        files.stop()

    def stop() -> None:
        loop.call_soon_threadsafe(stopped)

    child.stop_when_told(stop, inherited.lifeline)
    child.say_ready(inherited.ready)
    silence = asyncio.create_task(child.watch_loop(SILENT_SECONDS, None))
    try:
        while not stopping.is_set() and not runtime.journal.fenced:
            done = await files.look() if runtime.machine.works else await files.leave()
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if done else LOOK_SECONDS):
                    await stopping.wait()
    finally:
        await child.end_watch(silence)
        files.close()
        await runtime.close()
        await asyncio.to_thread(spans.end)

"""The process that takes up what systems drop into their folders, one file after the other.

It is a process of its own, since it unpacks what strangers made: it holds neither the key of the log nor a listener.

Theory of operation
1. A settled file is claimed: one rename into work/ under the id of its transfer-to-be.
2. It is read, decoded and carried through the exchange like any call: grant, intent and outcome in the log, evidence in the vault, feed.
3. Its result is laid beside where it goes, then the file is moved there.
A process that dies leaves files in work/; whoever comes next takes them up under the same id. What stands in the database of that id tells how
far it came, so that nothing is lost and nothing appears twice; a report is made anew from the same bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import uvloop
from sqlalchemy import Engine, select

from adapters.files import Claimed, Folder, TooLarge
from adapters.http import client_context, open_session
from adapters.model import DropFolder
from contracts.base.errors import Branch, Failure, Finding, Theirs
from contracts.base.ids import new_id, part_id
from contracts.base.randomness import random_bytes
from contracts.cells.codec import Line
from gateway import child
from gateway.audit.checkpoints import NewestCheckpoint
from gateway.delivery.forwarder import forwarder_over
from gateway.doors import files as door
from gateway.doors.filereport import Told, reports
from gateway.exchange import entries
from gateway.exchange.evidence import pack, request_bytes
from gateway.exchange.exchange import Exchange
from gateway.exchange.forms import again, receipt_of
from gateway.exchange.stages import Addressed, Authenticated, Receipt, Received, Refused, Requested
from gateway.exchange.states import State
from gateway.journal import tables
from gateway.journal.database import lock_of, open_engine
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from gateway.keyring import Keyring
from gateway.registry.records import System
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.settings import Settings
from gateway.vault.vault import Vault
from security.entry import SALT, Json, keyed

LOOK_SECONDS: Final = 0.5
TROUBLE_SECONDS: Final = 5.0
MOST_SECONDS: Final = 300.0
_NOTE: Final = "file"
Tell = Callable[..., Told]
log = logging.getLogger("lgsp.files")


class NotNow(Exception):
    """The gateway itself is in trouble; the file stays in work/ and is taken up again."""


@dataclass(frozen=True, slots=True)
class Stood:
    """What the database holds under an id: the transfer's row, and the entries of the log by phase."""

    row: dict[str, object] | None = None
    phases: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)  # entry, leaf

    @property
    def first(self) -> str | None:
        """The transfer that this one was a repeat of."""
        return str(json.loads(self.phases["repeat"][0])["of"]) if "repeat" in self.phases else None

    def refused(self, id: str) -> Receipt:
        return Receipt(id, refusal=self.phases["refusal"][1])


def look_up(engine: Engine, ids: Sequence[str]) -> dict[str, Stood]:
    """Of those ids of which anything stands."""
    found: dict[str, Stood] = {}
    with engine.connect() as connection:
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            for row in connection.execute(select(tables.transfer).where(tables.transfer.c.id.in_(some))).mappings():
                found[row["id"]] = Stood({str(key): value for key, value in row.items()})
            for table in (tables.log_entry, tables.log_pending):
                columns = table.c.transfer, table.c.phase, table.c.entry, table.c.leaf
                for id, phase, entry, leaf in connection.execute(select(*columns).where(table.c.transfer.in_(some))):
                    found.setdefault(id, Stood()).phases[phase] = bytes(entry), bytes(leaf)
    return found


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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._registry, self._exchange, self._settings = engine, registry, exchange, settings
        self._checkpoint, self._monotonic = checkpoint, monotonic
        self._folders: dict[str, Folder] = {}
        self._waits: dict[str, tuple[float, float]] = {}  # seconds, and until when

    async def look(self) -> int:
        """Take up what is there now; how many files were brought to an end."""
        snapshot, done = self._registry.snapshot, 0
        for system in snapshot.systems.values():
            if system.drop is None or self._rests(system.drop.folder):
                continue
            try:
                done += await self._work(snapshot, system, system.drop)
                self._waits.pop(system.drop.folder, None)
            except (NotNow, OSError, Failure) as trouble:
                self._rest(system.drop.folder, trouble)
                if isinstance(trouble, OSError) and system.drop.folder in self._folders:  # perhaps it was moved away and made anew
                    self._folders.pop(system.drop.folder).close()
        return done

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
        done = 0
        for left in folder.claimed():
            name = f"{drop.folder}/{left.name}"
            if self._rests(name):
                continue
            try:
                done += await self._take(snapshot, system, drop, folder, left, left_over=True)
                self._waits.pop(name, None)
            except (NotNow, Failure) as trouble:  # this one waits; others need not
                self._rest(name, trouble)
        for name in folder.settled():
            claimed = folder.claim(name, new_id(int(self._exchange.clock() * 1000)))
            if claimed is not None:
                done += await self._take(snapshot, system, drop, folder, claimed, left_over=False)
        return done

    def _rests(self, name: str) -> bool:
        return name in self._waits and self._waits[name][1] > self._monotonic()

    def _rest(self, name: str, trouble: Exception) -> None:
        """Wait before the next try, longer each time."""
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
            early = Theirs("file.too-large", size=large.size, limit=self._settings.file_limit)
        except OSError:
            early = Theirs("file.unreadable", name=claimed.name)
        one = _One(self._engine, self._exchange, snapshot, system, drop, folder, claimed, raw)
        told = await one.bring(early, look_up(self._engine, [claimed.mark]).get(claimed.mark, Stood()) if left_over else Stood())
        folder.finish(one.claimed, "refused" if told.result == "refused" else "accepted", reports(told, self._checkpoint()))
        log.info("%s: %s, %d lines taken, %d refused", one.claimed.mark, told.result, told.taken, len(told.bad))
        return True


@dataclass(slots=True)
class _One:
    """One claimed file on its way."""

    engine: Engine
    exchange: Exchange
    snapshot: Snapshot
    system: System
    drop: DropFolder
    folder: Folder
    claimed: Claimed
    raw: bytes

    async def bring(self, early: Failure | None, stood: Stood) -> Told:
        """What became of it. A mistake of ours is no fault of the file: it waits until the mistake is mended."""
        try:
            return await self.carry(early, stood)
        except (NotNow, Failure):
            raise
        except Exception as fault:
            log.exception("%s: unexpected fault", self.claimed.mark)
            raise NotNow(f"unexpected fault {type(fault).__name__}") from fault

    async def carry(self, early: Failure | None, stood: Stood) -> Told:
        """`stood` is what an earlier process left under its id."""
        mark, digest = self.claimed.mark, hashlib.sha256(self.raw)
        received = door.received(mark, self.exchange.clock(), self.drop, self.claimed.name, self.raw)
        told = partial(Told, self.claimed.name, self.system.id, digest.hexdigest(), received.at, mark)
        try:
            if early is not None:
                raise early
            rule = door.rule_for(self.drop, self.claimed.name)
            addressed = door.addressed(received, self.snapshot, rule)
            file = door.FileDoor(self.system, rule, digest.digest())
            whole = file.is_whole(addressed)
        except Failure as failure:
            return told(failure=failure, receipt=await self._refuse(stood, failure, received))
        told = partial(told, contract=rule.contract, operation=rule.operation, format=rule.format)
        return await (self._whole if whole else self._lines)(told, addressed, file, stood)

    async def _whole(self, told: Tell, addressed: Addressed, file: door.FileDoor, stood: Stood) -> Told:
        """All good lines are one message."""
        if stood.row is None and not stood.phases:
            ended = await self.exchange.carry(addressed, file)
            if isinstance(ended, Refused):
                self._check(ended.failure, ended.receipt)
                return told(bad=file.bad, failure=ended.failure, receipt=ended.receipt)
            first = ended.receipt.transfer if ended.receipt.transfer != self.claimed.mark else None
            told = partial(told, taken=len(file.good), bad=file.bad, failure=ended.failure)
            return told(first=first, receipt=ended.receipt, queued=ended.queued)
        failure = self._judge(addressed, file)  # for the lines; what stands is not decided again
        told = partial(told, bad=file.bad)
        if stood.row is not None:
            self._check_open(stood.row)
            failure = again(str(stood.row["failure"]), self.claimed.mark) if stood.row["failure"] else None
            receipt = receipt_of(self.claimed.mark, stood.row["receipt"])
            return told(taken=len(file.good), failure=failure, receipt=receipt, queued=stood.row["state"] == State.QUEUED)
        if "repeat" in stood.phases:
            return told(taken=len(file.good), first=stood.first)
        return told(failure=failure, receipt=stood.refused(self.claimed.mark)) if failure is not None else await self._anew()

    async def _lines(self, told: Tell, addressed: Addressed, file: door.FileDoor, stood: Stood) -> Told:
        """Each good line is a message of its own; the file itself is kept once, with a note in the log that the lines refer to."""
        authenticated: Authenticated | None = None
        requested: Requested | None = None
        try:
            authenticated = file.authenticate(addressed)
            requested = file.request(authenticated)
            self.exchange.authorise(requested)
            file.read(requested)
        except Failure as failure:
            receipt = await self._refuse(stood, failure, addressed.received, addressed, authenticated, requested)
            return told(bad=file.bad, failure=failure, receipt=receipt)
        if "refusal" in stood.phases:
            return await self._anew()
        if _NOTE not in stood.phases:
            await self._keep(addressed.received, file)
        ids = {line.number: part_id(self.claimed.mark, line.number) for line in file.good}
        known = look_up(self.engine, list(ids.values())) if stood.phases else {}
        transfers: list[str] = []
        bad, again_taken = list(file.bad), 0
        for line in file.good:
            ended = await self._line(addressed, file, line, ids[line.number], known.get(ids[line.number]))
            if isinstance(ended, str):
                again_taken += ended != ids[line.number]
                transfers.append(ended)
            else:
                bad.append(Line(line.number, None, (ended,)))
        told = partial(told, taken=len(transfers), bad=sorted(bad, key=lambda line: line.number), transfers=transfers)
        return told(first=transfers[0] if transfers and again_taken == len(transfers) else None)

    async def _line(self, addressed: Addressed, file: door.FileDoor, line: Line, id: str, stood: Stood | None) -> str | Finding:
        """The transfer that took the line, now or before; or why none did."""
        if stood is not None:
            if stood.row is not None:
                self._check_open(stood.row)
                return _refused(again(str(stood.row["failure"]), id)) if stood.row["failure"] else id
            if stood.first is not None:
                return stood.first
            return _refused(again(str(json.loads(stood.phases["refusal"][0])["failure"]), id))
        part = addressed.received._replace(transfer=id, body=f"{file.message_id} line {line.number}".encode())
        ended = await self.exchange.carry(addressed._replace(received=part), door.LineDoor(file, line))
        if isinstance(ended, Refused):
            self._check(ended.failure, ended.receipt)
            return _refused(ended.failure)
        return _refused(ended.failure) if ended.failure is not None else ended.receipt.transfer

    # --- small parts --------------------------------------------------------------------------------------------------

    def _judge(self, addressed: Addressed, file: door.FileDoor) -> Failure | None:
        try:
            file.decode(self.exchange.authorise(file.request(file.authenticate(addressed))))
        except Failure as failure:
            return failure
        return None

    async def _anew(self) -> Told:
        """Refused before, and now it could be taken: another attempt, under another id."""
        self.claimed = self.folder.remark(self.claimed, new_id(int(self.exchange.clock() * 1000)))
        return await self.carry(None, Stood())

    async def _refuse(
        self,
        stood: Stood,
        failure: Failure,
        received: Received,
        addressed: Addressed | None = None,
        authenticated: Authenticated | None = None,
        requested: Requested | None = None,
    ) -> Receipt:
        if "refusal" in stood.phases:
            return stood.refused(received.transfer)
        ended = await self.exchange.refuse(received, self.snapshot, failure, addressed, authenticated, requested)
        self._check(ended.failure, ended.receipt)
        return ended.receipt

    def _check(self, failure: Failure, receipt: Receipt) -> None:
        """What is our own trouble is not the sender's: the file waits, and if the log has the refusal, under another id."""
        if failure.branch is Branch.OURS or receipt.refusal is None:
            if receipt.refusal is not None:
                self.claimed = self.folder.remark(self.claimed, new_id(int(self.exchange.clock() * 1000)))
            raise NotNow(failure.code)

    def _check_open(self, row: Mapping[str, object]) -> None:
        if row["state"] == State.FORWARDING:
            raise NotNow("it was being forwarded; the keeper closes it")

    async def _keep(self, received: Received, file: door.FileDoor) -> None:
        now, salt = self.exchange.clock(), random_bytes(SALT)
        facts: dict[str, Json] = {"message": self.exchange.hash_id(file.message_id), "lines": len(file.good), "refused": len(file.bad)}
        entry = entries.note(_NOTE, facts, now, actor=self.system.name, about=received.transfer)
        sealed = self.exchange.vault.seal(received.transfer, "request", pack(salt, request_bytes(received)), now)
        written = await self.exchange.journal.commit(Write(log=(entry,), vault=(sealed,)))
        if written.verdict is not Verdict.COMMITTED:
            raise NotNow("journal.fenced")


def _refused(failure: Failure) -> Finding:
    """Why a line that reads well was not taken."""
    return Finding("", "", failure.code, "refused", failure.next("en"))


def run_files(settings: Settings, lifeline: int | None, ready: int | None) -> None:
    """Work until told to stop."""
    child.set_up_logging()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, lifeline, ready))


async def _serve(settings: Settings, lifeline: int | None, ready: int | None) -> None:
    clock, process_id, keyring = time.time, f"files-{new_id()}", Keyring(settings)
    engine = open_engine(settings.database_url)
    registry = Registry(engine)
    registry.start()
    journal = Journal(engine, lock_of(engine), process_id, kind="files")
    journal.start()
    session = open_session(client_context(keyring.trust_anchors, keyring.client_certificate, keyring.client_key))
    forwarder = forwarder_over(session, keyring.signing_key(), clock)
    vault, hash_id = Vault(settings.vault_keys), partial(keyed, keyring.hash_key())
    exchange = Exchange(journal, vault, forwarder, engine, process_id, hash_id, clock, settings.provider_seconds)
    files = Files(engine, registry, exchange, settings, NewestCheckpoint(settings.checkpoint_file).note)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        loop.call_soon_threadsafe(stopping.set)

    child.stop_when_told(stop, lifeline)
    child.say_ready(ready)
    try:
        while not stopping.is_set() and not journal.fenced:
            done = await files.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if done else LOOK_SECONDS):
                    await stopping.wait()
    finally:
        files.close()
        await session.close()
        await asyncio.to_thread(journal.stop)
        registry.stop()
        engine.dispose()

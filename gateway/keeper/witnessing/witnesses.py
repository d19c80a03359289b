"""Offers each newer checkpoint to all witnesses at once (C2SP tlog-witness); stores it when enough have cosigned.

No transaction is open meanwhile.
Invariants:
- A cosignature counts only if it was verified over this very checkpoint, with the key of the settings, and its time is
  near ours.
- A stored checkpoint has its quorum.
- A witness that holds more of our log than we do, or another root, objects: that is noted in the log, and logged as
  critical.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from sqlalchemy import delete, insert

from contracts.base.integers import whole_number
from gateway.audit.log import proofs
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.witnessing.config import Witness
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.witnessing.coverage import CoverageTracker, LogSnapshot
from gateway.keeper.witnessing.post import Posted, Question, Unreached, post
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.transparency.checkpoint import NoteError, split_note
from security.transparency.cosignature import AddCheckpoint, answered, quorum, with_lines

CLOCK_SECONDS: Final = 300.0  # a witness's clock may differ from ours by this
ASK_SECONDS: Final = 5.0
MOST_SECONDS: Final = 30.0  # at most, before a failing witness is asked again
_ANSWER_LIMIT: Final = 20_000
_GRACE_SECONDS: Final = 1.0  # for the others, once there are enough
_KEEP_SECONDS: Final = 60.0  # of checkpoints cosigned within a minute, the last one is kept
_logger: Final = logging.getLogger("lgsp.witnessing")


class Objection(ValueError):
    """A witness objects to the log; the text says why."""


class Line(NamedTuple):
    """A verified cosignature, as a line of the note."""

    text: str
    time: int


@dataclass(slots=True)
class Witnesses:
    tracker: CoverageTracker
    session: aiohttp.ClientSession
    witnesses: Sequence[Witness]
    needed: int
    file: Path
    tls: ssl.SSLContext | None = None
    monotonic: Callable[[], float] = time.monotonic
    _offer_at: float = 0.0
    _again: dict[str, tuple[float, float]] = field(default_factory=dict)  # name -> seconds, and until when
    _sizes: dict[tuple[str, str], int] = field(default_factory=dict)  # (name, origin) -> size that it holds
    _objected: dict[str, str] = field(default_factory=dict)
    _trouble: dict[str, str] = field(default_factory=dict)

    async def run_once(self, lease: Lease) -> int:
        moment = self.monotonic()
        log = await asyncio.to_thread(self.tracker.look, lease)
        if log.size > self.tracker.now.size and moment >= self._offer_at:
            self._offer_at = moment + min(ASK_SECONDS, self.tracker.patience / 4)
            lines = await self._ask_all(log)
            self.tracker.troubled(self._trouble)
            if len(lines) >= self.needed:
                await asyncio.to_thread(self._keep, lease, log, lines)
        await asyncio.to_thread(self.tracker.end_of_look, lease)
        return 0

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _ask_all(self, log: LogSnapshot) -> list[str]:
        """The cosignatures, in the order of the settings; once there are enough, the others have one more second."""
        moment = self.monotonic()
        asked = [each for each in self.witnesses if moment >= self._again.get(each.key.name, (0.0, 0.0))[1]]
        tasks = {asyncio.create_task(self._ask(each, log)): each for each in asked}
        lines: dict[str, Line] = {}
        open_tasks = set(tasks)
        until: float | None = None
        try:
            while open_tasks and (until is None or until > self.monotonic()):
                left = None if until is None else until - self.monotonic()
                done, open_tasks = await asyncio.wait(open_tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    line = self._came(tasks[task], task, log)
                    if line is not None:
                        lines[tasks[task].key.name] = line
                if until is None and len(lines) >= self.needed:
                    until = self.monotonic() + _GRACE_SECONDS
        finally:
            for task in open_tasks:
                task.cancel()
            await asyncio.gather(*open_tasks, return_exceptions=True)
        for task in open_tasks:
            self._failed(tasks[task], "slower than the others by more than a second")
        return [lines[each.key.name].text for each in self.witnesses if each.key.name in lines]

    def _came(self, witness: Witness, task: asyncio.Task[Line], log: LogSnapshot) -> Line | None:
        name = witness.key.name
        try:
            line = task.result()
        except Objection as objection:
            self._failed(witness, str(objection))
            if self._objected.get(name) != str(objection):
                self._objected[name] = str(objection)
                _logger.critical("witness %s objects to the log: %s", name, objection)
                self.tracker.owed.append(
                    entries.note(
                        "witness-objection",
                        {"witness": name, "size": log.size, "said": str(objection)},
                        self.tracker.clock(),
                    )
                )
            return None
        except (NoteError, Unreached) as trouble:
            self._failed(witness, str(trouble))
            return None
        except Exception as fault:  # our fault with one witness must not affect the others
            _logger.exception("witness %s", name)
            self._failed(witness, f"unforeseen fault {type(fault).__name__}")
            return None
        self._objected.pop(name, None)
        self._again.pop(name, None)
        self._trouble.pop(name, None)
        return line

    def _failed(self, witness: Witness, words: str) -> None:
        """It is asked again later, each time after a longer wait."""
        name = witness.key.name
        self._trouble[name] = words
        wait = min(2 * self._again[name][0] if name in self._again else 1.0, MOST_SECONDS, self.tracker.patience / 2)
        self._again[name] = wait, self.monotonic() + wait

    async def _ask(self, witness: Witness, log: LogSnapshot) -> Line:
        place = witness.key.name, log.origin
        old = min(self._sizes.get(place, 0), log.size)
        text, _ = split_note(log.note)
        for _ in range(3):
            proof = await asyncio.to_thread(self._proof, old, log.size)
            body = AddCheckpoint(old, proof, log.note).text().encode()
            answer = await post(
                self.session,
                Question(f"{witness.url}/add-checkpoint", body, "text/plain; charset=utf-8"),
                limit=_ANSWER_LIMIT,
                seconds=ASK_SECONDS,
                tls=self.tls,
            )
            if answer.status == 200:
                line = Line(*answered(text, answer.body.decode("utf-8", "replace"), witness.key))
                offset = line.time - self.tracker.clock()
                if abs(offset) > CLOCK_SECONDS:
                    raise Unreached(f"its cosignature is of another time than ours, by {offset:+.0f} s")
                self._sizes[place] = log.size
                return line
            old = self._sizes[place] = _size_held(answer, old, log.size)
        raise Unreached("the size that it holds changes while it is asked: who else offers it this log?")

    def _proof(self, old: int, size: int) -> tuple[bytes, ...]:
        if old in (0, size):
            return ()
        with self.tracker.engine.connect() as connection:
            return proofs.consistency(connection, old, size).hashes

    # --- keeping ------------------------------------------------------------------------------------------------------

    def _keep(self, lease: Lease, log: LogSnapshot, lines: Sequence[str]) -> None:
        note, table, tracker = with_lines(log.note, lines), tables.cosigned, self.tracker
        cosigners = quorum(note, [each.key for each in self.witnesses], self.needed)
        tracker.reached(log)
        now = tracker.now.at
        with writing(tracker.engine, tracker.lock) as connection:
            leases.check(connection, lease)
            minute = now - now % _KEEP_SECONDS
            connection.execute(delete(table).where((table.c.at >= minute) | (table.c.size >= log.size)))
            connection.execute(insert(table).values(size=log.size, note=note, witnesses=len(cosigners), at=now))
            tracker.keep_reached(connection)
        file = CheckpointFile(self.file)
        stored = file.read()
        if stored is not None and stored.partition("\n")[0] != log.origin:
            self.file.unlink()  # of an older log
        file.advance(note)


def _size_held(answer: Posted, old: int, size: int) -> int:
    """The size that a witness holds which did not cosign; otherwise raises why trying again is useless."""
    if answer.status == 409 and answer.kind == "text/x.tlog.size":
        text = answer.body.decode("ascii", "replace").strip()
        held = whole_number(text)
        if held is None:
            raise Unreached("it answers 409 without the size that it holds")
        if held > size:
            raise Objection(f"it holds {held} entries of this log, and we have {size}: entries were taken back")
        if held == old:
            raise Objection(f"it holds another root for {held} entries: the log was forked")
        return held
    if answer.status == 422:
        raise Objection(
            f"it does not accept that {size} entries go on from the {old} that it holds: the log was forked"
        )
    known = {
        404: "it does not know this log",
        403: "it does not know the key of this log",
        400: "it cannot read what is asked",
    }
    raise Unreached(known.get(answer.status, f"status {answer.status}"))

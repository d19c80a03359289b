"""The keeper's round of the witnesses (C2SP tlog-witness): each newer checkpoint is offered to all of them at once, and kept when enough have cosigned.

No transaction is open and nothing is held up while they are asked. Invariants: a cosignature counts only when it was verified over this very checkpoint, with the
key of the settings, and its time is near ours; what is kept has its quorum; a witness that holds more of our log than we do, or another root, is an objection
that is noted in the log and told as critical.
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
from gateway.audit.log import lease as leases
from gateway.audit.log import proofs
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.lease import Lease
from gateway.audit.witnessing.config import Witness
from gateway.exchange import entries
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keeper.witnessing.coverage import CoverageTracker, LogSnapshot
from gateway.keeper.witnessing.post import Posted, Unreached, post
from security.transparency.checkpoint import NoteError, split_note
from security.transparency.cosignature import AddCheckpoint, answered, quorum, with_lines

CLOCK_SECONDS: Final = 300.0  # by which a witness's clock may differ from ours
ASK_SECONDS: Final = 5.0
MOST_SECONDS: Final = 30.0  # before a witness that fails is asked again
_ANSWER_LIMIT: Final = 20_000
_GRACE_SECONDS: Final = 1.0  # for the others, once there are enough
_KEEP_SECONDS: Final = 60.0  # of checkpoints cosigned within a minute, the last one is kept
_logger: Final = logging.getLogger("lgsp.vouching")


class Objection(ValueError):
    """What a witness holds against the log; the text says it."""


class Line(NamedTuple):
    """A verified cosignature as it stands below the note."""

    text: str
    time: int


@dataclass(slots=True)
class Witnesses:
    """A chore of the leading keeper."""

    spell: CoverageTracker
    session: aiohttp.ClientSession
    witnesses: Sequence[Witness]
    needed: int
    file: Path
    tls: ssl.SSLContext | None = None
    monotonic: Callable[[], float] = time.monotonic
    _look_at: float = 0.0
    _offer_at: float = 0.0
    _again: dict[str, tuple[float, float]] = field(default_factory=dict)  # name -> seconds, and until when
    _held: dict[tuple[str, str], int] = field(default_factory=dict)  # (name, origin) -> size
    _objected: dict[str, str] = field(default_factory=dict)
    _trouble: dict[str, str] = field(default_factory=dict)

    async def run_once(self, lease: Lease) -> int:
        moment = self.monotonic()
        if moment < self._look_at:
            return 0
        self._look_at = moment + min(1.0, self.spell.patience / 8)
        looked = await asyncio.to_thread(self.spell.look, lease)
        notes: list[LogRow] = []
        if looked.size > self.spell.now.size and moment >= self._offer_at:
            self._offer_at = moment + min(ASK_SECONDS, self.spell.patience / 4)
            lines = await self._ask_all(looked, notes)
            self.spell.troubled(self._trouble)
            if len(lines) >= self.needed:
                await asyncio.to_thread(self._keep, lease, looked, lines)
        await asyncio.to_thread(self.spell.end_of_look, lease, notes)
        return 0

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _ask_all(self, looked: LogSnapshot, notes: list[LogRow]) -> list[str]:
        """The cosignatures that came, in the order of the settings; when there are enough, the others have a second more."""
        moment = self.monotonic()
        asked = [each for each in self.witnesses if moment >= self._again.get(each.key.name, (0.0, 0.0))[1]]
        tasks = {asyncio.create_task(self._ask(each, looked)): each for each in asked}
        lines: dict[str, Line] = {}
        open_tasks = set(tasks)
        until: float | None = None
        try:
            while open_tasks and (until is None or until > self.monotonic()):
                left = None if until is None else until - self.monotonic()
                done, open_tasks = await asyncio.wait(open_tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    line = self._came(tasks[task], task, looked, notes)
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

    def _came(
        self, witness: Witness, task: asyncio.Task[Line], looked: LogSnapshot, notes: list[LogRow]
    ) -> Line | None:
        name = witness.key.name
        try:
            line = task.result()
        except Objection as said:
            self._failed(witness, str(said))
            if self._objected.get(name) != str(said):
                self._objected[name] = str(said)
                _logger.critical("witness %s objects to the log: %s", name, said)
                notes.append(
                    entries.note(
                        "witness-objection",
                        {"witness": name, "size": looked.size, "said": str(said)},
                        self.spell.clock(),
                    )
                )
            return None
        except (NoteError, Unreached) as trouble:
            self._failed(witness, str(trouble))
            return None
        except Exception as fault:  # a mistake of ours with one witness takes nothing from the others
            _logger.exception("witness %s", name)
            self._failed(witness, f"unforeseen fault {type(fault).__name__}")
            return None
        self._objected.pop(name, None)
        self._again.pop(name, None)
        self._trouble.pop(name, None)
        return line

    def _failed(self, witness: Witness, words: str) -> None:
        """Asked again later, each time a little later."""
        name = witness.key.name
        self._trouble[name] = words
        wait = min(2 * self._again[name][0] if name in self._again else 1.0, MOST_SECONDS, self.spell.patience / 2)
        self._again[name] = wait, self.monotonic() + wait

    async def _ask(self, witness: Witness, looked: LogSnapshot) -> Line:
        place = witness.key.name, looked.origin
        old = min(self._held.get(place, 0), looked.size)
        text, _ = split_note(looked.note)
        for _ in range(3):
            proof = await asyncio.to_thread(self._proof, old, looked.size)
            body = AddCheckpoint(old, proof, looked.note).text().encode()
            said = await post(
                self.session,
                f"{witness.url}/add-checkpoint",
                body,
                "text/plain; charset=utf-8",
                limit=_ANSWER_LIMIT,
                seconds=ASK_SECONDS,
                tls=self.tls,
            )
            if said.status == 200:
                line = Line(*answered(text, said.body.decode("utf-8", "replace"), witness.key))
                apart = line.time - self.spell.clock()
                if abs(apart) > CLOCK_SECONDS:
                    raise Unreached(f"its cosignature is of another time than ours, by {apart:+.0f} s")
                self._held[place] = looked.size
                return line
            old = self._held[place] = _size_held(said, old, looked.size)
        raise Unreached("the size that it holds changes while it is asked: who else offers it this log?")

    def _proof(self, old: int, size: int) -> tuple[bytes, ...]:
        if old in (0, size):
            return ()
        with self.spell.engine.connect() as connection:
            return proofs.consistency(connection, old, size).hashes

    # --- keeping ------------------------------------------------------------------------------------------------------

    def _keep(self, lease: Lease, looked: LogSnapshot, lines: Sequence[str]) -> None:
        note, table, spell = with_lines(looked.note, lines), tables.cosigned, self.spell
        found = quorum(note, [each.key for each in self.witnesses], self.needed)
        spell.reached(looked)
        now = spell.now.at
        with writing(spell.engine, spell.lock) as connection:
            leases.check(connection, lease)
            minute = now - now % _KEEP_SECONDS
            connection.execute(delete(table).where((table.c.at >= minute) | (table.c.size >= looked.size)))
            connection.execute(insert(table).values(size=looked.size, note=note, witnesses=len(found), at=now))
            spell.keep_reached(connection)
        file = CheckpointFile(self.file)
        standing = file.read()
        if standing is not None and standing.partition("\n")[0] != looked.origin:
            self.file.unlink()  # of an older log, whose size says nothing of this one
        file.advance(note)


def _size_held(said: Posted, old: int, size: int) -> int:
    """What a witness that did not cosign holds instead; otherwise it is told why there is nothing to try again."""
    if said.status == 409 and said.kind == "text/x.tlog.size":
        text = said.body.decode("ascii", "replace").strip()
        held = whole_number(text)
        if held is None:
            raise Unreached("it answers 409 without the size that it holds")
        if held > size:
            raise Objection(f"it holds {held} entries of this log, and we have {size}: entries were taken back")
        if held == old:
            raise Objection(f"it holds another root for {held} entries: the log was forked")
        return held
    if said.status == 422:
        raise Objection(
            f"it does not accept that {size} entries go on from the {old} that it holds: the log was forked"
        )
    known = {
        404: "it does not know this log",
        403: "it does not know the key of this log",
        400: "it cannot read what is asked",
    }
    raise Unreached(known.get(said.status, f"status {said.status}"))

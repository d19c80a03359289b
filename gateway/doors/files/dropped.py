"""One claimed file on its way through the exchange, once, whoever carried a part of it before.

What stands in the database under the file's id (and under the ids of its lines, which are made from it) tells how far it came. Where nothing
stands it is carried like any call; where something does, that is what became of it, and only the report is made anew from the same bytes.
Invariants: nothing is handed in twice; what is our own trouble is never told as a refusal of the file.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import Engine, select

from adapters.files import Claimed, Folder
from adapters.model import DropFolder
from contracts.base.errors import Branch, Failure, Finding
from contracts.base.ids import new_id, part_id
from contracts.base.randomness import random_bytes
from contracts.codecs.cells.codec import Line
from gateway.doors.files import door
from gateway.doors.files.errors import FILE_QUARANTINED
from gateway.doors.files.report import Told
from gateway.exchange.exchange import Exchange
from gateway.exchange.repeat_check import repeat_answer
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.schema import tables
from gateway.journal.write import Verdict, Write
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from gateway.transfer.evidence_parts import request_bytes
from gateway.transfer.stages import Addressed, Reached, Receipt, Refused, received_of
from gateway.transfer.states import State
from gateway.transfer.transfer_records import receipt_of
from gateway.vault.classes import keeping
from gateway.vault.salting import pack
from security.transparency.entry import SALT, Json

_NOTE: Final = "file"
_ASIDE: Final = "quarantine"
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

    def is_of(self, system: System, digest: bytes, message: str) -> bool:
        """Whether this is what became of those bytes of that system (`message` is the hash of their id in the log): whoever can write into work/ can
        give a file any mark, also that of another's transfer, or of another file."""
        if self.row is not None and (self.row["caller_system"], self.row["payload_digest"]) != (system.id, digest):
            return False
        for entry, _ in self.phases.values():
            said = json.loads(entry)
            if said.get("what", _NOTE) != _NOTE:  # who read its body has no part in what it is
                continue
            who = said["caller"]["system"] if said.get("caller") else said.get("actor", system.name)
            if (
                who not in (system.id, system.name)
                or (said.get("message") or said.get("facts", {}).get("message") or message) != message
            ):
                return False
        return True

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
            for table in tables.LOGS:
                columns = table.c.transfer, table.c.phase, table.c.entry, table.c.leaf
                for id, phase, entry, leaf in connection.execute(select(*columns).where(table.c.transfer.in_(some))):
                    found.setdefault(id, Stood()).phases[phase] = bytes(entry), bytes(leaf)
    return found


@dataclass(slots=True)
class OneFile:
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

    async def set_aside(self, deaths: int, stood: Stood) -> Told:
        """A file at which processes died: it is refused without being read, and the log names it. What an earlier process carried of it stays, so the
        refusal has an id of its own then."""
        failure = FILE_QUARANTINED(name=self.claimed.name, deaths=deaths)
        refusal = json.loads(stood.phases["refusal"][0]).get("failure") if "refusal" in stood.phases else failure.code
        if stood.row is not None or not stood.phases.keys() <= {"refusal", _ASIDE} or refusal != failure.code:
            self.claimed, stood = self.folder.remark(self.claimed, new_id(int(self.exchange.clock() * 1000))), Stood()
        told = await self.bring(failure, stood)
        if _ASIDE not in stood.phases:
            facts: dict[str, Json] = {
                "system": self.system.id,
                "file": self.claimed.name,
                "size": len(self.raw),
                "deaths": deaths,
            }
            written = await self.exchange.journal.commit(
                Write(
                    log=(
                        entries.note(
                            _ASIDE, facts, self.exchange.clock(), actor=self.system.name, about=self.claimed.mark
                        ),
                    )
                )
            )
            if written.verdict is not Verdict.COMMITTED:
                raise NotNow(JOURNAL_FENCED.code)
        return told

    async def carry(self, early: Failure | None, stood: Stood) -> Told:
        """`stood` is what an earlier process left under its id."""
        digest = hashlib.sha256(self.raw)
        if not stood.is_of(self.system, digest.digest(), self.exchange.hash_id(f"sha256:{digest.hexdigest()}")):
            return await self._anew(early)
        mark = self.claimed.mark
        received = door.received(mark, self.exchange.clock(), self.drop, self.claimed.name, self.raw, self.snapshot)
        told = partial(Told, self.claimed.name, self.system.id, digest.hexdigest(), received.at, mark)
        try:
            if early is not None:
                raise early
            rule = door.rule_for(self.drop, self.claimed.name)
            addressed = door.addressed(received, self.system, rule)
            file = door.FileDoor(rule, digest.digest())
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
            failure = repeat_answer(str(stood.row["failure"]), self.claimed.mark) if stood.row["failure"] else None
            receipt = receipt_of(self.claimed.mark, stood.row["receipt"])
            return told(
                taken=len(file.good), failure=failure, receipt=receipt, queued=stood.row["state"] == State.QUEUED
            )
        if "repeat" in stood.phases:
            return told(taken=len(file.good), first=stood.first)
        return (
            told(failure=failure, receipt=stood.refused(self.claimed.mark))
            if failure is not None
            else await self._anew()
        )

    async def _lines(self, told: Tell, addressed: Addressed, file: door.FileDoor, stood: Stood) -> Told:
        """Each good line is a message of its own; the file itself is kept once, with a note in the log that the lines refer to."""
        reached: Reached = addressed
        try:
            reached = authenticated = file.authenticate(addressed)
            reached = requested = file.request(authenticated)
            self.exchange.authorise(requested)
            file.read(requested)
        except Failure as failure:
            receipt = await self._refuse(stood, failure, reached)
            return told(bad=file.bad, failure=failure, receipt=receipt)
        if "refusal" in stood.phases:
            return await self._anew()
        if _NOTE not in stood.phases:
            await self._keep(addressed, file)
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

    async def _line(
        self, addressed: Addressed, file: door.FileDoor, line: Line, id: str, stood: Stood | None
    ) -> str | Finding:
        """The transfer that took the line, now or before; or why none did."""
        if stood is not None:
            if stood.row is not None:
                self._check_open(stood.row)
                return _refused(repeat_answer(str(stood.row["failure"]), id)) if stood.row["failure"] else id
            if stood.first is not None:
                return stood.first
            return _refused(repeat_answer(str(json.loads(stood.phases["refusal"][0])["failure"]), id))
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

    async def _anew(self, early: Failure | None = None) -> Told:
        """Refused before, and now it could be taken, or never carried under this id: another attempt, under another one."""
        self.claimed = self.folder.remark(self.claimed, new_id(int(self.exchange.clock() * 1000)))
        return await self.carry(early, Stood())

    async def _refuse(self, stood: Stood, failure: Failure, reached: Reached) -> Receipt:
        if "refusal" in stood.phases:
            return stood.refused(received_of(reached).transfer)
        ended = await self.exchange.refuse(reached, failure)
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

    async def _keep(self, addressed: Addressed, file: door.FileDoor) -> None:
        received, contract = addressed.received, addressed.contract.contract
        assert addressed.operation is not None
        now, salt = self.exchange.clock(), random_bytes(SALT)
        facts: dict[str, Json] = {
            "message": self.exchange.hash_id(file.message_id),
            "lines": len(file.good),
            "refused": len(file.bad),
        }
        entry = entries.note(_NOTE, facts, now, actor=self.system.name, about=received.transfer)
        keep = keeping(contract.evidence, contract.retention_months, addressed.operation.pattern)
        sealed = self.exchange.vault.seal_kept(
            keep, received.transfer, [("request", pack(salt, request_bytes(received)))], now
        )
        written = await self.exchange.journal.commit(Write(log=(entry,), vault=sealed))
        if written.verdict is not Verdict.COMMITTED:
            raise NotNow(JOURNAL_FENCED.code)


def _refused(failure: Failure) -> Finding:
    """Why a line that reads well was not taken."""
    return Finding("", "", failure.code, "refused", failure.next("en"))

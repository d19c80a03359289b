"""Carries one claimed file through the exchange once, also after a process died with a part of it.

The records under the file's id, and under the derived ids of its lines, say how far it came. Without records the file
is carried like any call. With records, only the report is made again from the same bytes.
Invariant: nothing is submitted twice. A fault of the gateway is never reported as a refusal of the file.
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
from gateway.doors.files.report import FileOutcome
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
MakeOutcome = Callable[..., FileOutcome]
log = logging.getLogger("lgsp.files")


class NotNow(Exception):
    """The gateway has a fault. The file stays in work/ and is taken up again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database holds under an id: the transfer's row, and the log's entries by phase."""

    row: dict[str, object] | None = None
    phases: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)  # entry, leaf

    @property
    def first(self) -> str | None:
        """The transfer that this one repeated."""
        return str(json.loads(self.phases["repeat"][0])["of"]) if "repeat" in self.phases else None

    def is_of(self, system: System, digest: bytes, message: str) -> bool:
        """Whether these records belong to those bytes of that system. Anyone who can write into work/ can give a file
        any mark. `message`: the hash of the message id in the log.
        """
        if self.row is not None and (self.row["caller_system"], self.row["payload_digest"]) != (system.id, digest):
            return False
        for entry, _ in self.phases.values():
            logged = json.loads(entry)
            if logged.get("what", _NOTE) != _NOTE:  # an entry about a read of its body
                continue
            actor = logged["caller"]["system"] if logged.get("caller") else logged.get("actor", system.name)
            if (
                actor not in (system.id, system.name)
                or (logged.get("message") or logged.get("facts", {}).get("message") or message) != message
            ):
                return False
        return True

    def refused(self, id: str) -> Receipt:
        return Receipt(id, refusal=self.phases["refusal"][1])


def look_up(engine: Engine, ids: Sequence[str]) -> dict[str, Recorded]:
    """The records of those ids that have any."""
    records: dict[str, Recorded] = {}
    with engine.connect() as connection:
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            for row in connection.execute(select(tables.transfer).where(tables.transfer.c.id.in_(some))).mappings():
                records[row["id"]] = Recorded({str(key): value for key, value in row.items()})
            for table in tables.LOGS:
                columns = table.c.transfer, table.c.phase, table.c.entry, table.c.leaf
                for id, phase, entry, leaf in connection.execute(select(*columns).where(table.c.transfer.in_(some))):
                    records.setdefault(id, Recorded()).phases[phase] = bytes(entry), bytes(leaf)
    return records


@dataclass(slots=True)
class OneFile:
    """One claimed file."""

    engine: Engine
    exchange: Exchange
    snapshot: Snapshot
    system: System
    drop: DropFolder
    folder: Folder
    claimed: Claimed
    raw: bytes

    async def bring(self, early: Failure | None, recorded: Recorded) -> FileOutcome:
        """Carries the file. After an unexpected fault the file waits."""
        try:
            return await self.carry(early, recorded)
        except (NotNow, Failure):
            raise
        except Exception as fault:
            log.exception("%s: unexpected fault", self.claimed.mark)
            raise NotNow(f"unexpected fault {type(fault).__name__}") from fault

    async def set_aside(self, deaths: int, recorded: Recorded) -> FileOutcome:
        """Refuses a file at which processes died, unread, and logs it. If an earlier process carried a part, the
        refusal gets a new id.
        """
        failure = FILE_QUARANTINED(name=self.claimed.name, deaths=deaths)
        refusal = (
            json.loads(recorded.phases["refusal"][0]).get("failure") if "refusal" in recorded.phases else failure.code
        )
        if recorded.row is not None or not recorded.phases.keys() <= {"refusal", _ASIDE} or refusal != failure.code:
            self.claimed, recorded = (
                self.folder.remark(self.claimed, new_id(int(self.exchange.clock() * 1000))),
                Recorded(),
            )
        outcome = await self.bring(failure, recorded)
        if _ASIDE not in recorded.phases:
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
        return outcome

    async def carry(self, early: Failure | None, recorded: Recorded) -> FileOutcome:
        """`recorded`: what an earlier process left under the file's id."""
        digest = hashlib.sha256(self.raw)
        if not recorded.is_of(self.system, digest.digest(), self.exchange.hash_id(f"sha256:{digest.hexdigest()}")):
            return await self._anew(early)
        mark = self.claimed.mark
        received = door.received(mark, self.exchange.clock(), self.drop, self.claimed.name, self.raw, self.snapshot)
        outcome = partial(
            FileOutcome,
            file=self.claimed.name,
            system=self.system.id,
            sha256=digest.hexdigest(),
            at=received.at,
            transfer=mark,
        )
        try:
            if early is not None:
                raise early
            rule = door.rule_for(self.drop, self.claimed.name)
            addressed = door.addressed(received, self.system, rule)
            file = door.FileDoor(rule, digest.digest())
            whole = file.is_whole(addressed)
        except Failure as failure:
            return outcome(failure=failure, receipt=await self._refuse(recorded, failure, received))
        outcome = partial(
            outcome, contract=rule.contract, operation=rule.operation, format=rule.format, hidden=file.hidden
        )
        return await (self._whole if whole else self._lines)(outcome, addressed, file, recorded)

    async def _whole(
        self, outcome: MakeOutcome, addressed: Addressed, file: door.FileDoor, recorded: Recorded
    ) -> FileOutcome:
        """All good lines are one message."""
        if recorded.row is None and not recorded.phases:
            ended = await self.exchange.carry(addressed, file)
            if isinstance(ended, Refused):
                self._check(ended.failure, ended.receipt)
                return outcome(bad=file.bad, failure=ended.failure, receipt=ended.receipt)
            first = ended.receipt.transfer if ended.receipt.transfer != self.claimed.mark else None
            outcome = partial(outcome, taken=len(file.good), bad=file.bad, failure=ended.failure)
            return outcome(first=first, receipt=ended.receipt, queued=ended.queued)
        failure = self._judge(addressed, file)  # reads the lines; the recorded end counts
        outcome = partial(outcome, bad=file.bad)
        if recorded.row is not None:
            self._check_open(recorded.row)
            failure = (
                repeat_answer(str(recorded.row["failure"]), self.claimed.mark) if recorded.row["failure"] else None
            )
            receipt = receipt_of(self.claimed.mark, recorded.row["receipt"])
            return outcome(
                taken=len(file.good), failure=failure, receipt=receipt, queued=recorded.row["state"] == State.QUEUED
            )
        if "repeat" in recorded.phases:
            return outcome(taken=len(file.good), first=recorded.first)
        return (
            outcome(failure=failure, receipt=recorded.refused(self.claimed.mark))
            if failure is not None
            else await self._anew()
        )

    async def _lines(
        self, outcome: MakeOutcome, addressed: Addressed, file: door.FileDoor, recorded: Recorded
    ) -> FileOutcome:
        """Each good line is one message. The file is kept once, with a note in the log that the lines refer to."""
        reached: Reached = addressed
        try:
            reached = authenticated = file.authenticate(addressed)
            reached = requested = file.request(authenticated)
            self.exchange.authorise(requested)
            file.read(requested)
        except Failure as failure:
            receipt = await self._refuse(recorded, failure, reached)
            return outcome(bad=file.bad, failure=failure, receipt=receipt)
        if "refusal" in recorded.phases:
            return await self._anew()
        if _NOTE not in recorded.phases:
            await self._keep(addressed, file)
        ids = {line.number: part_id(self.claimed.mark, line.number) for line in file.good}
        known = look_up(self.engine, list(ids.values())) if recorded.phases else {}
        transfers: list[str] = []
        bad, repeated = list(file.bad), 0
        for line in file.good:
            ended = await self._line(addressed, file, line, ids[line.number], known.get(ids[line.number]))
            if isinstance(ended, str):
                repeated += ended != ids[line.number]
                transfers.append(ended)
            else:
                bad.append(Line(line.number, None, (ended,)))
        outcome = partial(
            outcome, taken=len(transfers), bad=sorted(bad, key=lambda line: line.number), transfers=transfers
        )
        return outcome(first=transfers[0] if transfers and repeated == len(transfers) else None)

    async def _line(
        self, addressed: Addressed, file: door.FileDoor, line: Line, id: str, recorded: Recorded | None
    ) -> str | Finding:
        """The transfer of the line, or why there is none."""
        if recorded is not None:
            if recorded.row is not None:
                self._check_open(recorded.row)
                return _refused(repeat_answer(str(recorded.row["failure"]), id)) if recorded.row["failure"] else id
            if recorded.first is not None:
                return recorded.first
            return _refused(repeat_answer(str(json.loads(recorded.phases["refusal"][0])["failure"]), id))
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

    async def _anew(self, early: Failure | None = None) -> FileOutcome:
        """Tries again under a new id: the file was refused before, or the records are not its own."""
        self.claimed = self.folder.remark(self.claimed, new_id(int(self.exchange.clock() * 1000)))
        return await self.carry(early, Recorded())

    async def _refuse(self, recorded: Recorded, failure: Failure, reached: Reached) -> Receipt:
        if "refusal" in recorded.phases:
            return recorded.refused(received_of(reached).transfer)
        ended = await self.exchange.refusals.refuse(reached, failure)
        self._check(ended.failure, ended.receipt)
        return ended.receipt

    def _check(self, failure: Failure, receipt: Receipt) -> None:
        """Raises NotNow for a fault of the gateway. If its refusal is logged, the file gets a new id."""
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
    """Why a valid line was refused."""
    return Finding("", "", failure.code, "refused", failure.next("en"))

"""A log made by the real journal and the real sequencer, and an insider who has the run of it: rows, files, keys.

What an agency holds of it (the log's public key, receipts, the checkpoint that its kit kept) is outside his reach:
`Agency`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.audit.log import proofs
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.log.tiles import root_of_edge
from gateway.audit.verify.complete import Completeness, check_complete
from gateway.audit.verify.verify import Report, verify_log
from gateway.client.answers import Receipt
from gateway.client.audit import proofs as kit
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.journal.database import lock_of, snapshot, writing
from gateway.journal.schema import tables
from gateway.journal.write import FeedRow, LogRow, ReplayKey, TransferChange, TransferRow, VaultRow, Write
from gateway.journal.writer import Journal
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.transparency.checkpoint import NoteKey
from security.transparency.entry import Caller, Entry, Intent, Outcome, freeze, salted
from security.transparency.merkle import leaf_hash
from security.transparency.tiles import Builder

ORIGIN = "localhost/lgsp-attacked"
BEGAN = 1_795_500_000.0
ALERTS, REPORTS = "incident-alert/v1", "field-report/v1"
_SALT = b"s" * 16


@dataclass(frozen=True)
class Entered:
    """An entry as the log holds it."""

    transfer: str
    phase: str
    entry: bytes
    sequenced: float


# --- what honest processes write --------------------------------------------------------------------------------------
def row_of(entry: Entry) -> LogRow:
    return LogRow(*freeze(entry))


def _intent(id: str, contract: str, operation: str, provider: str | None) -> LogRow:
    caller = Caller("H14.5", "phan-anh", "c" * 43, "phan-anh-sign")
    came_in = salted(_SALT, id.encode())
    return row_of(
        Intent(id, BEGAN, "rest", caller, contract, operation, "sha256:00", "m" * 64, "G-0001", provider, came_in)
    )


def _transfer(process: str, id: str, contract: str, operation: str, provider: str | None, **more: Any) -> TransferRow:
    fixed: dict[str, Any] = {
        "caller_system": "phan-anh",
        "caller_agency": "H14.5",
        "bundle": "sha256:00",
        "grant_id": "G-0001",
        "message_id": id,
    }
    times: dict[str, Any] = {"received": BEGAN, "committed": BEGAN, "payload_digest": b"\x01" * 32, "idempotent": False}
    return TransferRow(
        id=id, contract=contract, operation=operation, provider=provider, process=process, **fixed, **times, **more
    )


def receipt_text(*rows: LogRow) -> str:
    return json.dumps({row.phase: base64.b64encode(row.leaf).decode() for row in rows}, sort_keys=True)


def _event(id: str) -> str:
    fixed = {"specversion": "1.0", "datacontenttype": "application/json", "type": "urn:x:submitAlert"}
    return json.dumps(
        fixed
        | {
            "id": id,
            "source": "urn:lgsp:system:phan-anh",
            "time": rfc3339(BEGAN),
            "lgspagency": "H14.5",
            "lgspbundle": "sha256:00",
        }
    )


def handed_in(process: str, id: str | None = None) -> Write:
    """An alert: accepted, and in the feed."""
    id = id or new_id(int(BEGAN * 1000))
    log = _intent(id, ALERTS, "submitAlert", None), row_of(Outcome(id, BEGAN, 200, answered=salted(_SALT, b"answer")))
    more = {
        "state": "accepted",
        "pattern": "submit",
        "status": 200,
        "finished": BEGAN,
        "receipt": receipt_text(*log),
        "answer_ref": f"{id}/answer",
    }
    return Write(
        replay=ReplayKey(os.urandom(32), BEGAN + 300),
        transfer=_transfer(process, id, ALERTS, "submitAlert", None, **more),
        log=log,
        vault=(
            VaultRow(f"{id}/canonical", "2026-11-24.standard", 2, b"\x02" + bytes(50)),
        ),  # as long as what is sealed would be
        feed=(FeedRow(ALERTS, id, _event(id), f"{id}/canonical"),),
    )


def sent_on(process: str, id: str | None = None) -> Write:
    """A report whose intent stands, and which may have left."""
    id = id or new_id(int(BEGAN * 1000))
    log = (_intent(id, REPORTS, "createRequest", "do-thi"),)
    return Write(
        replay=ReplayKey(os.urandom(32), BEGAN + 300),
        transfer=_transfer(process, id, REPORTS, "createRequest", "do-thi", state="forwarding", pattern="dispatch"),
        log=log,
    )


def answered(process: str, id: str) -> Write:
    intent = _intent(id, REPORTS, "createRequest", "do-thi")
    log = row_of(Outcome(id, BEGAN + 1, 200, provider="do-thi", answered=salted(_SALT, b"done")))
    return Write(
        change=TransferChange(
            id, "forwarding", process, "answered", BEGAN + 1, 200, None, f"{id}/answer", receipt_text(intent, log)
        ),
        log=(log,),
    )


def commit(engine: Engine, units: Sequence[Write], process: str = "door-1") -> None:
    """By a journal of their own, as one process would."""

    async def all_of_them(journal: Journal) -> None:
        for written in await asyncio.gather(*(journal.commit(unit) for unit in units)):
            assert written.verdict == "committed"

    journal = Journal(engine, lock_of(engine), f"{process}-{new_id()}")
    units = [
        unit._replace(transfer=unit.transfer._replace(process=journal.process_id)) if unit.transfer else unit
        for unit in units
    ]
    units = [unit._replace(change=unit.change._replace(process=None)) if unit.change else unit for unit in units]
    journal.start()
    try:
        asyncio.run(all_of_them(journal))
    finally:
        journal.stop()


# --- a log ------------------------------------------------------------------------------------------------------------
@dataclass
class Gateway:
    """The log of one gateway: its database, its folder, its leader."""

    engine: Engine
    folder: Path
    key: LogKey
    lease: Lease
    now: float = BEGAN

    @classmethod
    def found(cls, engine: Engine, folder: Path) -> Gateway:
        with writing(engine) as connection:
            lease = leases.take(connection, "keeper-1", BEGAN)
        assert lease is not None
        made = cls(engine, folder, LogKey.open(folder / "keys" / "log.key", ORIGIN), lease)
        made.sequence()
        return made

    @property
    def file(self) -> CheckpointFile:
        return CheckpointFile(self.folder / "log" / "checkpoint")

    @property
    def note(self) -> str:
        note = self.file.read()
        assert note is not None
        return note

    def sequencer(self) -> Sequencer:
        return Sequencer(self.engine, None, self.key, self.file, clock=lambda: self.now)

    def sequence(self) -> int:
        """Everything that is pending, a minute later than before."""
        self.now += 60
        sequencer = self.sequencer()
        while sequencer.run_once(self.lease).busy:
            pass
        return sequencer.run_once(self.lease).size

    def refuses(self) -> str:
        """Why a fresh keeper signs nothing on top of what stands now."""
        try:
            self.sequencer().run_once(self.lease)
        except Failure as failure:
            assert failure.code == "audit.inconsistent", failure.code
            return str(failure.facts["reason"])
        raise AssertionError("the sequencer went on as if nothing had been")

    def verify(self, **options: Any) -> Report:
        with snapshot(self.engine) as connection:
            return verify_log(connection, self.key.vkey, **{"newest": self.note, **options})

    def complete(self) -> Completeness:
        with snapshot(self.engine) as connection:
            return check_complete(connection)


class Agency:
    """What an agency has of the log, by the client kit."""

    def __init__(self, folder: Path, key: LogKey, *notes: str, connection: Connection) -> None:
        self.key = NoteKey.from_text(key.vkey)
        self.witness = CheckpointMonitor(self.key, folder, lambda: BEGAN)
        for note in notes:
            self.see(note, connection)

    def see(self, note: str, connection: Connection) -> None:
        """An answer came with this checkpoint; the gateway (of that database) proves it, if it can."""

        async def fetch(older: int, newer: int) -> Sequence[bytes] | None:
            try:
                return proofs.consistency(connection, older, newer).hashes
            except Failure:
                raise LookupError from None

        asyncio.run(self.witness.see(note, fetch))

    def prove(self, receipt: Receipt, connection: Connection) -> kit.Proof:
        """What the gateway says to a receipt, checked as the kit does; ValueError where it does not hold."""
        found = proofs.inclusions(connection, receipt.transfer)
        text = json.dumps(
            {
                "transfer": receipt.transfer,
                "checkpoint": found[0].note,
                "entries": [
                    {
                        "phase": each.phase,
                        "index": each.index,
                        "leaf": _b64(each.leaf),
                        "proof": [_b64(hash) for hash in each.hashes],
                    }
                    for each in found
                ],
            }
        )
        return kit.check(text.encode(), self.key, receipt.transfer, receipt)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def receipt(connection: Connection, transfer: str) -> Receipt:
    """As the answer carried it."""
    text = connection.execute(select(tables.transfer.c.receipt).where(tables.transfer.c.id == transfer)).scalar_one()
    return Receipt(transfer, {phase: base64.b64decode(leaf) for phase, leaf in json.loads(text).items()})


# --- what the insider does --------------------------------------------------------------------------------------------
def entered(connection: Connection) -> list[Entered]:
    table = tables.log_entry.c
    rows = connection.execute(select(table.transfer, table.phase, table.entry, table.sequenced).order_by(table.idx))
    return [Entered(transfer, phase, bytes(entry), sequenced) for transfer, phase, entry, sequenced in rows]


def rewrite(connection: Connection, entries: Sequence[Entered], key: LogKey | None = None) -> str | None:
    """Another history, each leaf, tile and root of it as it must be. With the log's key checkpoints are signed anew, at
    the end of each minute as the sequencer keeps them, and the newest one is what he then puts beside the database;
    without it only those that were truly signed can stay."""
    signed = list(connection.execute(select(tables.checkpoint).order_by(tables.checkpoint.c.size)))
    for table in (tables.log_entry, tables.log_tile, tables.checkpoint):
        connection.execute(delete(table))
    sizes, builder, notes = {row.size: row for row in signed}, Builder(), []
    if key is not None and signed:
        ends = [at for at in range(1, len(entries)) if entries[at - 1].sequenced // 60 != entries[at].sequenced // 60]
        sizes = dict.fromkeys((*ends, len(entries)), signed[-1])
    rows = []
    for idx, each in enumerate(entries):
        leaf = leaf_hash(each.entry)
        builder.append(leaf)
        rows.append(
            {
                "idx": idx,
                "transfer": each.transfer,
                "phase": each.phase,
                "entry": each.entry,
                "leaf": leaf,
                "sequenced": each.sequenced,
            }
        )
        if (old := sizes.get(builder.size)) is not None:
            root = root_of_edge(builder)
            note = key.sign(builder.size, root) if key is not None else old.note
            notes.append(
                {
                    "size": builder.size,
                    "root": root if key is not None else old.root,
                    "note": note,
                    "signed": old.signed,
                }
            )
    connection.execute(insert(tables.log_entry), rows)
    connection.execute(
        insert(tables.log_tile),
        [{"level": tile.level, "number": tile.number, "hashes": tile.hashes} for tile in builder.take()],
    )
    if notes:
        connection.execute(insert(tables.checkpoint), notes)
    return str(notes[-1]["note"]) if notes else None


History = Callable[[list[Entered]], list[Entered]]


def forged(entry: Entered) -> Entered:
    """The same entry, with another agency as its caller or another end."""
    other = entry.entry.replace(b"H14.5", b"H99.9").replace(b'"status":200', b'"status":502')
    assert other != entry.entry
    return Entered(entry.transfer, entry.phase, other, entry.sequenced)


def put_in(beside: Entered) -> list[Entered]:
    """Both entries of a transfer that never was."""
    made = handed_in("nobody").log
    return [Entered(row.transfer, row.phase, row.entry, beside.sequenced) for row in made]


def without(log: list[Entered], transfer: str) -> list[Entered]:
    return [each for each in log if each.transfer != transfer]


# Each makes another history of the true one, with care: no intent without its outcome, none behind it, no time that
# goes back.
HISTORIES: dict[str, History] = {
    "the first entry edited": lambda log: [forged(log[0]), *log[1:]],
    "an entry in the middle edited": lambda log: [*log[:301], forged(log[301]), *log[302:]],
    "the last entry edited": lambda log: [*log[:-1], forged(log[-1])],
    "an outcome deleted": lambda log: [*log[:301], *log[302:]],
    "the first transfer made never to have been": lambda log: without(log, log[0].transfer),
    "a transfer made never to have been": lambda log: without(log, log[40].transfer),
    "a transfer put in": lambda log: [*log[:100], *put_in(log[99]), *log[100:]],
    "two transfers in each other's place": lambda log: [*log[:10], *log[12:14], *log[10:12], *log[14:]],
}

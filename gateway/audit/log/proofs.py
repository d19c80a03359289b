"""Proofs from the log, for holders of a receipt or an older checkpoint (RFC 6962 §2.1, C2SP tlog-proof).

Invariant: a proof leads to a signed checkpoint of the database, the newest unless another is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.audit.errors import AUDIT_NO_TILE, AUDIT_NOT_LOGGED
from gateway.audit.log.tiles import tile_reader
from gateway.journal.schema import tables
from security.transparency.checkpoint import proof_text
from security.transparency.merkle import consistency_proof, inclusion_proof
from security.transparency.tiles import hashes_at


@dataclass(frozen=True, slots=True)
class Inclusion:
    """One entry of a transfer, and the hashes from its leaf to the root of the checkpoint."""

    index: int
    phase: str
    entry: bytes
    leaf: bytes
    hashes: tuple[bytes, ...]
    note: str

    def text(self, *, header: bool = True) -> str:
        """The form of C2SP tlog-proof; some checkers want it without its header line."""
        return proof_text(self.index, self.hashes, self.note, header=header)


@dataclass(frozen=True, slots=True)
class Consistency:
    """Proof that the tree of `new` entries extends that of `old`.

    `note` is the newest checkpoint, of at least `new` entries.
    """

    old: int
    new: int
    hashes: tuple[bytes, ...]
    note: str


def newest(connection: Connection) -> tuple[int, str] | None:
    """Size and note of the newest checkpoint in the database."""
    table = tables.checkpoint.c
    row = connection.execute(select(table.size, table.note).order_by(table.size.desc()).limit(1)).first()
    return None if row is None else (int(row[0]), str(row[1]))


def inclusions(connection: Connection, transfer: str, under: tuple[int, str] | None = None) -> list[Inclusion]:
    """A proof for each entry of a transfer, in order, under the checkpoint `under` (size and note) or the newest.

    Raises `audit.not-logged` if the transfer has no entry there.
    """
    table, top = tables.log_entry.c, under or newest(connection)
    rows = (
        connection.execute(
            select(table.idx, table.phase, table.entry, table.leaf)
            .where(table.transfer == transfer, table.idx < top[0])
            .order_by(table.idx)
        ).all()
        if top is not None
        else []
    )
    if top is None or not rows:
        raise AUDIT_NOT_LOGGED(transfer=transfer)
    size, note = top
    read = hashes_at(size, tile_reader(connection))
    return [
        Inclusion(
            index=int(idx),
            phase=phase,
            entry=bytes(entry),
            leaf=bytes(leaf),
            hashes=tuple(inclusion_proof(int(idx), size, read)),
            note=note,
        )
        for idx, phase, entry, leaf in rows
    ]


def consistency(connection: Connection, old: int, new: int | None = None) -> Consistency:
    """The proof from the tree of `old` entries to that of `new`, or of the newest checkpoint if None."""
    top = newest(connection)
    if top is None or not 0 <= old <= (new if new is not None else top[0]) <= top[0]:
        raise AUDIT_NO_TILE(path=f"checkpoint {old} → {new if new is not None else '…'}")
    size, note = top
    to = size if new is None else new
    return Consistency(old, to, tuple(consistency_proof(old, to, hashes_at(size, tile_reader(connection)))), note)

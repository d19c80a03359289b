"""Checks the pieces of large files: contents of messages (`vault.attachments`) and files beside them (`opaque_bodies`).

How many pieces there are, and how long, follows from the sealed list of a transfer, and from the entry about a file.
Pieces that are missing, or of another length, are found by that. Changed ones are found where each is opened: what is
opened is then also compared with the sealed digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from contracts.base.errors import Failure, Ours
from gateway.audit.verify.findings import Findings
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from gateway.vault import attachments, binding, opaque_bodies
from gateway.vault.vault import GONE, Vault
from security.seal import plain_size

_AT_ONCE: Final = 500
_vault: Final = tables.vault.c


class Files(NamedTuple):
    """`open_all`: each piece is opened. Without it only what says how many pieces there are."""

    vault: Vault
    open_all: bool = False


class _Of(NamedTuple):
    """What consists of pieces. `digests`: (length, SHA-256) of its parts, one after the other; empty if unknown."""

    name: str
    prefix: str  # of the ids of its pieces
    size: int
    digests: Sequence[tuple[int, bytes]] = ()


def check_pieces(connection: Connection, wrong: Findings, files: Files | None) -> None:
    """`files` is None for an account that may not read the vault's keys: then lists of transfers are not opened."""
    destroyed = set(connection.scalars(select(tables.vault_destroyed.c.key_id)))
    for each in (*_contents(connection, wrong, files), *_bodies(connection, wrong, files)):
        ids = [f"{each.prefix}{number}" for number in range(-(-each.size // attachments.PIECE))]
        wrong.count("pieces of large files", len(ids))
        if _stands(connection, wrong, each, ids, destroyed) and files is not None and files.open_all:
            _opened(connection, wrong, each, ids, files.vault)


def _contents(connection: Connection, wrong: Findings, files: Files | None) -> Iterator[_Of]:
    lists = select(_vault.id).where(_vault.id.like(f"%/{attachments.PART}"), func.length(_vault.sealed) > 0)
    for id in connection.scalars(lists.order_by(_vault.id)).all() if files is not None else ():
        transfer, name = id.partition("/")[0], f"transfer {id.partition('/')[0]}: its large contents"
        try:
            assert files is not None
            spool = attachments.stored(attachments.of_connection(connection, files.vault), transfer)
        except Failure as failure:
            if failure.code not in GONE:
                wrong.add(f"{name}: their list does not open ({failure.code})")
            continue
        if spool is not None:
            digests = [(each.size, each.sha256) for each in spool.attachments]
            yield _Of(name, f"{transfer}/{attachments.PART}.", attachments.total(spool), digests)


def _bodies(connection: Connection, wrong: Findings, files: Files | None) -> Iterator[_Of]:
    """The files whose entry is in the log, and no entry of their removal."""
    notes = read_notes(connection, (opaque_bodies.RECEIVED, opaque_bodies.REMOVED))
    removed = {note.transfer for note in notes if note.what == opaque_bodies.REMOVED}
    for note in notes:
        size = note.facts.get("size")
        if note.what != opaque_bodies.RECEIVED or note.transfer in removed or not isinstance(size, int):
            continue
        name, id = f"file {note.transfer}", f"{note.transfer}/{opaque_bodies.PART}"
        sealed = connection.scalar(select(func.substr(_vault.sealed, 1, binding.HEAD)).where(_vault.id == id))
        if sealed is None:
            wrong.add(f"{name}: the log says that it came, and the vault has none")
            continue
        if sealed and binding.split(bytes(sealed))[0] != note.leaf:
            wrong.add(f"{name}: what the vault has was sealed with another entry than the log has")
        digests: list[tuple[int, bytes]] = []
        if files is not None and files.open_all and sealed:
            try:
                known = opaque_bodies.description(attachments.of_connection(connection, files.vault), note.transfer)
                digests = [] if known is None else [(known.size, bytes.fromhex(known.sha256))]
            except Ours as failure:
                if failure.code not in GONE:
                    wrong.add(f"{name}: its description does not open ({failure.code})")
        yield _Of(name, f"{note.transfer}/{opaque_bodies.PART}.", size, digests)


def _stands(connection: Connection, wrong: Findings, of: _Of, ids: Sequence[str], destroyed: set[str]) -> bool:
    """Whether all pieces are there, with their lengths, and under keys that were not destroyed."""
    whole, number, piece = True, 0, attachments.PIECE
    for some in (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE)):
        columns = (_vault.id, _vault.key_id, _vault.size, func.length(_vault.sealed))
        rows = {row[0]: row for row in connection.execute(select(*columns).where(_vault.id.in_(some)))}
        for id in some:
            row, size = rows.get(id), min(piece, of.size - number * piece)
            number += 1
            if row is not None and not row[3] and row[1] in destroyed:
                whole = False  # its retention has ended
                continue
            if row is None or not row[3]:
                wrong.add(f"{of.name}: its piece {id} is gone from the vault")
            elif row[2] != size or plain_size(row[3]) != size:
                wrong.add(f"{of.name}: its piece {id} has {row[2]} bytes; it had {size}")
            else:
                continue
            whole = False
    return whole


def _opened(connection: Connection, wrong: Findings, of: _Of, ids: Iterable[str], vault: Vault) -> None:
    digests, at, left = list(of.digests), 0, b""
    sha256 = hashlib.sha256()
    for id in ids:
        try:
            left = vault.open(connection, id)
        except Ours as failure:
            if failure.code not in GONE:
                wrong.add(f"{of.name}: its piece {id} does not open ({failure.code})")
            return
        while digests and left:
            size, digest = digests[0]
            part, left = left[: size - at], left[size - at :]
            sha256.update(part)
            at += len(part)
            if at == size:
                if sha256.digest() != digest:
                    wrong.add(f"{of.name}: what is sealed has another digest")
                digests, at, sha256 = digests[1:], 0, hashlib.sha256()

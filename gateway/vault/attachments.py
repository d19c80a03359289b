"""Keeps the large contents of a transfer once, in pieces, beside its bodies that hold stand-ins for them.

    <transfer>/attachments        JSON: the nonce of the stand-ins; length and SHA-256 of each content, in order
    <transfer>/attachments.<n>    the contents one after the other, `PIECE` bytes a row, from 0 on

The pieces are committed before the intent, in units of a few. The list is committed with the intent, and sealed with
its leaf. A piece's name is authenticated (`vault`), so neither order nor length can change.
Invariant: `restored` gives the bytes that were sealed into the log's digests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, delete, select

from contracts.base.errors import Ours
from contracts.wire.attachments import STAND_INS_BEGIN, Attachment, Spool
from contracts.wire.base64_lines import Lines
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow
from gateway.vault.errors import VAULT_BROKEN, VAULT_NOT_FOUND
from gateway.vault.vault import Meta, Opened, Vault

PART: Final = "attachments"
PIECE: Final = 1_048_576
OpenBody = Callable[[str], Opened]


def listed(spool: Spool) -> bytes:
    files = [
        {"size": each.size, "sha256": each.sha256.hex()} | ({"lines": _written(each.lines)} if each.lines else {})
        for each in spool.attachments
    ]
    return json.dumps({"nonce": spool.nonce.hex(), "files": files}, separators=(",", ":")).encode()


def _written(lines: Lines) -> list[list[object]]:
    return [[length, space.decode("ascii"), count] for length, space, count in lines]


def total(spool: Spool) -> int:
    return sum(each.size for each in spool.attachments)


def pieces(spool: Spool) -> Iterator[bytes]:
    """The contents one after the other, `PIECE` bytes at a time."""
    left = bytearray()
    for attachment in spool.attachments:
        for part in spool.contents(attachment):
            left += part
            while len(left) >= PIECE:
                yield bytes(left[:PIECE])
                del left[:PIECE]
    if left:
        yield bytes(left)


def sealed(vault: Vault, transfer: str, parts: Iterable[bytes], now: float, retention: str) -> Iterator[VaultRow]:
    for number, part in enumerate(parts):
        yield vault.seal(transfer, f"{PART}.{number}", part, now, retention)


class _Pieces:
    """The contents in the vault (`contracts.wire.attachments.File`), read only, one piece in memory."""

    def __init__(self, open_body: OpenBody, transfer: str, size: int) -> None:
        self._open, self._transfer, self._size = open_body, transfer, size
        self._at = 0
        self._kept: tuple[int, bytes] = (-1, b"")

    def read(self, length: int = -1, /) -> bytes:
        end = self._size if length < 0 else min(self._at + length, self._size)
        parts: list[bytes] = []
        while self._at < end:
            number, inside = divmod(self._at, PIECE)
            part = self._piece(number)[inside : inside + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def seek(self, at: int, whence: int = 0, /) -> int:
        self._at = at + (self._size if whence == 2 else 0)
        return self._at

    def write(self, _data: bytes, /) -> int:
        raise ValueError("read only")

    def truncate(self) -> int:
        raise ValueError("read only")

    def _piece(self, number: int) -> bytes:
        if self._kept[0] != number:
            id = f"{self._transfer}/{PART}.{number}"
            plain = self._open(id).plain
            if len(plain) != min(PIECE, self._size - number * PIECE):
                raise VAULT_BROKEN(id=id, key_id="-")
            self._kept = (number, plain)
        return self._kept[1]


def opener(engine: Engine, vault: Vault) -> OpenBody:
    """Opens each body over a connection of its own, so that a slow reader holds none."""

    def opened(id: str) -> Opened:
        with engine.connect() as connection:
            return vault.open_bound(connection, id)

    return opened


def of_connection(connection: Connection, vault: Vault) -> OpenBody:
    return partial(vault.open_bound, connection)


def mentions(body: bytes) -> bool:
    """Whether a body may hold stand-ins; any message may hold this text by chance or malice."""
    return any(begin in body for begin in STAND_INS_BEGIN)


def stored(open_body: OpenBody, transfer: str, check: Callable[[Opened], object] = lambda opened: None) -> Spool | None:
    """The attachments of a transfer; None if it has none. `check` gets the opened list."""
    try:
        opened = open_body(f"{transfer}/{PART}")
    except Ours as failure:
        if failure.code == VAULT_NOT_FOUND.code:
            return None
        raise
    check(opened)
    value, start = json.loads(opened.plain), 0
    attachments: list[Attachment] = []
    for each in value["files"]:
        lines = tuple((length, space.encode("ascii"), count) for length, space, count in each.get("lines", ()))
        attachments.append(Attachment(start, each["size"], bytes.fromhex(each["sha256"]), lines))
        start += each["size"]
    return Spool(_Pieces(open_body, transfer, start), bytes.fromhex(value["nonce"]), attachments)


def restored(open_body: OpenBody, transfer: str, body: bytes) -> Iterator[bytes]:
    """A body of this transfer as it travelled."""
    spool = stored(open_body, transfer) if mentions(body) else None
    return iter((body,)) if spool is None else spool.restore(body)


def discard(
    engine: Engine,
    lock: FileLock | None,
    transfer: str,
    check: Callable[[Connection], object] = lambda connection: None,
) -> None:
    """Removes the pieces of a transfer that was not committed. `check` is called in the transaction."""
    table = tables.vault.c
    prefix = f"{transfer}/{PART}."
    mine = (table.id > prefix, table.id < f"{transfer}/{PART}/")
    known = select(tables.transfer.c.id).where(tables.transfer.c.id == transfer)
    with writing(engine, lock) as connection:
        check(connection)
        connection.execute(delete(tables.vault).where(*mine, ~known.exists()))


def meta(vault: Vault, connection: Connection, id: str) -> Meta | None:
    """As `Vault.meta`, with the size of the body as it travelled."""
    found = vault.meta(connection, id)
    composed = _composed(vault, connection, id) if found is not None else None
    return found if composed is None or found is None else found._replace(size=composed[0].size(composed[1]))


def view(vault: Vault, connection: Connection, meta: Meta, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """As `Vault.pieces`, of the body as it travelled."""
    composed = _composed(vault, connection, meta.id)
    if composed is None:
        yield from vault.pieces(connection, meta, start, stop)
        return
    at, end = 0, meta.size if stop is None else min(stop, meta.size)
    for piece in composed[0].restore(composed[1]):
        if at >= end:
            return
        yield piece[max(start - at, 0) : end - at]
        at += len(piece)


def _composed(vault: Vault, connection: Connection, id: str) -> tuple[Spool, bytes] | None:
    """(contents, body with stand-ins) of a body that has any."""
    transfer, _, part = id.partition("/")
    if part.startswith(PART):
        return None
    spool = stored(of_connection(connection, vault), transfer)
    return None if spool is None else (spool, vault.open(connection, id))

"""Keeps what has come of opaque bodies that are uploaded in several requests, until each is whole.

    <upload>/upload        JSON: what its sender stated of the file, and who it was
    <upload>/upload.<n>    what has come, as it travels: `PIECE` bytes a row, from 0 on; the last row may have fewer
    <upload>/upload-done   JSON: what was answered when it was whole

Its row in `opaque_body` counts its stated size against its agency, as that of a body. A whole file gets an id of its
own, as one that came in one request (`gateway.vault.opaque_bodies`). What has come is then removed.
Invariant: rows are added behind what is there, in one transaction with the check. So two requests cannot mix their
  bytes, and none leaves a gap.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from contracts.base.errors import Ours
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow
from gateway.vault.attachments import OpenBody
from gateway.vault.errors import UPLOAD_OFFSET, UPLOAD_UNKNOWN, VAULT_NOT_FOUND
from gateway.vault.vault import Vault

PART: Final = "upload"
DONE: Final = "upload-done"
_AT_ONCE: Final = 64  # pieces that are removed together
_vault: Final = tables.vault.c


@dataclass(frozen=True, slots=True)
class Partial:
    """What the sender stated. `size` and `digest` (as in Repr-Digest) are of what travels."""

    agency: str
    system: str
    contract: str
    operation: str
    media_type: str
    size: int
    digest: str
    retention: str


def sealed_statement(vault: Vault, upload: str, stated: Partial, now: float) -> VaultRow:
    return vault.seal(upload, PART, json.dumps(asdict(stated)).encode(), now, stated.retention)


def sealed_part(vault: Vault, upload: str, number: int, data: bytes, now: float, retention: str) -> VaultRow:
    return vault.seal(upload, f"{PART}.{number}", data, now, retention)


def sealed_answer(vault: Vault, upload: str, answer: dict[str, Any], now: float, retention: str) -> VaultRow:
    return vault.seal(upload, DONE, json.dumps(answer).encode(), now, retention)


def statement(open_body: OpenBody, upload: str) -> Partial | None:
    """None if there is no such upload."""
    found = _read(open_body, f"{upload}/{PART}")
    return None if found is None else Partial(**found)


def answer(open_body: OpenBody, upload: str) -> dict[str, Any] | None:
    """What was answered when the file was whole; None before."""
    return _read(open_body, f"{upload}/{DONE}")


def _read(open_body: OpenBody, id: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(open_body(id).plain)
    except Ours as failure:
        if failure.code == VAULT_NOT_FOUND.code:
            return None
        raise
    return found


def part(open_body: OpenBody, upload: str, number: int) -> bytes:
    return open_body(f"{upload}/{PART}.{number}").plain


def came(connection: Connection, upload: str) -> int:
    """The number of bytes that are kept."""
    return int(connection.scalar(select(func.coalesce(func.sum(_vault.size), 0)).where(*_parts(upload))) or 0)


def _parts(upload: str) -> tuple[ColumnElement[bool], ...]:
    return _vault.id > f"{upload}/{PART}.", _vault.id < f"{upload}/{PART}/"


def begin(connection: Connection, row: VaultRow) -> None:
    """`row`: the sealed statement. Its body was reserved in this transaction."""
    connection.execute(insert(tables.vault).values(row._asdict()))


def add(engine: Engine, upload: str, at: int, rows: tuple[VaultRow, ...]) -> None:
    """Keeps more pieces behind the first `at` bytes. `upload.offset` if others came there meanwhile; `upload.unknown`
    if it was removed.
    """
    table = tables.opaque_body
    with writing(engine) as connection:
        held = connection.scalar(select(table.c.size).where(table.c.id == upload).with_for_update())
        if held is None:
            raise UPLOAD_UNKNOWN(upload=upload)
        there = came(connection, upload)
        if there != at or not held:
            raise UPLOAD_OFFSET(offset=there, got=at)
        connection.execute(insert(tables.vault), [row._asdict() for row in rows])


def clear(
    engine: Engine,
    upload: str,
    *,
    whole: bool,
    lock: FileLock | None = None,
    check: Callable[[Connection], object] = lambda connection: None,
) -> None:
    """Removes what has come; with its statement unless the file is whole, whose answer is still told.

    `check` is called in each transaction.
    """
    while True:
        with writing(engine, lock) as connection:
            check(connection)
            some = select(_vault.id).where(*_parts(upload)).limit(_AT_ONCE)
            ids = list(connection.scalars(some))
            connection.execute(delete(tables.vault).where(_vault.id.in_(ids)))
        if len(ids) < _AT_ONCE:
            break
    table = tables.opaque_body
    with writing(engine, lock) as connection:
        check(connection)
        if whole:
            connection.execute(update(table).where(table.c.id == upload).values(size=0))
        else:
            connection.execute(delete(tables.vault).where(_vault.id.in_([f"{upload}/{PART}", f"{upload}/{DONE}"])))
            connection.execute(delete(table).where(table.c.id == upload))

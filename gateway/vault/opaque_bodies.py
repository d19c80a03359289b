"""Keeps opaque bodies: large files that documents refer to (`contracts.wire.body_references`).

    <body>/body        JSON, sealed with the leaf of its entry in the log: what the body is, and whose
    <body>/body.<n>    its bytes, `PIECE` a row, from 0 on

The pieces are committed while they come, the description at last, with its entry. A body without a description does not
count. Its row in `opaque_body` counts its bytes against its agency; `opaque_use` names the transfers that refer to it.
Invariant: who may have a body follows from sealed bodies alone, never from those rows.
Invariant: a piece's name and length are authenticated, so no piece can be another's, and none can be missing unseen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import LogRow, VaultRow
from gateway.vault.attachments import PIECE, OpenBody
from gateway.vault.errors import BODY_WAITING, VAULT_BROKEN, VAULT_NOT_FOUND
from gateway.vault.vault import Vault

PART: Final = "body"
RECEIVED: Final = "opaque-body"  # the notes of the log: it came; it was fetched; it was removed, as nobody named it
FETCHED: Final = "opaque-body-read"
REMOVED: Final = "opaque-body-removed"
GRACE: Final = 3600.0  # seconds between the last moment at which a body may be named, and its removal
RETRY_SECONDS: Final = 600
_AT_ONCE: Final = 64  # pieces that are removed together


@dataclass(frozen=True, slots=True)
class Described:
    """What is sealed beside a body. `salt`: hexadecimal, of the digest in the log. `encrypted`: it came so."""

    agency: str
    system: str
    contract: str  # "<contract>/v<major>"
    operation: str
    media_type: str
    size: int
    sha256: str
    salt: str
    encrypted: bool = False

    def reference(self, body: str) -> BodyReference:
        return BodyReference(body, self.size, self.sha256)


def sealed_piece(vault: Vault, body: str, number: int, data: bytes, now: float, retention: str) -> VaultRow:
    return vault.seal(body, f"{PART}.{number}", data, now, retention)


def sealed_description(
    vault: Vault, body: str, described: Described, leaf: bytes, now: float, retention: str
) -> VaultRow:
    """`leaf`: of the entry that says that it came."""
    return vault.seal(body, PART, json.dumps(asdict(described)).encode(), now, retention, leaf)


def description(open_body: OpenBody, body: str) -> Described | None:
    """None if there is no such body, or it has not come as a whole."""
    try:
        return Described(**json.loads(open_body(f"{body}/{PART}").plain))
    except Ours as failure:
        if failure.code == VAULT_NOT_FOUND.code:
            return None
        raise


def pieces(size: int) -> int:
    """The number of pieces of a body of that many bytes."""
    return -(-size // PIECE)


def piece(open_body: OpenBody, body: str, number: int, size: int) -> bytes:
    """One piece of a body of `size` bytes; `vault.broken` if it has not the length that it must have."""
    id = f"{body}/{PART}.{number}"
    plain = open_body(id).plain
    if len(plain) != min(PIECE, size - number * PIECE):
        raise VAULT_BROKEN(id=id, key_id="-")
    return plain


def reserve(
    connection: Connection, body: str, agency: str, size: int, since: str, most: int, instead: str = ""
) -> None:
    """Counts a body that is to come; `body.waiting` if more than `most` bytes of its agency would wait.

    `since`: bodies with lower ids do not wait any more. `instead`: the upload whose place it takes. Runs in a writing
    transaction.
    """
    table, use = tables.opaque_body, tables.opaque_use
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"opaque {agency}"})
    used = select(use.c.body).where(use.c.body == table.c.id).exists()
    waiting = select(func.coalesce(func.sum(table.c.size), 0)).where(
        table.c.agency == agency, table.c.id >= since, table.c.id != instead, ~used
    )
    if int(connection.scalar(waiting) or 0) + size > most:
        raise BODY_WAITING(agency=agency, most=most, retry_after=RETRY_SECONDS)
    connection.execute(insert(table).values(id=body, agency=agency, size=size))


def first_waiting(now: float, hours: float) -> str:
    """The lower bound of the ids of bodies that wait at that moment, or are still to be removed."""
    return new_id(max(0, int((now - hours * 3600 - GRACE) * 1000)))[:13]


def remove(
    engine: Engine,
    lock: FileLock | None,
    body: str,
    size: int,
    check: Callable[[Connection], object] = lambda connection: None,
    note: Callable[[], LogRow] | None = None,
) -> None:
    """Removes a body of `size` bytes, unless a transfer names it, in steps that hold the database for a moment each.

    `check` is called in each transaction. `note` is the entry that tells the log of a body that had counted.
    """
    vault, table, use = tables.vault.c, tables.opaque_body, tables.opaque_use.c
    with writing(engine, lock) as connection:
        check(connection)
        if connection.scalar(select(use.body).where(use.body == body).limit(1)) is not None:
            return
        if connection.execute(delete(tables.vault).where(vault.id == f"{body}/{PART}")).rowcount and note is not None:
            append(connection, [note()])
    ids = [f"{body}/{PART}.{number}" for number in range(pieces(size))]
    for at in range(0, len(ids), _AT_ONCE):
        with writing(engine, lock) as connection:
            check(connection)
            connection.execute(delete(tables.vault).where(vault.id.in_(ids[at : at + _AT_ONCE])))
    with writing(engine, lock) as connection:
        check(connection)
        connection.execute(delete(table).where(table.c.id == body))

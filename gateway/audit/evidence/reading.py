"""Reads a body from the vault, for a reason, with a note in the log.

Invariant: the note `body-view` (actor, reason, transfer, part, bytes) is committed, so on disk, before the first byte
is returned. A body that cannot be read (expired, unknown, no reason) leaves no note, as nothing was disclosed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, select

from contracts.base.errors import Theirs
from contracts.base.ids import new_id
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.vault.errors import VAULT_NO_PART, VAULT_NO_REASON, VAULT_NOT_FOUND
from gateway.vault.vault import Meta, Vault
from security.transparency.entry import Json, Note, freeze

NOTE: Final = "body-view"
LEAST_REASON: Final = 10


@dataclass(frozen=True, slots=True)
class View:
    """A body that may be read; `pieces` yields its bytes in order."""

    transfer: str
    part: str
    size: int  # of the whole body
    start: int
    stop: int
    note: str  # the phase of the note
    pieces: Iterator[bytes]


@contextmanager
def view_body(
    engine: Engine,
    lock: FileLock | None,
    vault: Vault,
    transfer: str,
    part: str,
    *,
    reason: str,
    actor: str,
    now: float,
    start: int = 0,
    stop: int | None = None,
    ready: Callable[[Meta], object] = lambda meta: None,
) -> Iterator[View]:
    """Logs the reading, then gives the body. `ready` gets the body's metadata before anything is logged or read."""
    stated = reason.strip()
    if len(stated) < LEAST_REASON:
        raise VAULT_NO_REASON(length=len(stated), least=LEAST_REASON)
    with engine.connect() as connection:
        meta = vault.meta(connection, f"{transfer}/{part}")
        if meta is None:
            raise _no_part(connection, transfer, part)
    end = meta.size if stop is None else min(stop, meta.size)
    first = min(start, end)
    ready(meta)
    row = _note(transfer, part, stated, actor, meta, first, end, now)
    with writing(engine, lock) as connection:
        append(connection, [row])
    with engine.connect() as connection:
        after = vault.meta(connection, meta.id)  # a hold may have changed its key meanwhile
        if after is None:
            raise VAULT_NOT_FOUND(id=meta.id)
        yield View(transfer, part, meta.size, first, end, row.phase, vault.pieces(connection, after, first, end))


def _note(transfer: str, part: str, reason: str, actor: str, meta: Meta, start: int, stop: int, now: float) -> LogRow:
    """A note about the transfer, so that its journey shows the reading, under a phase of its own."""
    facts: dict[str, Json] = {"part": part, "reason": reason, "size": meta.size, "key": meta.key_id}
    if (start, stop) != (0, meta.size):
        facts["range"] = f"{start}-{stop}"
    frozen = freeze(Note(transfer, now, NOTE, actor, facts))
    return LogRow(transfer, f"{NOTE}#{new_id(int(now * 1000))}", frozen.entry, frozen.leaf)


def _no_part(connection: Connection, transfer: str, part: str) -> Theirs:
    """The error that lists the parts of the transfer."""
    ids = [f"{transfer}/{each}" for each in PARTS]
    stored = connection.scalars(select(tables.vault.c.id).where(tables.vault.c.id.in_(ids)))
    parts = sorted(id.partition("/")[2] for id in stored)
    return VAULT_NO_PART(transfer=transfer, part=part, parts=", ".join(parts) or "–")


_SENT: Final = ("forwarded", "provider-answer", "forwarded-opened", "provider-answer-opened")
PARTS: Final = (
    "request",
    "request-opened",
    "canonical",
    *_SENT,
    "answer",
    "salt",
    *(f"in-doubt-{each}" for each in _SENT),
)

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
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.vault import attachments
from gateway.vault.binding import EVENT_PART
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Which bytes of which body (`stop` excluded, None: to its end) an actor wants to read, and why."""

    transfer: str
    part: str
    reason: str
    actor: str
    now: float  # Unix seconds
    start: int = 0
    stop: int | None = None


@contextmanager
def view_body(
    engine: Engine, vault: Vault, reading: Reading, ready: Callable[[Meta], object] = lambda meta: None
) -> Iterator[View]:
    """Logs the reading, then gives the body. `ready` gets the body's metadata before anything is logged or read."""
    length = len(reading.reason.strip())
    if length < LEAST_REASON:
        raise VAULT_NO_REASON(length=length, least=LEAST_REASON)
    transfer, part = reading.transfer, reading.part
    with engine.connect() as connection:
        meta = attachments.meta(vault, connection, f"{transfer}/{part}")
        if meta is None:
            raise _no_part(connection, transfer, part)
    stop = meta.size if reading.stop is None else min(reading.stop, meta.size)
    start = min(reading.start, stop)
    ready(meta)
    row = _note(reading, meta, start, stop)
    with writing(engine) as connection:
        append(connection, [row])
    with engine.connect() as connection:
        after = attachments.meta(vault, connection, meta.id)  # a hold may have changed its key meanwhile
        if after is None:
            raise VAULT_NOT_FOUND(id=meta.id)
        pieces = attachments.view(vault, connection, after, start, stop)
        yield View(transfer=transfer, part=part, size=meta.size, start=start, stop=stop, note=row.phase, pieces=pieces)


def _note(reading: Reading, meta: Meta, start: int, stop: int) -> LogRow:
    """A note about the transfer, so that its journey shows the reading, under a phase of its own."""
    facts: dict[str, Json] = {
        "part": reading.part,
        "reason": reading.reason.strip(),
        "size": meta.size,
        "key": meta.key_id,
    }
    if (start, stop) != (0, meta.size):
        facts["range"] = f"{start}-{stop}"
    frozen = freeze(Note(reading.transfer, reading.now, NOTE, reading.actor, facts))
    return LogRow(reading.transfer, f"{NOTE}#{new_id(int(reading.now * 1000))}", frozen.entry, frozen.leaf)


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
    EVENT_PART,
    *(f"in-doubt-{each}" for each in _SENT),
    *("call", "call-request", "call-answer"),  # of a sandbox: how a vendor's call went, and its bodies
)

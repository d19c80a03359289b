"""Decides whether a restored log continues under its own origin or a new one.

| the newest checkpoint known from outside | the log continues as |
|---|---|
| signs exactly the restored entries | itself |
| signs more | a new origin: signed entries are missing |
| signs less, or there is none | a new origin, unless the operator states that the backup is complete |
| signs other entries of the same number or fewer | nothing: the backup is refused |
If the log's key is lost, it is a new origin too.
Invariant: two keys never sign under one log name.
Invariant: a log that lacks an entry known to be signed is not signed further.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.audit.log.tiles import root_at
from gateway.backup.errors import BACKUP_FORKED, BACKUP_OLD_KEY
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey


@dataclass(frozen=True, slots=True)
class Known:
    """A note from outside, and its source."""

    name: str
    note: str
    by_operator: bool = True  # else from the old data folder, which may be another instance by now


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` for a new origin: missing | unproven | key-lost | reopened; None if the log continues."""

    reason: str | None
    newest: str | None  # the newest known note of the old log
    newest_size: int
    others: tuple[str, ...]  # origins of notes that came after the old log ended


@dataclass(frozen=True, slots=True)
class Held:
    """The restored log: its size and checkpoint, whether the operator says it is complete, whether its key is here."""

    size: int
    note: str | None
    complete: bool
    has_key: bool


def decide(
    connection: Connection,
    key: NoteKey,
    held: Held,
    outside: Sequence[Known],
) -> Decision:
    """Decide by the notes from `outside`.

    Raises `backup.old-key` for a note not signed by the log's key, `backup.forked` for a contradiction.
    """
    size = held.size
    newest, newest_size, others = held.note, size, list[str]()
    proven = False
    for each in outside:
        checkpoint = _of(each, key, others)
        if checkpoint is None:
            continue
        if checkpoint.size <= size:
            if root_at(connection, checkpoint.size) != checkpoint.root:
                raise BACKUP_FORKED(name=each.name, size=checkpoint.size)
            proven = proven or checkpoint.size == size
        elif checkpoint.size > newest_size:
            newest, newest_size = each.note, checkpoint.size
    if others:
        reason: str | None = "reopened"
    elif newest_size > size:
        reason = "missing"
    elif not held.has_key:
        reason = "key-lost"
    else:
        reason = None if proven or held.complete else "unproven"
    return Decision(reason, newest, newest_size, tuple(others))


def _of(each: Known, key: NoteKey, others: list[str]) -> Checkpoint | None:
    try:
        return notes.verify(each.note, key, origin=key.name)
    except NoteError as wrong:
        first = key.name.rpartition("/")[0] if key.name.rpartition("/")[2].isdecimal() else key.name
        head = each.note.partition("\n")[0]
        if head.startswith(f"{first}/") and head != key.name:
            others.append(head)
            return None
        if not each.by_operator:
            return None
        raise BACKUP_OLD_KEY(path=each.name, reason=str(wrong)) from None


def facts(origin: str, vkey: str, decision: Decision, size: int, root: bytes, manifest: str) -> Mapping[str, Any]:
    """The facts of entry 0 of a new log."""
    return {
        "origin": origin,
        "vkey": vkey,
        "checkpoint": decision.newest or "",
        "signed": decision.newest_size,
        "held": size,
        "root": base64.b64encode(root).decode("ascii"),
        "reason": decision.reason or "",
        "backup": manifest,
    }

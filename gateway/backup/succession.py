"""What a restored log may go on as: itself, or a new origin.

| the newest checkpoint known from outside | the log goes on as |
|---|---|
| signs exactly what was restored | itself |
| signs more | a new origin: entries that were signed are missing |
| signs less, or there is none | a new origin, unless the operator says that the backup is complete |
| signs other entries of the same number or fewer | nothing: the backup is refused |
and a new origin too where the key of the log is lost, since nobody can sign the old one any more.
Invariant: a log name is never signed by two keys, and no log that lacks an entry known to be signed is signed on.
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
    """A note from outside: where it came from, and the note."""

    name: str
    note: str
    given: bool = True  # else it was found where the backup came from, and may be of another instance by now


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is why a new origin begins: missing | unproven | key-lost | reopened; None where the log goes on."""

    reason: str | None
    newest: str | None  # the newest note of the old log that is known
    newest_size: int
    others: tuple[str, ...]  # origins of notes that came after the old log ended


def decide(
    connection: Connection,
    key: NoteKey,
    size: int,
    own: str | None,
    outside: Sequence[Known],
    *,
    complete: bool,
    has_key: bool,
) -> Decision:
    """`own` is the checkpoint of the restored log itself. `backup.old-key` for a note that the log's key did not sign, `backup.forked` for a contradiction."""
    newest, newest_size, others = own, size, list[str]()
    proven = False
    for each in outside:
        found = _of(each, key, others)
        if found is None:
            continue
        if found.size <= size:
            if root_at(connection, found.size) != found.root:
                raise BACKUP_FORKED(name=each.name, size=found.size)
            proven = proven or found.size == size
        elif found.size > newest_size:
            newest, newest_size = each.note, found.size
    if others:
        reason: str | None = "reopened"
    elif newest_size > size:
        reason = "missing"
    elif not has_key:
        reason = "key-lost"
    else:
        reason = None if proven or complete else "unproven"
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
        if not each.given:
            return None
        raise BACKUP_OLD_KEY(path=each.name, reason=str(wrong)) from None


def facts(origin: str, vkey: str, decision: Decision, size: int, root: bytes, manifest: str) -> Mapping[str, Any]:
    """What entry 0 of a new log says."""
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

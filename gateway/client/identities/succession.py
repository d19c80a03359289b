"""Checks that a new log follows an old one, before a client monitors the new log.

A gateway restored from a backup that lacks signed entries opens a new log. Its entry 0 holds the old log's origin and
key, the newest old checkpoint that the gateway knows, and the number of old entries that remain. The checks: the entry
is at index 0 under the new log's newest checkpoint; its old key is the trusted one; it does not contradict the kept
checkpoint. The new key is trusted if the old key also signed the new log's first checkpoint, or if a person has the new
key from another source.
Invariant: nothing is accepted automatically: a person calls `accept`, knowing what the new log lacks.
Invariant: the old checkpoint is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gateway.client.answers import hashes_of, read_json, unbase64
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.client import AsyncClient
from gateway.client.errors import CLIENT_LOG_SUCCESSION, ClientError, LogObjection
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, open_note, verify
from security.transparency.merkle import ProofError, leaf_hash, verify_consistency, verify_inclusion

NEW_LOG: Final = "new-log"
_MOST: Final = 64  # logs one after the other


@dataclass(frozen=True, slots=True)
class Succession:
    """A verified first entry of a new log."""

    key: NoteKey  # of the new log
    note: str  # its newest checkpoint
    old: NoteKey
    admitted: Checkpoint | None  # the newest old checkpoint that the gateway states; None if none was signed
    held: int  # number of old entries that remain
    root: bytes  # of those entries
    reason: str
    signed_by_old_key: bool  # the old key signed the first checkpoint of the new log

    def lost(self, kept: Checkpoint | None) -> int:
        """How many entries known to be signed are missing."""
        known = max(0 if self.admitted is None else self.admitted.size, 0 if kept is None else kept.size)
        return max(0, known - self.held)

    def denies(self, kept: Checkpoint | None) -> bool:
        """Whether the kept checkpoint is newer than any that the gateway states."""
        return kept is not None and kept.size > (0 if self.admitted is None else self.admitted.size)


def check(raw: bytes, old: NoteKey) -> Succession:
    """Check an answer of `GET /audit/origin` against the old log's key. Raises ValueError with the reason."""
    try:
        origin = read_json(raw)
        key = NoteKey.from_text(origin["vkey"])
        if origin["origin"] != key.name:
            raise ValueError("its key has another name")
        newest = verify(origin["checkpoint"], key, origin=key.name)
        if "before" not in origin:
            raise ValueError("it says of no log before it")
        before = origin["before"]
        entry = unbase64(before["entry"], "entry")
        leaf = leaf_hash(entry)
        verify_inclusion(leaf, 0, newest.size, hashes_of(before["proof"], "proof"), newest.root)
        began = verify(before["began"], key, origin=key.name)
        if (began.size, began.root) != (1, leaf):
            raise ValueError("its first checkpoint is not of that entry")
        frozen = json.loads(entry)
        facts = frozen["facts"]
        if frozen["what"] != NEW_LOG or facts["origin"] != old.name or facts["vkey"] != old.text():
            raise ValueError(f"its first entry names another log before it: {str(facts.get('origin'))[:200]}")
        admitted = verify(facts["checkpoint"], old, origin=old.name) if facts["checkpoint"] else None
        held, root, reason = facts["held"], unbase64(facts["root"], "root"), str(facts["reason"])
        if not isinstance(held, int) or held < 0:
            raise ValueError("held")
        if admitted is not None and (admitted.size < held or admitted.size == held and admitted.root != root):
            raise ValueError("what it admits to have signed contradicts what it holds")
    except (KeyError, TypeError, AttributeError, NoteError, ProofError) as wrong:
        raise ValueError(f"{type(wrong).__name__}: {wrong}") from None
    try:
        open_note(before["began"], old)
        signed_by_old_key = True
    except NoteError:
        signed_by_old_key = False
    return Succession(
        key=key,
        note=origin["checkpoint"],
        old=old,
        admitted=admitted,
        held=held,
        root=root,
        reason=reason,
        signed_by_old_key=signed_by_old_key,
    )


async def ask(client: AsyncClient) -> tuple[Succession, ...]:
    """The logs after the trusted one, in order, each verified against the one before. Raises `LogObjection`."""
    documents: list[bytes] = []
    name = ""
    for _ in range(_MOST):
        raw = await client.document(f"/audit/origin?origin={quote(name, safe='')}" if name else "/audit/origin")
        try:
            origin = read_json(raw)
            if origin["origin"] == client.identity.log_key.name:
                break
            documents.append(raw)
            facts = json.loads(unbase64(origin["before"]["entry"], "entry"))["facts"]
            name = str(facts["origin"])
        except (KeyError, TypeError, ValueError) as wrong:
            raise _objection(client, "?", f"{type(wrong).__name__}: {wrong}") from None
        if name == client.identity.log_key.name:
            break
    successions: list[Succession] = []
    old = client.identity.log_key
    for raw in reversed(documents):
        try:
            successions.append(check(raw, old))
        except ValueError as wrong:
            raise _objection(client, str(read_json(raw).get("origin"))[:200], str(wrong)) from None
        old = successions[-1].key
    if successions:
        await _compare(client, successions[0])
    return tuple(successions)


async def _compare(client: AsyncClient, first: Succession) -> None:
    """Compare the first successor's statement with the kept checkpoint."""
    kept = client.witness.kept
    if kept is None:
        return
    if first.admitted is not None and first.admitted.size == kept.size and first.admitted.root != kept.root:
        raise _objection(
            client, first.key.name, f"it admits another tree of {kept.size} entries than the one that is kept here"
        )
    if kept.size > first.held:
        return  # entries are missing, so consistency cannot be proved
    try:
        hashes: Sequence[bytes] = ()
        if 0 < kept.size < first.held:
            query = f"from={kept.size}&to={first.held}&origin={quote(first.old.name, safe='')}"
            hashes = hashes_of(read_json(await client.document(f"/audit/consistency?{query}")).get("proof"), "proof")
        verify_consistency(kept.size, first.held, kept.root, first.root, hashes)
    except (ClientError, ProofError, ValueError, TypeError, AttributeError) as wrong:
        raise _objection(
            client, first.key.name, f"the old entries that it holds do not go on from the kept checkpoint: {wrong}"
        ) from None


def accept(client: AsyncClient, state: Path | None, chain: Sequence[Succession]) -> Path:
    """Monitor the newest log from its newest checkpoint. Keeps the old checkpoint and key; returns the key's file."""
    newest, folder = chain[-1], client.identity.folder
    mark = folder / "log.vkey"
    old = folder / f"log-{quote(client.identity.log_key.name, safe='')}.vkey"
    monitor = CheckpointMonitor(newest.key, state or folder / "checkpoints", lambda: 0.0)
    monitor.begin(newest.note)
    if not old.exists():
        _put(old, mark.read_text("utf-8"))
    _put(mark, f"{newest.key.text()}\n")
    return old


def _put(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8", newline="\n")
    part.chmod(0o600)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _objection(client: AsyncClient, shown: str, reason: str) -> LogObjection:
    facts: dict[str, Any] = {"origin": client.identity.log_key.name, "shown": shown, "reason": reason[:300]}
    return CLIENT_LOG_SUCCESSION(older=client.witness.note or "", newer="", kept=client.identity.folder, **facts)

"""A log that follows another: what its first entry must prove before a witness of the old one may go on with it.

A gateway that was restored from a backup which lacks signed entries opens a new log; its entry 0 holds the old log's origin and key, the newest old
checkpoint that the gateway knows of, and how many old entries are still there. Checked here: the entry stands at index 0 under the new log's newest
checkpoint; its old key is the one that we trusted; what it admits does not contradict what we keep. Whether the new key is to be believed is
said by the old key, which signed the new log's first checkpoint too, or by a person who has the new key from elsewhere.
Invariant: nothing is accepted by itself: `accept` is called for a person who was told what the new log lacks, and the old checkpoint stays where it is.
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
    """What the new log proves and admits."""

    key: NoteKey  # of the new log
    note: str  # its newest checkpoint
    old: NoteKey
    admitted: Checkpoint | None  # the newest old checkpoint that the gateway owns up to; None where not one was signed
    held: int  # how many old entries are still there
    root: bytes  # of these
    reason: str
    vouched: bool  # the old key signed the beginning of the new log

    def lost(self, kept: Checkpoint | None) -> int:
        """How many entries that are known to have been signed are no longer there."""
        known = max(0 if self.admitted is None else self.admitted.size, 0 if kept is None else kept.size)
        return max(0, known - self.held)

    def denies(self, kept: Checkpoint | None) -> bool:
        """Whether the gateway does not own up to what we hold."""
        return kept is not None and kept.size > (0 if self.admitted is None else self.admitted.size)


def check(raw: bytes, old: NoteKey) -> Succession:
    """What `GET /audit/origin` gave, against the key of the log before; ValueError says what does not hold."""
    try:
        said = read_json(raw)
        key = NoteKey.from_text(said["vkey"])
        if said["origin"] != key.name:
            raise ValueError("its key has another name")
        newest = verify(said["checkpoint"], key, origin=key.name)
        if "before" not in said:
            raise ValueError("it says of no log before it")
        before = said["before"]
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
        vouched = True
    except NoteError:
        vouched = False
    return Succession(key, said["checkpoint"], old, admitted, held, root, reason, vouched)


async def ask(client: AsyncClient) -> tuple[Succession, ...]:
    """The logs after the one that we trust, in order: each proved to follow the one before. `LogObjection` where one does not."""
    chain: list[bytes] = []
    name = ""
    for _ in range(_MOST):
        raw = await client.document(f"/audit/origin?origin={quote(name, safe='')}" if name else "/audit/origin")
        try:
            said = read_json(raw)
            if said["origin"] == client.identity.log_key.name:
                break
            chain.append(raw)
            facts = json.loads(unbase64(said["before"]["entry"], "entry"))["facts"]
            name = str(facts["origin"])
        except (KeyError, TypeError, ValueError) as wrong:
            raise _objection(client, "?", f"{type(wrong).__name__}: {wrong}") from None
        if name == client.identity.log_key.name:
            break
    found: list[Succession] = []
    old = client.identity.log_key
    for raw in reversed(chain):
        try:
            found.append(check(raw, old))
        except ValueError as wrong:
            raise _objection(client, str(read_json(raw).get("origin"))[:200], str(wrong)) from None
        old = found[-1].key
    if found:
        await _compare(client, found[0])
    return tuple(found)


async def _compare(client: AsyncClient, first: Succession) -> None:
    """What the first of them says of our log, against the checkpoint that we keep."""
    kept = client.witness.kept
    if kept is None:
        return
    if first.admitted is not None and first.admitted.size == kept.size and first.admitted.root != kept.root:
        raise _objection(
            client, first.key.name, f"it admits another tree of {kept.size} entries than the one that is kept here"
        )
    if kept.size > first.held:
        return  # of these entries nobody can prove anything any more
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
    """Go on as a witness of the newest log, from its newest checkpoint. The old checkpoint and key stay, under the old names; where the old key is now."""
    newest, folder = chain[-1], client.identity.folder
    mark = folder / "log.vkey"
    old = folder / f"log-{quote(client.identity.log_key.name, safe='')}.vkey"
    begun = CheckpointMonitor(newest.key, state or folder / "checkpoints", lambda: 0.0)
    begun.begin(newest.note)
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

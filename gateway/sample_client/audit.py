"""Checks of the audit log: signed notes, consistency, inclusion, receipts.

RFC 6962 §2.1 hashing and proofs, C2SP signed-note and tlog-checkpoint. Every answer of the gateway carries its newest
checkpoint. `Keeper` keeps them and refuses a log that removes anything.
Invariant: no checkpoint is kept before its signature is verified, and one size never has two roots.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.sample_client.errors import LogError, WrongAnswer
from gateway.sample_client.fields import BadField, read_bytes, read_dictionary
from gateway.sample_client.jsontext import load_json
from gateway.sample_client.signing import verify_raw

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is at `index` of the tree of `size` leaves under `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, hashed = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = _node(step, hashed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = _node(hashed, step)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == root


def consistent(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `size2` only appended to that of `size1` (RFC 9162 §2.1.4.2)."""
    if size1 == size2:
        return root1 == root2 and not proof
    if not 0 <= size1 < size2:
        return False
    if size1 == 0:
        return root1 == EMPTY_ROOT and not proof
    steps = list(proof)
    if not steps and size1 & (size1 - 1):
        return False
    if not size1 & (size1 - 1):
        steps.insert(0, root1)
    at, last = size1 - 1, size2 - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if not steps:
        return False
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = _node(step, first), _node(step, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = _node(second, step)
        at, last = at >> 1, last >> 1
    return last == 0 and first == root1 and second == root2


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as wrong:
        raise LogError("not base64 where the log should have it") from wrong


@dataclass(frozen=True, slots=True)
class LogKey:
    """The log's verifier key: `name+hash+base64`, hash over name, newline and the typed key (C2SP signed-note)."""

    name: str
    hint: bytes
    public: bytes

    @classmethod
    def parse(cls, text: str) -> LogKey:
        name, _, rest = text.strip().partition("+")
        hint, _, key = rest.partition("+")
        typed = _unbase64(key)
        if not name or len(typed) != 33 or typed[0] != 1:
            raise LogError("the verifier key is not an Ed25519 one")
        if hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex() != hint:
            raise LogError("the verifier key's hash does not fit its name and key")
        return cls(name, bytes.fromhex(hint), typed[1:])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: this log had this many entries under this root."""

    origin: str
    size: int
    root: bytes
    note: str


def read_checkpoint(note: str, key: LogKey) -> Checkpoint:
    """Open a signed note and read its checkpoint. Cosignatures are not checked."""
    text, parted, signatures = note.rpartition("\n\n")
    text += "\n"
    try:
        signed = text.encode()
    except UnicodeEncodeError as wrong:
        raise LogError("the note is no text") from wrong
    if not parted or not signatures.endswith("\n"):
        raise LogError("not a signed note")
    held = False
    for line in signatures.splitlines():
        mark, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if mark != "—" or not name or not value:
            raise LogError("a signature line of the note cannot be read")
        signature = _unbase64(value)
        if name == key.name and signature[:4] == key.hint:
            if not verify_raw(Ed25519PublicKey.from_public_bytes(key.public), signed, signature[4:]):
                raise LogError("the checkpoint's signature does not fit")
            held = True
    if not held:
        raise LogError(f"the checkpoint is not signed by {key.name}")
    lines = text.split("\n")
    if len(lines) < 3 or _SIZE.fullmatch(lines[1]) is None:
        raise LogError("the note holds no checkpoint")
    root = _unbase64(lines[2])
    if lines[0] != key.name or len(root) != 32:
        raise LogError("the checkpoint is of another log, or its root is no SHA-256")
    return Checkpoint(lines[0], int(lines[1]), root, note)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an answer says about the log: leaf hashes of the transfer's two entries, or of the refusal."""

    transfer: str
    intent: bytes | None = None
    outcome: bytes | None = None
    refusal: bytes | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Receipt | None:
        text = headers.get("lgsp-receipt")
        if text is None:
            return None
        try:
            read_dictionary(text)
            leaves = {name: read_bytes(text, name) for name in ("intent", "outcome", "refusal")}
        except BadField as wrong:
            raise LogError(f"Lgsp-Receipt cannot be read: {wrong}") from wrong
        return cls(headers.get("lgsp-transfer", ""), **leaves)

    @property
    def leaves(self) -> dict[str, bytes]:
        named = {"intent": self.intent, "outcome": self.outcome, "refusal": self.refusal}
        return {phase: leaf for phase, leaf in named.items() if leaf is not None}


FetchConsistency = Callable[[int, int], Sequence[bytes]]


class Keeper:
    """Keeps the checkpoints of one log; with a file, also across processes."""

    def __init__(self, vkey: str, file: Path | None = None) -> None:
        self.key = LogKey.parse(vkey)
        self._file = file
        self._seen: dict[int, Checkpoint] = {}
        if file is not None and file.exists():
            self.keep(file.read_text("utf-8"))

    @property
    def newest(self) -> Checkpoint | None:
        return self._seen[max(self._seen)] if self._seen else None

    def keep(self, note: str) -> Checkpoint:
        checkpoint = read_checkpoint(note, self.key)
        known = self._seen.setdefault(checkpoint.size, checkpoint)
        if known.root != checkpoint.root:
            raise LogError(f"the log shows two roots for its size {checkpoint.size}: it was forked or rewritten")
        return checkpoint

    def check(self, fetch: FetchConsistency) -> Checkpoint | None:
        """Prove that each checkpoint is consistent with the next, then keep only the newest."""
        kept = [self._seen[size] for size in sorted(self._seen)]
        for older, newer in zip(kept, kept[1:], strict=False):
            if not consistent(older.size, older.root, newer.size, newer.root, fetch(older.size, newer.size)):
                raise LogError(f"the log of size {newer.size} does not go on from size {older.size}: it was rewritten")
        if not kept:
            return None
        for checkpoint in kept[:-1]:
            del self._seen[checkpoint.size]
        if self._file is not None:
            self._file.write_text(kept[-1].note, "utf-8")
        return kept[-1]


@dataclass(frozen=True, slots=True)
class ProvedEntry:
    """One entry that is proved to be in the log. Only authorised readers get its text."""

    phase: str
    index: int
    leaf: bytes
    entry: str | None


def check_proof(answer: bytes, key: LogKey, receipt: Receipt | None = None) -> tuple[Checkpoint, list[ProvedEntry]]:
    """Check the answer of `GET /audit/proof/{transfer}`, and that it contains what the receipt promised."""
    try:
        content = load_json(answer)
        checkpoint = read_checkpoint(content["checkpoint"], key)
        entries = []
        for item in content["entries"]:
            leaf, text = _unbase64(item["leaf"]), item.get("entry")
            if text is not None and leaf_hash(text.encode()) != leaf:
                raise LogError(f"the text of entry {item['index']} is not what the log holds")
            if not included(
                leaf, item["index"], checkpoint.size, [_unbase64(step) for step in item["proof"]], checkpoint.root
            ):
                raise LogError(f"entry {item['index']} is not in the log of size {checkpoint.size}")
            entries.append(ProvedEntry(item["phase"], item["index"], leaf, text))
    except (AttributeError, KeyError, TypeError, ValueError, WrongAnswer) as wrong:
        raise LogError(f"the proof cannot be read: {type(wrong).__name__}: {wrong}") from wrong
    proved = {entry.leaf for entry in entries}
    for phase, leaf in (receipt.leaves if receipt is not None else {}).items():
        if leaf not in proved:
            raise LogError(f"the receipt's {phase} entry is not in the log")
    return checkpoint, entries

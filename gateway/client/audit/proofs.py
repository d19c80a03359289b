"""Checks proofs that the entries of a receipt are in the audit log (RFC 6962 section 2.1.1, C2SP tlog-proof).

Invariant: a `Proof` leads from each leaf to the root of a checkpoint signed by the log's key.
Invariant: a `Proof` has every leaf that the receipt names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.client.answers import Receipt, hashes_of, read_json, unbase64
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, proof_text, verify
from security.transparency.merkle import ProofError, verify_inclusion

_MOST: Final = 100  # entries of one transfer


@dataclass(frozen=True, slots=True)
class ProvedEntry:
    """One entry of a transfer. `text` is the proof as C2SP tlog-proof, for other tools."""

    phase: str
    index: int
    leaf: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    transfer: str
    checkpoint: Checkpoint
    note: str
    entries: tuple[ProvedEntry, ...]


def check(raw: bytes, key: NoteKey, transfer: str, receipt: Receipt | None) -> Proof:
    """Check an answer of `GET /audit/proof/{transfer}`. Raises ValueError with the reason."""
    try:
        content = read_json(raw)
        note = content["checkpoint"]
        checkpoint = verify(note, key, origin=key.name)
        entries = []
        if len(content["entries"]) > _MOST:  # each proof text has the whole checkpoint
            raise ValueError(f"more than {_MOST} entries of one transfer")
        for item in content["entries"]:
            leaf, hashes, index = unbase64(item["leaf"], "leaf"), hashes_of(item["proof"], "proof"), item["index"]
            if not isinstance(index, int):
                raise ValueError("index")
            verify_inclusion(leaf, index, checkpoint.size, hashes, checkpoint.root)
            entries.append(ProvedEntry(str(item["phase"]), index, leaf, proof_text(index, hashes, note)))
        if content["transfer"] != transfer:
            raise ValueError("the proof is of another transfer")
    except (KeyError, TypeError, NoteError, ProofError) as wrong:
        raise ValueError(f"{type(wrong).__name__}: {wrong}") from None
    proved = {(entry.phase, entry.leaf) for entry in entries}
    missing = [phase for phase, leaf in (receipt.leaves if receipt else {}).items() if (phase, leaf) not in proved]
    if missing:
        raise ValueError(f"the receipt's leaf is not in the log: {', '.join(missing)}")
    return Proof(transfer, checkpoint, note, tuple(entries))

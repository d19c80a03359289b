"""A log of which a witness is asked, and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.transparency.checkpoint import Checkpoint, NoteKey, sign
from security.transparency.cosignature import AddCheckpoint
from security.transparency.merkle import Tree, consistency_proof, leaf_hash


@dataclass
class Log:
    """A tree of which any size can be shown, honestly or not."""

    name: str = "log.example/tinh"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    leaves: int = 300
    salt: bytes = b""
    tree: Tree = field(init=False)

    def __post_init__(self) -> None:
        self.tree = Tree(leaf_hash(self.salt + b"%d" % at) for at in range(self.leaves))

    @property
    def vkey(self) -> str:
        return NoteKey.make(self.name, self.key.public_key()).text()

    def note(self, size: int) -> str:
        return sign(Checkpoint(self.name, size, self.tree.root(size)), self.key, self.name)

    def ask(self, old: int, size: int, proof: Sequence[bytes] | None = None) -> bytes:
        hashes = consistency_proof(old, size, self.tree.at) if proof is None and old <= size else proof or ()
        return AddCheckpoint(old, tuple(hashes), self.note(size)).text().encode()

    def fork(self) -> Log:
        """Another log of the same name and key."""
        return Log(self.name, self.key, self.leaves, b"other")


@pytest.fixture
def log() -> Log:
    return Log()

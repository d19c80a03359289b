"""The Merkle tree of the audit log (RFC 6962 §2; proof verification as in RFC 9162 §2.1).

`At` gives access to a tree: the hash of the perfect subtree at (level, index). Proofs need no more.
Invariant: leaves are hashed with prefix 0x00 and nodes with 0x01, so that no entry can pass for a node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

_sha256 = hashlib.sha256
HASH: Final = 32
EMPTY_ROOT: Final = _sha256(b"").digest()

At = Callable[[int, int], bytes]


class ProofError(ValueError):
    """An invalid proof; the text says why."""


def leaf_hash(entry: bytes) -> bytes:
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, level by level: an odd last node moves up unchanged, which gives the RFC's tree."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        pairs = [_sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        if len(level) & 1:
            pairs.append(level[-1])
        level = pairs
    return level[0]


class Frontier:
    """The state needed for appending: the roots of the perfect subtrees on the right edge, largest first."""

    __slots__ = ("_edge", "size")

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        if size < 0 or len(edge) != size.bit_count() or any(len(h) != HASH for h in edge):
            raise ValueError(f"a frontier of size {size} has {max(size, 0).bit_count()} hashes of {HASH} bytes")
        self.size = size
        self._edge = list(edge)

    def append(self, leaf: bytes) -> None:
        """Appends a leaf *hash*."""
        edge = self._edge
        size = self.size
        while size & 1:
            leaf = _sha256(b"\x01" + edge.pop() + leaf).digest()
            size >>= 1
        edge.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.append(leaf)

    @property
    def root(self) -> bytes:
        if not self._edge:
            return EMPTY_ROOT
        right = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            right = node_hash(left, right)
        return right

    def copy(self) -> Frontier:
        return Frontier(self.size, self._edge)

    def to_bytes(self) -> bytes:
        return self.size.to_bytes(8, "big") + b"".join(self._edge)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Frontier:
        if len(raw) < 8 or (len(raw) - 8) % HASH:
            raise ValueError("not a frontier")
        return cls(int.from_bytes(raw[:8], "big"), [raw[i : i + HASH] for i in range(8, len(raw), HASH)])


class Tree:
    """A whole tree in memory, for verifiers and small logs; `at` is its `At`."""

    __slots__ = ("levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self.levels[0])

    def append(self, leaf: bytes) -> None:
        levels = self.levels
        levels[0].append(leaf)
        level = 0
        while not len(levels[level]) & 1:
            pair = levels[level][-2:]
            level += 1
            if level == len(levels):
                levels.append([])
            levels[level].append(node_hash(*pair))

    def at(self, level: int, index: int) -> bytes:
        return self.levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        return root_at(len(self) if size is None else size, self.at)


def root_at(size: int, at: At) -> bytes:
    """The root of the first `size` leaves."""
    return _range(0, size, at) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, at: At) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 §2.1.1, from the leaf upward."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    low, high = 0, size
    path: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range(middle, high, at))
            high = middle
        else:
            path.append(_range(low, middle, at))
            low = middle
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """ProofError unless `leaf` (a leaf hash) is leaf `index` of the tree of `size` leaves with that root."""
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise ProofError("the proof is too short")
    if computed != root:
        raise ProofError(f"leaf {index} is not under this root")


def consistency_proof(old: int, new: int, at: At) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962 §2.1.2; empty for old = 0 and old = new."""
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {old} within one of {new}")
    if old in (0, new):
        return []
    low, high = 0, new
    proof: list[bytes] = []
    whole = True  # the old tree is a perfect subtree so far; the verifier has its root
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range(middle, high, at))
            high = middle
        else:
            proof.append(_range(low, middle, at))
            low = middle
            whole = False
    if not whole:
        proof.append(_range(low, high, at))
    proof.reverse()
    return proof


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """ProofError unless the tree (new, new_root) is the tree (old, old_root) with leaves appended."""
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} cannot go on from one of {old}")
    if old in (0, new):
        if proof:
            raise ProofError("the proof is too long")
        if old == 0 and old_root != EMPTY_ROOT:
            raise ProofError("an empty tree has another root")
        if old == new and old_root != new_root:
            raise ProofError(f"two different roots for the size {old}")
        return
    rest = list(proof)
    if not old & (old - 1):
        rest.insert(0, old_root)
    if not rest:
        raise ProofError("the proof is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    computed_old = computed_new = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if node & 1 or node == last:
            computed_old = node_hash(sibling, computed_old)
            computed_new = node_hash(sibling, computed_new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed_new = node_hash(computed_new, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise ProofError("the proof is too short")
    if computed_old != old_root:
        raise ProofError(f"the proof does not lead to the older root (size {old})")
    if computed_new != new_root:
        raise ProofError(f"the proof does not lead to the newer root (size {new})")


def _split(count: int) -> int:
    """The largest power of two below `count` (> 1)."""
    return 1 << (count - 1).bit_length() - 1


def _range(low: int, high: int, at: At) -> bytes:
    count = high - low
    if not count & (count - 1):
        return at(count.bit_length() - 1, low // count)
    middle = low + _split(count)
    return node_hash(_range(low, middle, at), _range(middle, high, at))

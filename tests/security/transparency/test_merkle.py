"""The tree against the RFC's own recursive words, against pymerkle, and against every kind of wrong proof."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.transparency.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"entry %d" % n) for n in range(300)]


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 §2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 §2.1.2, word for word."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def test_known_values() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of([leaf_hash(b"")]) == leaf_hash(b"")


@pytest.mark.parametrize("size", range(70))
def test_roots_and_proofs_are_those_of_the_rfc(size: int) -> None:
    leaves = LEAVES[:size]
    tree, frontier = Tree(leaves), Frontier()
    frontier.extend(leaves)
    assert tree.root() == frontier.root == root_of(leaves) == root_at(size, tree.at) == mth(leaves)
    for index in range(size):
        proof = inclusion_proof(index, size, tree.at)
        assert proof == path(index, leaves)
        verify_inclusion(leaves[index], index, size, proof, tree.root())
    for old in range(size + 1):
        proof = consistency_proof(old, size, tree.at)
        assert proof == (subproof(old, leaves) if 0 < old < size else [])
        verify_consistency(old, size, mth(leaves[:old]), tree.root(), proof)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100])
def test_pymerkle_agrees(size: int) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for n in range(size):
        theirs.append_entry(b"entry %d" % n)
    assert theirs.get_root() == root_of(LEAVES[:size])
    tree = Tree(LEAVES[:size])
    for n in range(size):
        steps = theirs.prove_inclusion(n + 1).serialize()["path"][1:]
        assert [bytes.fromhex(step) for step in steps] == inclusion_proof(n, size, tree.at)


TREE = Tree(LEAVES)
sizes = st.integers(1, 300)


@settings(max_examples=300, deadline=None)
@given(size=sizes, data=st.data())
def test_a_wrong_inclusion_proof_proves_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root, leaf = inclusion_proof(index, size, TREE.at), TREE.root(size), LEAVES[index]
    verify_inclusion(leaf, index, size, proof, root)
    wrong = data.draw(st.sampled_from(["leaf", "index", "size", "root", "shorter", "longer", "swapped", "edited"]))
    if wrong == "leaf":
        leaf = LEAVES[(index + 1) % 300]
    elif wrong == "index":
        index = data.draw(st.integers(-1, size).filter(lambda i: i != index))
    elif wrong == "size":
        size = data.draw(st.sampled_from([0, index, size * 2**20]))
    elif wrong == "root":
        root = TREE.root(size - 1)
    elif wrong == "shorter":
        proof = proof[:-1] if proof else [bytes(32)]
    elif wrong == "longer":
        proof = [*proof, bytes(32)]
    elif wrong == "swapped":
        proof = proof[1:] + proof[:1] if len(proof) > 1 else [leaf]
    else:
        proof = [bytes(32), *proof[1:]]
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, proof, root)


@settings(max_examples=300, deadline=None)
@given(new=st.integers(2, 300), data=st.data())
def test_a_wrong_consistency_proof_proves_nothing(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    proof, old_root, new_root = consistency_proof(old, new, TREE.at), TREE.root(old), TREE.root(new)
    verify_consistency(old, new, old_root, new_root, proof)
    wrong = data.draw(st.sampled_from(["old", "new", "roots", "shorter", "longer", "edited", "backwards"]))
    with pytest.raises(ProofError):
        if wrong == "old":
            verify_consistency(old, new, TREE.root(old + 1 if old + 1 < new else old - 1), new_root, proof)
        elif wrong == "new":
            verify_consistency(old, new, old_root, TREE.root(new - 1 if new - 1 > old else new - 2), proof)
        elif wrong == "roots":
            verify_consistency(old, new, new_root, old_root, proof)
        elif wrong == "shorter":
            verify_consistency(old, new, old_root, new_root, proof[:-1])
        elif wrong == "longer":
            verify_consistency(old, new, old_root, new_root, [*proof, bytes(32)])
        elif wrong == "edited":
            verify_consistency(old, new, old_root, new_root, [*proof[:-1], bytes(32)])
        else:
            verify_consistency(new, old, new_root, old_root, proof)


def test_the_ends_of_consistency() -> None:
    verify_consistency(0, 5, EMPTY_ROOT, TREE.root(5), [])
    verify_consistency(5, 5, TREE.root(5), TREE.root(5), [])
    for arguments in [
        (0, 5, TREE.root(1), TREE.root(5), []),
        (5, 5, TREE.root(5), TREE.root(4), []),
        (5, 5, TREE.root(5), TREE.root(5), [bytes(32)]),
    ]:
        with pytest.raises(ProofError):
            verify_consistency(*arguments)
    calls: list[Callable[[], object]] = [
        lambda: inclusion_proof(5, 5, TREE.at),
        lambda: inclusion_proof(-1, 5, TREE.at),
        lambda: consistency_proof(6, 5, TREE.at),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()


@settings(deadline=None)
@given(size=st.integers(0, 300), more=st.integers(0, 40))
def test_a_frontier_goes_on_from_its_bytes(size: int, more: int) -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    again = Frontier.from_bytes(frontier.to_bytes())
    copied = frontier.copy()
    again.extend(LEAVES[size : size + more])
    assert again.root == root_of(LEAVES[: size + more])
    assert copied.root == root_of(LEAVES[:size])


def test_broken_frontiers() -> None:
    for raw in (
        b"",
        b"\x00" * 7,
        (1).to_bytes(8, "big"),
        (0).to_bytes(8, "big") + bytes(32),
        (3).to_bytes(8, "big") + bytes(63),
    ):
        with pytest.raises(ValueError):
            Frontier.from_bytes(raw)


def test_a_leaf_is_no_node() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)

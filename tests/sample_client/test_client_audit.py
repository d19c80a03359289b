"""The audit log's checks: against another implementation's trees, and against a log that lies."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pymerkle import InmemoryTree

from gateway.sample_client.audit import (
    EMPTY_ROOT,
    Keeper,
    LogKey,
    Receipt,
    check_proof,
    consistent,
    included,
    leaf_hash,
    read_checkpoint,
)
from gateway.sample_client.errors import LogError

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 21]


def tree(size: int) -> InmemoryTree:
    made = InmemoryTree(algorithm="sha256")
    for number in range(size):
        made.append_entry(f"entry {number}".encode())
    return made


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def naive_consistency(leaves: list[bytes], first: int) -> list[bytes]:
    """RFC 6962 §2.1.2, as it is written."""

    def sub(m: int, part: list[bytes], whole: bool) -> list[bytes]:
        if m == len(part):
            return [] if whole else [naive_root(part)]
        half = 1 << (len(part) - 1).bit_length() - 1
        if m <= half:
            return [*sub(m, part[:half], whole), naive_root(part[half:])]
        return [*sub(m - half, part[half:], False), naive_root(part[:half])]

    return sub(first, leaves, True)


def naive_inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) <= 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*naive_inclusion(leaves[:half], index), naive_root(leaves[half:])]
    return [*naive_inclusion(leaves[half:], index - half), naive_root(leaves[:half])]


LEAVES = [leaf_hash(f"entry {number}".encode()) for number in range(32)]


@pytest.mark.parametrize("size", SIZES)
def test_roots_and_leaves_agree_with_pymerkle(size: int) -> None:
    made = tree(size)
    assert made.get_root(size) == naive_root(LEAVES[:size])
    assert made.get_leaf(size) == LEAVES[size - 1]


@pytest.mark.parametrize("size", SIZES)
def test_inclusion(size: int) -> None:
    root = naive_root(LEAVES[:size])
    for index in range(size):
        proof = naive_inclusion(LEAVES[:size], index)
        assert included(LEAVES[index], index, size, proof, root)
        assert not included(LEAVES[index], index, size, [*proof, LEAVES[0]], root)
        assert not included(LEAVES[30], index, size, proof, root)
        assert not included(LEAVES[index], index, size, proof, LEAVES[30])
        if proof:
            assert not included(LEAVES[index], index, size, proof[:-1], root)
            assert not included(LEAVES[index], index, size, [LEAVES[30], *proof[1:]], root)
    assert not included(LEAVES[0], size, size, [], root)
    assert not included(LEAVES[0], -1, size, [], root)


@pytest.mark.parametrize("size", SIZES)
def test_consistency(size: int) -> None:
    root = naive_root(LEAVES[:size])
    for first in range(1, size + 1):
        older = naive_root(LEAVES[:first])
        proof = naive_consistency(LEAVES[:size], first)
        assert consistent(first, older, size, root, proof)
        assert not consistent(first, LEAVES[30], size, root, proof)
        assert not consistent(first, older, size, LEAVES[30], proof)
        assert not consistent(first, older, size, root, [*proof, LEAVES[30]])
        if proof:
            assert not consistent(first, older, size, root, proof[:-1])
            assert not consistent(first, older, size, root, [*proof[:-1], LEAVES[30]])
    assert consistent(0, EMPTY_ROOT, size, root, [])
    assert not consistent(size + 1, root, size, root, [])


def test_notes(province: Any) -> None:
    authority = province.authority
    key = LogKey.parse(authority.log_vkey)
    note = authority.note(5, LEAVES[0])
    found = read_checkpoint(note, key)
    assert (found.origin, found.size, found.root) == (key.name, 5, LEAVES[0])
    # a witness's line beside the log's is no hindrance
    cosigned = note + "— witness.example/w " + base64.b64encode(bytes(76)).decode() + "\n"
    assert read_checkpoint(cosigned, key).size == 5
    for wrong in (
        note.replace("\n5\n", "\n6\n"),
        note.replace("\n\n", "\n"),
        note[:-1],
        note.split("\n\n")[0] + "\n\n",
        note + "junk\n",
        note.replace(f"— {key.name}", "— other.example/log"),
        authority.note(5, LEAVES[0], origin="other.example/log"),
        authority.note(5, b"short"),
        "",
    ):
        with pytest.raises(LogError):
            read_checkpoint(wrong, key)


def test_verifier_keys(province: Any) -> None:
    text = province.authority.log_vkey
    name, hint, typed = text.split("+")[0], text.split("+")[1], text.partition("+")[2].partition("+")[2]
    assert LogKey.parse(text + "\n").name == name
    for wrong in (
        f"{name}+00000000+{typed}",
        f"x{text}",
        f"{name}+{hint}",
        f"{name}+{hint}+AAAA",
        "",
        "+".join([name, hint, "?"]),
    ):
        with pytest.raises(LogError):
            LogKey.parse(wrong)


def test_keeper_follows_an_honest_log(province: Any, tmp_path: Path) -> None:
    authority, file = province.authority, tmp_path / "newest"
    keeper = Keeper(authority.log_vkey, file)
    for size in (3, 9, 5, 21, 9):
        keeper.keep(authority.note(size, naive_root(LEAVES[:size])))
    asked = []

    def fetch(older: int, newer: int) -> list[bytes]:
        asked.append((older, newer))
        return naive_consistency(LEAVES[:newer], older)

    newest = keeper.check(fetch)
    assert newest is not None and newest.size == 21
    assert asked == [(3, 5), (5, 9), (9, 21)]
    again = Keeper(authority.log_vkey, file)
    assert again.newest is not None and again.newest.size == 21
    assert Keeper(authority.log_vkey).check(fetch) is None


def test_keeper_sees_a_fork_and_a_rewriting(province: Any) -> None:
    authority = province.authority
    keeper = Keeper(authority.log_vkey)
    keeper.keep(authority.note(5, naive_root(LEAVES[:5])))
    with pytest.raises(LogError, match="two roots"):
        keeper.keep(authority.note(5, naive_root(LEAVES[1:6])))
    rewritten = [LEAVES[31], *LEAVES[1:9]]
    keeper.keep(authority.note(9, naive_root(rewritten)))
    with pytest.raises(LogError, match="does not go on"):
        keeper.check(lambda older, newer: naive_consistency(rewritten, older))


def _proof(authority: Any, **changes: Any) -> bytes:
    entries = []
    for phase, index in (("intent", 3), ("outcome", 6)):
        proof = [base64.b64encode(step).decode() for step in naive_inclusion(LEAVES[:13], index)]
        leaf = base64.b64encode(LEAVES[index]).decode()
        entries.append({"phase": phase, "index": index, "leaf": leaf, "entry": f"entry {index}", "proof": proof})
    entries[1] |= changes
    return json.dumps({"checkpoint": authority.note(13, naive_root(LEAVES[:13])), "entries": entries}).encode()


def test_a_receipt_is_exchanged_for_a_proof(province: Any) -> None:
    authority = province.authority
    key = LogKey.parse(authority.log_vkey)
    receipt = Receipt("t", LEAVES[3], LEAVES[6])
    checkpoint, entries = check_proof(_proof(authority), key, receipt)
    assert checkpoint.size == 13 and [(entry.phase, entry.index) for entry in entries] == [
        ("intent", 3),
        ("outcome", 6),
    ]
    check_proof(_proof(authority, entry=None), key, receipt)
    for changes, says in (
        ({"entry": "entry 7"}, "not what the log holds"),
        ({"index": 7}, "is not in the log"),
        ({"proof": []}, "is not in the log"),
        ({"leaf": "?"}, "base64"),
        ({"leaf": None}, "cannot be read"),
    ):
        with pytest.raises(LogError, match=says):
            check_proof(_proof(authority, **changes), key, receipt)
    with pytest.raises(LogError, match="receipt's outcome"):
        check_proof(_proof(authority), key, Receipt("t", LEAVES[3], LEAVES[9]))
    with pytest.raises(LogError, match="cannot be read"):
        check_proof(b"<html>", key, receipt)


def test_receipts_of_headers() -> None:
    one = base64.b64encode(LEAVES[1]).decode()
    found = Receipt.from_headers({"lgsp-transfer": "t", "lgsp-receipt": f"refusal=:{one}:"})
    assert found == Receipt("t", refusal=LEAVES[1]) and found.leaves == {"refusal": LEAVES[1]}
    assert Receipt.from_headers({}) is None
    with pytest.raises(LogError):
        Receipt.from_headers({"lgsp-receipt": "intent=1"})

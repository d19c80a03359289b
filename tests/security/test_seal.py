"""Sealing: what was sealed opens, what was touched does not."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.errors import Ours
from security.seal import CHUNK, TAG, Record, expand, plain_size, seal, unseal, unseal_pieces

KEY = bytes(range(32))
CONTEXT = b"t-1/request"
SIZES = [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7, 3 * CHUNK]


def data(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_there_and_back(size: int) -> None:
    sealed = seal(KEY, CONTEXT, data(size))
    assert unseal(KEY, CONTEXT, sealed) == data(size)
    assert plain_size(len(sealed)) == size
    assert len(sealed) == 33 + size + TAG * max(1, -(-size // CHUNK))


def test_equal_bodies_do_not_look_equal() -> None:
    assert seal(KEY, CONTEXT, b"x")[33:] != seal(KEY, CONTEXT, b"x")[33:]


def broken(key: Any, context: Any, sealed: bytes) -> None:
    with pytest.raises(Ours) as caught:
        unseal(key, context, sealed)
    assert caught.value.code == "seal.broken"


def test_key_and_context_are_bound() -> None:
    sealed = seal(KEY, CONTEXT, b"body")
    broken(bytes(32), CONTEXT, sealed)
    broken(KEY, b"t-2/request", sealed)
    for key in (b"", bytes(16), bytes(33)):
        with pytest.raises(ValueError):
            seal(key, CONTEXT, b"")
    with pytest.raises(ValueError):
        seal(KEY, CONTEXT, b"", salt=b"short")


def test_chunks_cannot_be_moved_cut_or_added() -> None:
    sealed = seal(KEY, CONTEXT, data(3 * CHUNK))
    step = CHUNK + TAG
    head, chunks = sealed[:33], [sealed[33 + n * step : 33 + (n + 1) * step] for n in range(3)]
    for changed in (
        chunks[:2],
        chunks[1:],
        chunks[::-1],
        [chunks[0], chunks[2], chunks[1]],
        [*chunks, chunks[2]],
        [chunks[0], chunks[0], chunks[2]],
        [chunks[0], chunks[2]],
        [],
        [chunks[2]],
        [*chunks, b"x" * 5],
        [*chunks[:2], chunks[2][:-1]],
    ):
        broken(KEY, CONTEXT, head + b"".join(changed))
    broken(KEY, CONTEXT, head + chunks[0] + chunks[1] + bytes(TAG))


@settings(max_examples=200)
@given(size=st.integers(0, 200), at=st.integers(0), bit=st.integers(0, 7))
def test_one_flipped_bit(size: int, at: int, bit: int) -> None:
    sealed = bytearray(seal(KEY, CONTEXT, data(size)))
    sealed[at % len(sealed)] ^= 1 << bit
    broken(KEY, CONTEXT, bytes(sealed))


@settings(max_examples=100)
@given(st.binary(max_size=80))
def test_rubbish(raw: bytes) -> None:
    broken(KEY, CONTEXT, raw)


def part(sealed: bytes, start: int, length: int) -> bytes:
    pieces = unseal_pieces(
        KEY, CONTEXT, Record(len(sealed), lambda at, size: sealed[at : at + size]), start, start + length
    )
    return b"".join(pieces)


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 3 * CHUNK), length=st.integers(0, 2 * CHUNK))
def test_parts(start: int, length: int) -> None:
    assert part(SEALED, start, length) == data(2 * CHUNK + 7)[start : start + length]


def test_parts_that_are_none() -> None:
    for start, length in ((-1, 5), (0, -1)):
        with pytest.raises(ValueError):
            part(SEALED, start, length)


SEALED = seal(KEY, CONTEXT, data(2 * CHUNK + 7))


def test_a_part_opens_only_what_it_touches() -> None:
    damaged = bytearray(SEALED)
    damaged[-1] ^= 1
    assert part(bytes(damaged), 10, 20) == data(100)[10:30]
    with pytest.raises(Ours):
        part(bytes(damaged), 2 * CHUNK, 1)


def test_the_derivation_is_hkdf_expand() -> None:
    assert expand(KEY, b"info") == HKDFExpand(hashes.SHA256(), 32, b"info").derive(KEY)


def test_the_form_written_out() -> None:
    sealed = seal(KEY, CONTEXT, b"body", salt=b"s" * 32)
    own = AESGCM(expand(KEY, b"lgsp seal v2\x00" + b"s" * 32 + CONTEXT))
    assert sealed == b"\x02" + b"s" * 32 + own.encrypt(bytes(12), b"body", bytes(8) + b"\x01")


def test_records_of_version_1_open() -> None:
    salt = b"s" * 32
    own = AESGCM(HKDF(hashes.SHA256(), 32, salt, b"lgsp seal v1\x00" + CONTEXT).derive(KEY))
    old = b"\x01" + salt + own.encrypt(bytes(12), b"body", bytes(8) + b"\x01")
    assert unseal(KEY, CONTEXT, old) == b"body"
    broken(KEY, CONTEXT, b"\x02" + old[1:])
    broken(KEY, CONTEXT, b"\x03" + old[1:])

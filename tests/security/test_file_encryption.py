"""Encrypted files: what one side writes the other opens in any pieces, and nothing else opens as a whole."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from security import jose
from security.file_encryption import (
    KEY_TYPE,
    MAX_HEAD,
    RECORD,
    FileKey,
    FileOpener,
    FileSealer,
    _Records,
    file_key,
    new_key,
)
from security.jose import Opener
from tests.security.joseparts import NOW, header_of, known, receiver, signer

ME, TO, OTHER = signer("mot-cua"), receiver("gateway", "RSA-2048"), receiver("other", "P-256")
FIXED = 21  # bytes of the content coding before its records
CONTENT = RECORD - 17
DATA = os.urandom(3 * CONTENT + 1000)


def opener(keys: Any = (TO,)) -> FileOpener:
    return FileOpener(lambda head: file_key(Opener(keys).open(head, known(ME), NOW)))


def sealed(data: bytes = DATA, pieces: int = 100_000, to: Any = TO, size: int | None = None) -> bytes:
    key = new_key(len(data) if size is None else size, "video/mp4")
    made = FileSealer(key.sealed(ME, to.encrypt_key()), key)
    sent = b"".join(made.add(data[at : at + pieces]) for at in range(0, len(data), pieces))
    assert size is not None or len(sent) == made.total
    return sent


def opened(sent: bytes, pieces: int = 100_000, keys: Any = (TO,)) -> bytes:
    made = opener(keys)
    parts = [made.feed(sent[at : at + pieces]) for at in range(0, len(sent), pieces)]
    return b"".join(parts) + made.end()


def records(sent: bytes) -> tuple[bytes, list[bytes]]:
    """(all before the records, the records)"""
    begin = sent.index(b"\n") + 1 + FIXED
    return sent[:begin], [sent[at : at + RECORD] for at in range(begin, len(sent), RECORD)]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1, 2, CONTENT - 1, CONTENT, CONTENT + 1, 2 * CONTENT, 2 * CONTENT + 1, 200_000]),
    st.sampled_from([1_000, CONTENT, RECORD, 99_991, 1 << 20]),
    st.sampled_from([700, RECORD, RECORD + 1, 262_144]),
)
def test_any_file_in_any_pieces(size: int, cut: int, taken: int) -> None:
    data = DATA[:size]
    sent = sealed(data, cut)
    assert opened(sent, taken) == data
    assert size < 16 or data[:16] not in sent


def test_it_is_aes128gcm_of_rfc_8188() -> None:
    """Its examples (section 3): one record, and two with padding."""

    def raw(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    one = raw("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")
    assert _Records(raw("yqdlZ-tYemfogSmv7Ws5PQ"), one[:16]).open(one[21:]) == b"I am the walrus\x02"
    two = raw("uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA")
    reading = _Records(raw("BO3ZVPxUlnLORbVGMpbT1Q"), two[:16])
    assert (reading.open(two[23:48]), reading.open(two[48:])) == (b"I am th\x01\0", b"e walrus\x02")


def test_padding_is_taken_off() -> None:
    key = new_key(8, "text/plain")
    begin = key.sealed(ME, TO.encrypt_key()) + b"\n" + bytes(16) + RECORD.to_bytes(4, "big") + b"\0"
    made = _Records(key.key, bytes(16))
    padded = made.seal((b"I am" + b"\x01").ljust(RECORD - 16, b"\0")) + made.seal(b"here\x02" + bytes(500))
    assert opened(begin + padded) == b"I amhere"


def swapped(parts: list[bytes]) -> list[bytes]:
    return [parts[1], parts[0], *parts[2:]]


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "cut at a record": lambda parts: parts[:-1],
    "cut in a record": lambda parts: [*parts[:-1], parts[-1][:-1]],
    "cut in the first": lambda parts: [parts[0][:-100]],
    "nothing": lambda parts: [],
    "reordered": swapped,
    "repeated": lambda parts: [parts[0], *parts],
    "last repeated": lambda parts: [*parts, parts[-1]],
    "dropped": lambda parts: [parts[0], *parts[2:]],
    "first dropped": lambda parts: parts[1:],
    "longer": lambda parts: [*parts, b"x"],
    "changed": lambda parts: [bytes([parts[0][0] ^ 1]) + parts[0][1:], *parts[1:]],
    "tag changed": lambda parts: [*parts[:-1], parts[-1][:-1] + bytes([parts[-1][-1] ^ 128])],
    "of another file": lambda parts: [*parts[:-1], records(sealed())[1][-1]],
}


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_does_not_open_as_a_whole(change: str) -> None:
    begin, parts = records(sealed())
    with pytest.raises(Theirs) as no:
        opened(begin + b"".join(CHANGES[change](parts)))
    assert no.value.code == "body.decryption"


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_a_file_of_another_length_than_its_key_says_does_not_open(size: int) -> None:
    key = new_key(size, "text/plain")
    begin = key.sealed(ME, TO.encrypt_key()) + b"\n" + bytes(16) + RECORD.to_bytes(4, "big") + b"\0"
    made = _Records(key.key, bytes(16))
    cuts = [DATA[at : at + CONTENT] for at in range(0, len(DATA), CONTENT)]
    body = b"".join(made.seal(cut + (b"\x02" if cut is cuts[-1] else b"\x01")) for cut in cuts)
    with pytest.raises(Theirs) as no:
        opened(begin + body)
    assert no.value.code == "body.decryption"
    with pytest.raises(ValueError, match="more bytes"):
        FileSealer(b"head", FileKey(bytes(16), 3, "a/b")).add(b"four")


@pytest.mark.attack("large bodies")
def test_only_the_receiver_opens_it_and_only_from_a_known_signer() -> None:
    sent = sealed()
    for keys in ((OTHER,), ()):  # another receiver; a key that is retired
        with pytest.raises(Theirs) as no:
            opened(sent, keys=keys)
        assert no.value.code == "body.decryption"
    stranger = signer("stranger")
    head = new_key(5, "a/b").sealed(stranger, TO.encrypt_key())
    with pytest.raises(Theirs) as no:
        opened(head + b"\n" + bytes(100))
    assert no.value.code == "signature.unknown-key"
    assert header_of(sent)["kid"] == TO.key_id


def told(**changes: Any) -> bytes:
    value = {"key": base64.urlsafe_b64encode(bytes(16)).rstrip(b"=").decode(), "size": 5, "mediaType": "a/b"} | changes
    return json.dumps({name: each for name, each in value.items() if each is not None}).encode()


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize(
    "payload",
    [
        told(size=0),
        told(size=-1),
        told(size=True),
        told(size=1.5),
        told(size="5"),
        told(size=10**30),
        told(size=None),
        told(key="A" * 21),
        told(key="A" * 23),
        told(key="A" * 21 + "B"),  # a second text for the same octets
        told(key="A" * 21 + "="),
        told(key="Ạ" * 22),
        told(key=5),
        told(mediaType=""),
        told(mediaType="a/" + "b" * 500),
        told(more=1),
        b"[]",
    ],
)
def test_a_head_that_says_something_else_is_refused(payload: bytes) -> None:
    head = jose.seal(payload, KEY_TYPE, ME, TO.encrypt_key())[0]
    with pytest.raises(Theirs) as no:
        opened(head + b"\n" + bytes(100))
    assert no.value.code == "body.encryption-profile"


@pytest.mark.attack("large bodies")
def test_what_is_no_encrypted_file_is_refused_before_it_is_held() -> None:
    made = opener()
    with pytest.raises(Theirs):
        for _ in range(1000):
            made.feed(b"A" * 1000)
    assert len(made._left) <= MAX_HEAD + 1000
    message = jose.seal(told(), "application/json", ME, TO.encrypt_key())[0]  # a message is no head
    head, begin = sealed()[: sealed().index(b"\n")], bytes(16)
    for sent in (b"", b"\n", b"x", b"x\n", message + b"\n" + bytes(99), head, head + b"\n" + begin):
        with pytest.raises(Theirs) as no:
            opened(sent)
        assert no.value.code in ("body.encryption-profile", "body.decryption"), sent[:20]
    first = sealed()
    at = first.index(b"\n") + 17
    for fixed in (b"\0\0\0\x12\0", b"\xff\xff\xff\xff\0", b"\0\1\0\0\1"):
        with pytest.raises(Theirs) as no:
            opened(first[:at] + fixed + first[at + 5 :])
        assert no.value.code == "body.encryption-profile"

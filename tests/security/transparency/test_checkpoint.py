"""Checkpoints as signed notes: forms, and everything that must not pass."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from security.transparency.checkpoint import (
    Checkpoint,
    LogProof,
    NoteError,
    NoteKey,
    open_note,
    proof_text,
    sign,
    sign_text,
    verify,
)

NAME = "log.example.vn/lgsp"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key()
POINT = Checkpoint("log.example.vn/lgsp", 123456, hashlib.sha256(b"root").digest())


def test_the_form_is_that_of_c2sp() -> None:
    note = sign(POINT, PRIVATE, NAME)
    text, _, signature = note.partition("\n\n")
    assert text.split("\n") == [NAME, "123456", base64.b64encode(POINT.root).decode()]
    assert signature.startswith(f"\u2014 {NAME} ") and signature.endswith("\n")
    raw = base64.b64decode(signature.split(" ")[2])
    key_hash = hashlib.sha256(NAME.encode() + b"\n\x01" + PUBLIC.public_bytes_raw()).digest()[:4]
    assert raw[:4] == key_hash
    PUBLIC.verify(raw[4:], (text + "\n").encode())
    assert (
        NoteKey.make(NAME, PUBLIC).text()
        == f"{NAME}+{key_hash.hex()}+{base64.b64encode(bytes([1]) + PUBLIC.public_bytes_raw()).decode()}"
    )


def test_fixed_vector() -> None:
    """Ed25519 is deterministic, so the whole note of this key is fixed for ever."""
    note = sign(POINT, PRIVATE, NAME)
    assert hashlib.sha256(note.encode()).hexdigest() == VECTOR
    assert NoteKey.make(NAME, PUBLIC).text() == VKEY


VKEY = "log.example.vn/lgsp+94a13866+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
VECTOR = "fcdd2fb230b2492b5b42495d0f3e694b827db3c0d83f70eb57f6bb4899d4923c"


def test_verify_and_read_back() -> None:
    note = sign(POINT, PRIVATE, NAME)
    assert verify(note, NoteKey.make(NAME, PUBLIC).text()) == POINT
    assert verify(note, NoteKey.make(NAME, PUBLIC), origin=NAME) == POINT
    with pytest.raises(NoteError, match="not of"):
        verify(note, NoteKey.make(NAME, PUBLIC).text(), origin="other")
    extended = Checkpoint("o", 0, bytes(32), ("one", "two"))
    assert verify(sign(extended, PRIVATE, NAME), NoteKey.make(NAME, PUBLIC).text()) == extended


def test_signatures_of_witnesses_are_passed_over() -> None:
    note = sign(POINT, PRIVATE, NAME)
    other = Ed25519PrivateKey.generate()
    witness = sign_text(POINT.text(), other, "witness.example").partition("\n\n")[2]
    assert verify(note + witness, NoteKey.make(NAME, PUBLIC).text()) == POINT
    assert verify(note + witness, NoteKey.make("witness.example", other.public_key()).text()) == POINT
    same_name = sign_text(POINT.text(), other, NAME).partition("\n\n")[2]
    assert verify(note + same_name, NoteKey.make(NAME, PUBLIC).text()) == POINT, (
        "another key of that name has another hash"
    )


NOTE = sign(POINT, PRIVATE, NAME)
LINE = NOTE.partition("\n\n")[2]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        NOTE[:-1],
        NOTE.replace("123456", "123457"),
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("\u2014", "-"),
        NOTE + LINE,
        NOTE + "x\n",
        NOTE + "\n",
        NOTE.replace(NAME + " ", "other "),
        NOTE.replace(NAME + "\n", "x\x07\n"),
        NOTE.partition("\n\n")[0] + "\n\n",
        NOTE[:-3] + "==\n",
        NOTE.replace("\n\n", "\n\n\n"),
        NOTE.replace("\n", "\r\n"),
        "\n" + NOTE,
    ],
)
def test_notes_that_must_not_pass(note: str) -> None:
    with pytest.raises(NoteError):
        verify(note, NoteKey.make(NAME, PUBLIC).text())


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n1\nAAAA\n",
        "\n1\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 43 + "=",
        "a\n1\n" + "A" * 43 + "=\n\n",
        "a\n1\n" + "A" * 42 + "B=\n",
        "a\n1 \n" + "A" * 43 + "=\n",
    ],
)
def test_checkpoints_that_are_none(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.from_text(text)


@pytest.mark.parametrize(
    "bad",
    [
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 1, b""),
        Checkpoint("a", 1, bytes(32), ("",)),
        Checkpoint("a", 1, bytes(32), ("x\ny",)),
    ],
)
def test_checkpoints_that_cannot_be_written(bad: Checkpoint) -> None:
    with pytest.raises(NoteError):
        sign(bad, PRIVATE, NAME)


@given(st.text(max_size=300))
def test_rubbish_is_refused(text: str) -> None:
    for call in (
        lambda: open_note(text, NoteKey.make(NAME, PUBLIC).text()),
        lambda: NoteKey.from_text(text),
        lambda: LogProof.from_text(text),
    ):
        with pytest.raises(NoteError):
            call()


def test_key_texts() -> None:
    assert NoteKey.from_text(NoteKey.make(NAME, PUBLIC).text() + "\n").raw == PUBLIC.public_bytes_raw()
    name, private = NoteKey.private_from_text(NoteKey.private_text(NAME, PRIVATE))
    assert (name, private.private_bytes_raw()) == (NAME, PRIVATE.private_bytes_raw())
    good = NoteKey.make(NAME, PUBLIC).text()
    name, hashed, rest = good.split("+", 2)
    for bad in (
        f"{name}x+{hashed}+{rest}",
        f"{name}+00000000+{rest}",
        f"{name}+{hashed}",
        f"{name}+{hashed}+AAAA",
        f"{name}+{hashed}+!",
        f" +{hashed}+{rest}",
    ):
        with pytest.raises(NoteError):
            NoteKey.from_text(bad)
    for bad in ("x", "PRIVATE+KEY+a+b+AAAA", NoteKey.private_text(NAME, PRIVATE).replace(NAME, "other")):
        with pytest.raises(NoteError):
            NoteKey.private_from_text(bad)
    for name in ("", "a b", "a+b", "a\n"):
        with pytest.raises(NoteError):
            NoteKey.make(name, PUBLIC).text()


def test_texts_that_cannot_be_notes() -> None:
    for text in ("no newline", "a\x00\n", "a\r\n"):
        with pytest.raises(NoteError):
            sign_text(text, PRIVATE, NAME)


def test_proofs_in_both_forms() -> None:
    hashes = (bytes(32), b"\x01" * 32)
    with_header, without = proof_text(7, hashes, NOTE), proof_text(7, hashes, NOTE, header=False)
    assert with_header == "c2sp.org/tlog-proof@v1\n" + without
    assert without.startswith("index 7\n" + "A" * 43 + "=\n")
    for text in (with_header, without):
        proof = LogProof.from_text(text)
        assert (proof.index, proof.hashes, proof.note) == (7, hashes, NOTE)
        assert verify(proof.note, NoteKey.make(NAME, PUBLIC).text()) == POINT
    assert LogProof.from_text(LogProof(0, (), NOTE, b"salt").text()).extra == b"salt"
    for bad in (
        "index 07\n\n" + NOTE,
        "index x\n\n" + NOTE,
        "index 1\nAAAA\n\n" + NOTE,
        "index 1\n" + NOTE.replace("\n\n", "\n"),
        "\n\n" + NOTE,
    ):
        with pytest.raises(NoteError):
            LogProof.from_text(bad)

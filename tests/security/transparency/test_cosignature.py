"""Cosignatures of witnesses (C2SP tlog-cosignature) and the request for one (tlog-witness): forms, and everything that
must not pass."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, open_note, sign, split_note, verify
from security.transparency.cosignature import (
    AddCheckpoint,
    CosignerKey,
    answered,
    cosign,
    cosignatures,
    quorum,
    with_lines,
)

LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = "log.example.vn/lgsp"
NOTE = sign(Checkpoint(NAME, 123456, hashlib.sha256(b"root").digest()), LOG, NAME)
TEXT = split_note(NOTE)[0]
PRIVATE = {
    name: Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    for name in ("w.example/a", "w.example/b")
}
LATE = bytes([255]) * 8
KEYS = {name: CosignerKey.make(name, private.public_key()) for name, private in PRIVATE.items()}


def line(name: str = "w.example/a", time: int = 1_795_500_000, text: str = TEXT) -> str:
    return cosign(text, PRIVATE[name], name, time)


def test_the_form_is_that_of_c2sp() -> None:
    name, raw = "w.example/a", PRIVATE["w.example/a"].public_key().public_bytes_raw()
    assert KEYS[name].key_hash == hashlib.sha256(name.encode() + b"\n\x04" + raw).digest()[:4]
    assert KEYS[name].text() == f"{name}+{KEYS[name].key_hash.hex()}+{base64.b64encode(bytes([4]) + raw).decode()}"
    made = line()
    assert made.startswith(f"\u2014 {name} ") and made.endswith("\n")
    value = base64.b64decode(made.split(" ")[2])
    assert value[:4] == KEYS[name].key_hash and int.from_bytes(value[4:12], "big") == 1_795_500_000 and len(value) == 76
    PRIVATE[name].public_key().verify(value[12:], b"cosignature/v1\ntime 1795500000\n" + TEXT.encode())


def test_the_example_of_the_specification_reads_as_it_says() -> None:
    """Its key is not published; its name, its length and its time are."""
    example = (
        "\u2014 witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    _, lines = split_note(with_lines(NOTE, [example]))
    assert lines[1].name == "witness.example.com/w1" and len(lines[1].value) == 72
    assert int.from_bytes(lines[1].value[:8], "big") == 1679315147


def test_openssl_verifies_a_cosignature(tmp_path: Path) -> None:
    value = base64.b64decode(line(time=1_700_000_000).split(" ")[2])
    key, signature, message = (tmp_path / name for name in ("key.pem", "sig", "message"))
    key.write_bytes(PRIVATE["w.example/a"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signature.write_bytes(value[12:])
    message.write_bytes(b"cosignature/v1\ntime 1700000000\n" + TEXT.encode())
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        str(key),
        "-rawin",
        "-in",
        str(message),
        "-sigfile",
        str(signature),
    ]
    assert subprocess.run(command, capture_output=True).returncode == 0
    message.write_bytes(message.read_bytes().replace(b"1700000000", b"1700000001"))
    assert subprocess.run(command, capture_output=True).returncode != 0


@pytest.mark.parametrize("name", KEYS)
def test_keys_as_text(name: str) -> None:
    assert CosignerKey.from_text(KEYS[name].text() + "\n") == KEYS[name]
    told, private = CosignerKey.private_from_text(CosignerKey.private_text(name, PRIVATE[name]))
    assert told == name and private.private_bytes_raw() == PRIVATE[name].private_bytes_raw()


def test_a_key_that_is_not_a_witness_s() -> None:
    log = NoteKey.make("w.example/a", PRIVATE["w.example/a"].public_key())
    assert log.key_hash != KEYS["w.example/a"].key_hash, "one key as a log's and as a witness's has two ids"
    for text in (log.text(), KEYS["w.example/a"].text().replace("w.example/a", "w.example/c"), "x", "a+b+c", ""):
        with pytest.raises(NoteError):
            CosignerKey.from_text(text)
    for text in (
        "PRIVATE+KEY+x",
        CosignerKey.private_text("w.example/a", PRIVATE["w.example/a"]).replace("w.example/a", "w.example/c"),
    ):
        with pytest.raises(NoteError):
            CosignerKey.private_from_text(text)
    with pytest.raises(NoteError):
        CosignerKey.make("two words", PRIVATE["w.example/a"].public_key())


def test_a_quorum() -> None:
    note = with_lines(NOTE, [line(), line("w.example/b", 1_795_500_001)])
    found = cosignatures(note, KEYS.values())
    assert {(each.key.name, each.time) for each in found} == {
        ("w.example/a", 1_795_500_000),
        ("w.example/b", 1_795_500_001),
    }
    assert len(quorum(note, KEYS.values(), 2)) == 2
    assert verify(note, NoteKey.make(NAME, LOG.public_key())).size == 123456, "what the log signed reads as before"
    with pytest.raises(NoteError, match="1 known witnesses cosigned, and 2 must"):
        quorum(with_lines(NOTE, [line()]), KEYS.values(), 2)
    assert cosignatures(note, []) == []


def test_one_witness_counts_once() -> None:
    again = with_lines(NOTE, [line(time=5), line(time=7), line(time=6)])
    assert [each.time for each in cosignatures(again, KEYS.values())] == [7]
    private = PRIVATE["w.example/a"]
    twice = [KEYS["w.example/a"], CosignerKey.make("w.example/other", private.public_key())]
    note = with_lines(NOTE, [line(), cosign(TEXT, private, "w.example/other", 5)])
    with pytest.raises(NoteError):
        quorum(note, twice, 2)


def test_a_bad_line_of_a_known_witness_spoils_the_note() -> None:
    other = split_note(sign(Checkpoint(NAME, 123457, bytes(32)), LOG, NAME))[0]
    value = base64.b64decode(line().split(" ")[2])
    for bad in (
        line(text=other),
        # without its time: a plain signature
        f"\u2014 w.example/a {base64.b64encode(value[:4] + value[12:]).decode()}\n",
        f"\u2014 w.example/a {base64.b64encode(value[:4] + LATE + value[12:]).decode()}\n",
        f"\u2014 w.example/a {base64.b64encode(value + b'x').decode()}\n",
    ):
        with pytest.raises(NoteError):
            cosignatures(with_lines(NOTE, [bad]), KEYS.values())
    stranger = cosign(TEXT, Ed25519PrivateKey.generate(), "w.example/a", 5)
    assert cosignatures(with_lines(NOTE, [stranger]), KEYS.values()) == [], "a name alone is not a key"


def test_a_plain_signature_by_a_witness_s_key_is_no_cosignature() -> None:
    """Nor the other way about: the message of each begins differently."""
    private = PRIVATE["w.example/a"]
    plain = split_note(sign(Checkpoint(NAME, 123456, hashlib.sha256(b"root").digest()), private, "w.example/a"))[1][0]
    value = (5).to_bytes(8, "big") + plain.value
    forged = f"\u2014 w.example/a {base64.b64encode(KEYS['w.example/a'].key_hash + value).decode()}\n"
    with pytest.raises(NoteError):
        cosignatures(with_lines(NOTE, [forged]), KEYS.values())
    with pytest.raises(NoteError):
        open_note(f"{TEXT}\n{line()}", NoteKey.make("w.example/a", private.public_key()))


def test_the_answer_of_a_witness() -> None:
    key = KEYS["w.example/a"]
    unknown = cosign(TEXT, Ed25519PrivateKey.generate(), "w.example/z", 3)
    assert answered(TEXT, unknown + line(time=9), key) == (line(time=9), 9)
    for bad in (unknown, "", "\n", "garbage\n", line()[:-1], line("w.example/b")):
        with pytest.raises(NoteError):
            answered(TEXT, bad, key)


# --- the request ------------------------------------------------------------------------------------------------------

HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63)


@given(st.integers(0, (1 << 63) - 1), HASHES)
def test_a_request_reads_as_it_was_written(old: int, proof: list[bytes]) -> None:
    asked = AddCheckpoint(old, tuple(proof), NOTE)
    assert AddCheckpoint.from_text(asked.text()) == asked


@given(st.text(alphabet="old 0129\n=\u2014AZaz+/", max_size=200))
def test_whatever_is_read_reads_back(text: str) -> None:
    try:
        found = AddCheckpoint.from_text(text)
    except NoteError:
        return
    assert found.text() == text


GOOD = AddCheckpoint(5, (bytes(32), bytes(range(32))), NOTE).text()


@pytest.mark.parametrize(
    "bad",
    [
        "",
        GOOD.replace("old 5", "old 05"),
        GOOD.replace("old 5", "old -5"),
        GOOD.replace("old 5", "old  5"),
        GOOD.replace("old 5", "Old 5"),
        GOOD.replace("old 5", "old 9223372036854775808"),
        GOOD.replace("old 5\n", ""),
        GOOD.replace("old 5\n", "old 5\r\n"),
        GOOD.replace("\n\n", "\n", 1),
        GOOD.partition("\n\n")[0] + "\n\n",
        GOOD[:-1],
        f"old 5\n{base64.b64encode(bytes(31)).decode()}\n\n{NOTE}",
        f"old 5\n{base64.b64encode(bytes(32)).decode()[:-1]}\n\n{NOTE}",
        f"old 5\n{base64.b64encode(bytes(32)).decode()} \n\n{NOTE}",
        "old 5\n" + f"{base64.b64encode(bytes(32)).decode()}\n" * 64 + f"\n{NOTE}",
    ],
    ids=range(15),
)
def test_a_request_of_another_form(bad: str) -> None:
    with pytest.raises(NoteError):
        AddCheckpoint.from_text(bad)

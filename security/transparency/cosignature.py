"""Cosignatures of checkpoints by witnesses: C2SP tlog-cosignature v1 (Ed25519, type 0x04), and tlog-witness requests.

A cosignature states that, at its time, this was the largest tree of the log known to the witness, and consistent with
all earlier ones.
Invariants: a reported cosignature was verified with a given key; lines of unknown keys and other types are ignored, an
invalid line of a known key is an error; a key counts once towards a quorum, under whatever names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.transparency.checkpoint import (
    NamedKey,
    NoteError,
    SignatureLine,
    b64,
    signature_line,
    signature_lines,
    split_note,
    unb64,
)
from security.transparency.merkle import HASH

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_TIME: Final = 8
_VALUE: Final = _TIME + 64
_LATEST: Final = (1 << 63) - 1
MAX_PROOF: Final = 63
MAX_REQUEST: Final = 100_000  # bytes: 63 hashes and a checkpoint with many signatures


@dataclass(frozen=True, slots=True)
class CosignerKey(NamedKey):
    """The key of a witness."""

    TYPE: ClassVar[bytes] = b"\x04"
    KNOWN: ClassVar[str] = "Ed25519 keys of witnesses (type 0x04)"


# --- cosigning and verifying ------------------------------------------------------------------------------------------


def cosign(text: str, private: Ed25519PrivateKey, name: str, time: int) -> str:
    """The line by which `name` cosigns the text of a checkpoint."""
    if not 0 <= time <= _LATEST or not text.endswith("\n"):
        raise NoteError("a cosignature has a time of 63 bits, and covers a text that ends with a newline")
    key = CosignerKey.make(name, private.public_key())
    return signature_line(name, key.key_hash, time.to_bytes(_TIME, "big") + private.sign(_message(text, time)))


class Cosigned(NamedTuple):
    """A verified cosignature and the time in it."""

    key: CosignerKey
    time: int


def cosignatures(note: str, keys: Iterable[CosignerKey]) -> list[Cosigned]:
    """The known witnesses that cosigned this note, each once. NoteError for a wrong line of one of them."""
    return _verified(*split_note(note), keys)


def answered(text: str, lines: str, key: CosignerKey) -> tuple[str, int]:
    """The witness's own line over `text` in its answer, and its time. NoteError if there is no valid one."""
    parsed = signature_lines(lines)
    verified = _verified(text, parsed, [key])
    if not verified:
        raise NoteError(f"no cosignature by {key.name}")
    time = verified[0].time
    for line in parsed:
        if _is_of(line, key) and line.value[:_TIME] == time.to_bytes(_TIME, "big"):
            return signature_line(line.name, line.key_hash, line.value), time
    raise NoteError(f"no cosignature by {key.name}")


def quorum(note: str, keys: Iterable[CosignerKey], needed: int) -> list[Cosigned]:
    """The cosignatures. NoteError if fewer than `needed`; one key under two names is one witness."""
    cosigned = cosignatures(note, keys)
    if len({each.key.raw for each in cosigned}) < needed:
        raise NoteError(f"{len(cosigned)} known witnesses cosigned, and {needed} must")
    return cosigned


def with_lines(note: str, lines: Sequence[str]) -> str:
    """The note with further signature lines appended."""
    for line in lines:
        signature_lines(line)
    split_note(note)
    return note + "".join(lines)


def _verified(text: str, lines: Sequence[SignatureLine], keys: Iterable[CosignerKey]) -> list[Cosigned]:
    known = {(key.name, key.key_hash): key for key in keys}
    verified: dict[tuple[str, bytes], Cosigned] = {}
    for line in lines:
        key = known.get((line.name, line.key_hash))
        if key is None:
            continue
        if len(line.value) != _VALUE:
            raise NoteError(f"a cosignature by {key.name} has {_VALUE} bytes")
        time = int.from_bytes(line.value[:_TIME], "big")
        if time > _LATEST:
            raise NoteError(f"the cosignature by {key.name} has a time beyond 63 bits")
        try:
            key.public.verify(line.value[_TIME:], _message(text, time))
        except InvalidSignature:
            raise NoteError(f"the cosignature by {key.name} is wrong") from None
        earlier = verified.get((line.name, line.key_hash))
        if earlier is None or earlier.time < time:
            verified[line.name, line.key_hash] = Cosigned(key, time)
    return list(verified.values())


def _is_of(line: SignatureLine, key: CosignerKey) -> bool:
    return (line.name, line.key_hash) == (key.name, key.key_hash)


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


# --- asking a witness -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of `add-checkpoint`: the size the witness is thought to have, the proof from there, the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        if self.old < 0 or len(self.proof) > MAX_PROOF or any(len(each) != HASH for each in self.proof):
            raise NoteError(f"a request has an old size, and at most {MAX_PROOF} hashes of {HASH} bytes")
        return "".join(f"{line}\n" for line in (f"old {self.old}", *(b64(each) for each in self.proof), "")) + self.note

    @classmethod
    def from_text(cls, text: str) -> AddCheckpoint:
        """Of the note, only the format is checked."""
        head, middle, note = text.partition("\n\n")
        first, *hashes = head.split("\n")
        match = _OLD.fullmatch(first)
        if not middle or match is None or int(match[1]) > _LATEST:
            raise NoteError("a request is a line `old <size>`, hashes, an empty line and a checkpoint")
        if len(hashes) > MAX_PROOF:
            raise NoteError(f"a request has at most {MAX_PROOF} hashes")
        proof = tuple(unb64(each) for each in hashes)
        if any(len(each) != HASH for each in proof):
            raise NoteError(f"the hashes of a proof have {HASH} bytes")
        split_note(note)
        return cls(int(match[1]), proof, note)

"""Checkpoints of the audit log: C2SP tlog-checkpoint as a signed note (Ed25519, type 0x01), and tlog-proof texts.

Key texts (`name+hash+base64`, and `PRIVATE+KEY+…`) follow C2SP signed-note, so that other tools can read them.
Invariant: `verify` returns only what the named key signed; lines of unknown keys are ignored, an invalid line of the
named key is an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from security.transparency.merkle import HASH

_DASH: Final = "\u2014 "
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_NOTE: Final = 1_000_000
MAX_LINES: Final = 200  # signatures of a note, since each known one is verified over the whole text


class NoteError(ValueError):
    """A note, key or proof that cannot be accepted; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Origin, size in entries, and root hash of a log."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text that is signed."""
        if not self.origin or "\n" in self.origin or len(self.root) != HASH or self.size < 0:
            raise NoteError("a checkpoint has an origin, a size, and a root of 32 bytes")
        if any(not line or "\n" in line for line in self.extensions):
            raise NoteError("an extension is one line with something in it")
        return "\n".join([self.origin, str(self.size), b64(self.root), *self.extensions]) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise NoteError("a checkpoint has an origin, a size and a root, each on a line")
        origin, size, root, *extensions = lines[:-1]
        if _SIZE.fullmatch(size) is None:
            raise NoteError(f"{size[:30]!r} is not the size of a log")
        hashed = unb64(root)
        if len(hashed) != HASH:
            raise NoteError("the root of a checkpoint has 32 bytes")
        return cls(origin, int(size), hashed, tuple(extensions))


@dataclass(frozen=True, slots=True)
class NamedKey:
    """An Ed25519 public key with its name. Each type of signed note has a subclass, so that one is no other."""

    TYPE: ClassVar[bytes]
    KNOWN: ClassVar[str]

    name: str
    key_hash: bytes
    public: Ed25519PublicKey = field(repr=False, compare=False)
    raw: bytes = b""

    @classmethod
    def make(cls, name: str, public: Ed25519PublicKey) -> Self:
        if _NAME.fullmatch(name) is None:
            raise NoteError("the name of a key has no spaces and no plus signs")
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(name, hashlib.sha256(name.encode() + b"\n" + cls.TYPE + raw).digest()[:4], public, raw)

    @classmethod
    def from_text(cls, vkey: str) -> Self:
        """From `name+hash+base64` (the base64 may contain `+`)."""
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteError("a key text is name+hash+base64")
        name, hexed, encoded = parts
        key = cls.make(name, Ed25519PublicKey.from_public_bytes(cls._typed(encoded)))
        if hexed != key.key_hash.hex():
            raise NoteError(f"the key text of {name} is damaged: its hash is another")
        return key

    def text(self) -> str:
        return f"{self.name}+{self.key_hash.hex()}+{b64(self.TYPE + self.raw)}"

    @classmethod
    def private_text(cls, name: str, private: Ed25519PrivateKey) -> str:
        """The private key, in the format of signed notes."""
        key = cls.make(name, private.public_key())
        return f"PRIVATE+KEY+{name}+{key.key_hash.hex()}+{b64(cls.TYPE + private.private_bytes_raw())}"

    @classmethod
    def private_from_text(cls, text: str) -> tuple[str, Ed25519PrivateKey]:
        """Name and key of a private key text. NoteError if it is damaged."""
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise NoteError("a private key text is PRIVATE+KEY+name+hash+base64")
        private = Ed25519PrivateKey.from_private_bytes(cls._typed(parts[4]))
        if cls.make(parts[2], private.public_key()).key_hash.hex() != parts[3]:
            raise NoteError("the private key text is damaged: its hash is another")
        return parts[2], private

    @classmethod
    def _typed(cls, encoded: str) -> bytes:
        raw = unb64(encoded)
        if len(raw) != 33 or raw[:1] != cls.TYPE:
            raise NoteError(f"only {cls.KNOWN} are known here")
        return raw[1:]


@dataclass(frozen=True, slots=True)
class NoteKey(NamedKey):
    """The key of a log."""

    TYPE: ClassVar[bytes] = b"\x01"
    KNOWN: ClassVar[str] = "Ed25519 keys of type 0x01"


def sign_text(text: str, private: Ed25519PrivateKey, name: str) -> str:
    """A signed note with one signature."""
    if not text.endswith("\n") or len(text) > MAX_NOTE or any(c < " " and c != "\n" for c in text):
        raise NoteError("the text of a note ends with a newline and holds no control characters")
    key = NoteKey.make(name, private.public_key())
    return f"{text}\n{signature_line(name, key.key_hash, private.sign(text.encode()))}"


def sign(checkpoint: Checkpoint, private: Ed25519PrivateKey, name: str) -> str:
    return sign_text(checkpoint.text(), private, name)


class SignatureLine(NamedTuple):
    """One line below a note: claimed signer, key hash, signature."""

    name: str
    key_hash: bytes
    value: bytes


def split_note(note: str) -> tuple[str, list[SignatureLine]]:
    """The text of a note and its signature lines, unverified."""
    text, middle, lines = note.rpartition("\n\n")
    if not middle or not lines.endswith("\n") or len(note) > MAX_NOTE or any(c < " " and c != "\n" for c in note):
        raise NoteError("a note is a text, an empty line and signatures")
    return text + "\n", signature_lines(lines)


def signature_lines(lines: str) -> list[SignatureLine]:
    """Parses the lines below a note, each with its newline."""
    if not lines.endswith("\n"):
        raise NoteError("a signature line ends with a newline")
    if lines.count("\n") > MAX_LINES:
        raise NoteError(f"a note has at most {MAX_LINES} signatures")
    parsed = []
    for line in lines[:-1].split("\n"):
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or _NAME.fullmatch(name) is None:
            raise NoteError(f"not a signature line: {line[:60]!r}")
        raw = unb64(encoded)
        if len(raw) < 5:
            raise NoteError(f"the signature of {name} is too short")
        parsed.append(SignatureLine(name, raw[:4], raw[4:]))
    return parsed


def signature_line(name: str, key_hash: bytes, value: bytes) -> str:
    """The line of one signature, with its newline."""
    return f"{_DASH}{name} {b64(key_hash + value)}\n"


def open_note(note: str, key: NoteKey | str) -> str:
    """The text of a note that `key` signed."""
    trusted = NoteKey.from_text(key) if isinstance(key, str) else key
    text, lines = split_note(note)
    value: bytes | None = None
    for line in lines:
        if line.name == trusted.name and line.key_hash == trusted.key_hash:
            if value is not None:
                raise NoteError(f"two signatures by {line.name}")
            value = line.value
    if value is None:
        raise NoteError(f"no signature by {trusted.name}")
    try:
        trusted.public.verify(value, text.encode())
    except InvalidSignature:
        raise NoteError(f"the signature of {trusted.name} is wrong") from None
    return text


def verify(note: str, key: NoteKey | str, *, origin: str | None = None) -> Checkpoint:
    """The checkpoint in a note that `key` signed; with `origin`, of that log only."""
    checkpoint = Checkpoint.from_text(open_note(note, key))
    if origin is not None and checkpoint.origin != origin:
        raise NoteError(f"a checkpoint of {checkpoint.origin}, not of {origin}")
    return checkpoint


@dataclass(frozen=True, slots=True)
class LogProof:
    """An inclusion proof with its checkpoint: enough to check an entry without the log."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes | None = None

    def text(self, *, header: bool = True) -> str:
        """The format of C2SP tlog-proof; `header=False` for checkers that accept no header."""
        lines = [PROOF_HEADER] if header else []
        if self.extra is not None:
            lines.append(f"extra {b64(self.extra)}")
        lines += [f"index {self.index}", *[b64(h) for h in self.hashes]]
        return "\n".join(lines) + "\n\n" + self.note

    @classmethod
    def from_text(cls, text: str) -> LogProof:
        """Reads both formats."""
        top, middle, note = text.partition("\n\n")
        lines = top.split("\n")
        if lines[0] == PROOF_HEADER:
            del lines[0]
        extra = unb64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
        if not middle or not lines or not lines[0].startswith("index ") or _SIZE.fullmatch(lines[0][6:]) is None:
            raise NoteError("a proof is an index, hashes, an empty line and a checkpoint")
        hashes = tuple(unb64(line) for line in lines[1:])
        if any(len(h) != HASH for h in hashes) or len(hashes) > 63:
            raise NoteError("a proof has at most 63 hashes of 32 bytes")
        return cls(int(lines[0][6:]), hashes, note, extra)


def proof_text(index: int, hashes: Sequence[bytes], note: str, *, header: bool = True) -> str:
    return LogProof(index, tuple(hashes), note).text(header=header)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def unb64(text: str) -> bytes:
    """Canonical base64 only: one text for each value."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"not base64: {text[:60]!r}") from None
    if b64(raw) != text:
        raise NoteError(f"not canonical base64: {text[:60]!r}")
    return raw

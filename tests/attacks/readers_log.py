"""Readers of what proves the log: signed notes, cosignatures, tiles and proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.transparency import checkpoint, cosignature, merkle, tiles
from tests.attacks.readers_security import TEXTS
from tests.attacks.readers_wire import again
from tests.attacks.reading import Try, reader


@cache
def note() -> tuple[Ed25519PrivateKey, checkpoint.NoteKey, str]:
    private = Ed25519PrivateKey.generate()
    text = checkpoint.sign(checkpoint.Checkpoint("log", 1, merkle.leaf_hash(b"a")), private, "log")
    return private, checkpoint.NoteKey.make("log", private.public_key()), text


@reader(
    "security.transparency.checkpoint:open_note",
    "security.transparency.checkpoint:split_note",
    "security.transparency.checkpoint:verify",
    "security.transparency.checkpoint:unb64",
    "security.transparency.checkpoint:Checkpoint.from_text",
    "security.transparency.checkpoint:NamedKey.from_text",
    "security.transparency.checkpoint:LogProof.from_text",
    "security.transparency.cosignature:CosignerKey.from_text",
    "security.transparency.cosignature:AddCheckpoint.from_text",
    "security.transparency.cosignature:cosignatures",
    "security.transparency.cosignature:answered",
    "security.transparency.cosignature:quorum",
)
def notes() -> Iterable[Try]:
    private, key, good = note()
    witness = Ed25519PrivateKey.generate()
    cosigner = cosignature.CosignerKey.make("w", witness.public_key())
    line = cosignature.cosign(good.partition("\n\n")[0] + "\n", witness, "w", 1)
    top = good.partition("\n\n")[0]
    grown: dict[str, Callable[[int], str]] = {
        **TEXTS,
        "signatures by others": lambda n: good + checkpoint.signature_line("b", b"1234", b"5" * 64) * n,
        "signatures by us": lambda n: good + good.rpartition("\n\n")[2] * n,
        "cosignatures": lambda n: good + line * n,
        "extensions": lambda n: checkpoint.sign_text(top + "\n" + "a\n" * min(n, 300_000), private, "log"),
        "a proof": lambda n: "index 0\n" + (checkpoint.b64(b"a" * 32) + "\n") * n + "\n" + good,
        "an extra": lambda n: "extra " + "YWFh" * n + "\nindex 0\n\n" + good,
        "a request": lambda n: "old 0\n" + (checkpoint.b64(b"a" * 32) + "\n") * n + "\n" + good,
        "the middle again": lambda n: "a\n\n" * n,
        "long signed texts with cosignatures": lambda n: (
            checkpoint.sign_text("a\n" * min(n, 100_000), private, "log")
            + cosignature.cosign("a\n" * min(n, 100_000), witness, "w", 1) * min(n // 100, 100)
        ),
    }
    readers: dict[str, Callable[[str], object]] = {
        "open": lambda text: checkpoint.open_note(text, key),
        "verify": lambda text: checkpoint.verify(text, key, origin="log"),
        "checkpoint": checkpoint.Checkpoint.from_text,
        "key": checkpoint.NoteKey.from_text,
        "proof": checkpoint.LogProof.from_text,
        "cosigner": cosignature.CosignerKey.from_text,
        "request": cosignature.AddCheckpoint.from_text,
        "cosignatures": lambda text: cosignature.quorum(text, [cosigner], 1),
        "answered": lambda text: cosignature.answered(top + "\n", text.partition("\n\n")[2], cosigner),
        "base64": checkpoint.unb64,
    }
    for which, read in readers.items():
        yield from [Try(f"{which}: {name}", read, make, 400_000) for name, make in grown.items()]


@reader(
    "security.transparency.tiles:parse_path",
    "security.transparency.tiles:parse_bundle",
    "security.transparency.tiles:split_hashes",
)
def tile_texts() -> Iterable[Try]:
    yield from [Try(f"path: {name}", tiles.parse_path, make, 400_000) for name, make in TEXTS.items()]
    yield Try("bundle", tiles.parse_bundle, again(b"\x00\x01a"))
    yield Try("empty entries", tiles.parse_bundle, again(b"\x00\x00"))
    yield Try("hashes", tiles.split_hashes, again(b"a" * 32))


@reader(
    "security.transparency.merkle:verify_inclusion",
    "security.transparency.merkle:verify_consistency",
    "security.transparency.merkle:Frontier.from_bytes",
)
def proofs() -> Iterable[Try]:
    root = merkle.leaf_hash(b"a")
    yield Try("inclusion", lambda way: merkle.verify_inclusion(root, 0, 1, way, root), lambda n: [root] * n)
    yield Try(
        "a large index",
        lambda way: merkle.verify_inclusion(root, 1 << len(way), 1 << (len(way) + 1), way, root),
        lambda n: [root] * n,
        20_000,
    )
    yield Try("consistency", lambda way: merkle.verify_consistency(1, 2, root, root, way), lambda n: [root] * n)
    yield Try("frontier", merkle.Frontier.from_bytes, again(b"a" * 32))

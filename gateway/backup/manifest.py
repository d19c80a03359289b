"""Reads and writes the manifest of a backup: the files by size and SHA-256, the instance, and the time.

    manifest.json        written last: a folder without it is not a backup
    manifest.sig         a signed note (C2SP signed-note) of the log's key over the manifest's digest
    database/            lgsp.db (SQLite), or one <table>.copy a table (PostgreSQL's text form of COPY)
    log/                 the checkpoint of this database, log.vkey
    settings.yaml  ca/  keys/      certificates always; private keys unless excluded
    vault-keys/          on request; destroy them by the date in the manifest
    sandbox/             of a sandbox: test identities and stand-in data

Invariant: `read` returns only if each named file has the stated size and digest, and no other file exists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts.base.errors import Theirs
from gateway.backup.errors import BACKUP_BROKEN, BACKUP_NONE
from gateway.durable import sync_folder, write_new
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import NoteError, NoteKey

FORMAT: Final = "lgsp-backup/1"
NAME: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
LAST: Final = "backup.last"  # database key: time, folder and contents of the last backup
_HEAD: Final = "LGSP backup manifest"
_CHUNK: Final = 1 << 20
Tick = Callable[[str, int, int], object]  # what, done, total


@dataclass(frozen=True, slots=True)
class File:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    made: float
    version: str
    kind: str  # sandbox | production
    data: str  # the data folder of the instance
    origin: str
    vkey: str
    size: int  # entries of the log
    checkpoint: str | None  # the signed note of that size
    database: str  # sqlite | postgresql
    revision: str  # of the schema
    registry: int  # revision of the registry
    keys: str  # sealed | plain | none
    vault_keys_until: float | None  # when to destroy the vault keys in it; None: none in it
    tables: Mapping[str, int] = field(default_factory=dict)  # PostgreSQL: rows of each
    files: Mapping[str, File] = field(default_factory=dict)
    format: str = FORMAT

    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def broken(folder: Path, reason: str) -> Theirs:
    return BACKUP_BROKEN(folder=folder, reason=reason)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def signed_text(text: str) -> str:
    """The text that the log's key signs. It cannot be a checkpoint: its second line is not a number."""
    return f"{_HEAD}\nsha256:{digest_of(text)}\n"


def look(folder: Path, tick: Tick = lambda _what, _done, _all: None) -> dict[str, File]:
    """All files below the folder except manifest and signature, with their digests."""
    files: dict[str, File] = {}
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() and path.relative_to(folder).as_posix() not in (NAME, SIGNATURE)
    ]
    total = sum(path.lstat().st_size for path in paths)
    done = 0
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            raise broken(folder, f"{name} is no plain file")
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                tick("files", done + size, total)
        done += size
        files[name] = File(size, digest.hexdigest())
    return files


def write(folder: Path, manifest: Manifest, sign: Callable[[str], str] | None) -> str:
    """Write and sync the signature, then the manifest; returns the manifest's digest."""
    text = manifest.text()
    if sign is not None:
        put(folder / SIGNATURE, sign(signed_text(text)).encode())
    put(folder / NAME, text.encode())
    sync_folder(folder)
    return digest_of(text)


def put(path: Path, data: bytes) -> None:
    """Create a file with mode 600 and sync it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new(path, data)


def read(folder: Path, vkey: NoteKey | None, tick: Tick = lambda _what, _done, _all: None) -> Manifest:
    """The manifest, after checking every file, and its signature if `vkey` is set. Raises `backup.broken`."""
    text = _text(folder)
    manifest = _parsed(folder, text)
    if vkey is not None:
        try:
            if notes.open_note((folder / SIGNATURE).read_text("utf-8"), vkey) != signed_text(text):
                raise NoteError("it is that of another manifest")
        except (OSError, UnicodeDecodeError, NoteError) as wrong:
            raise broken(folder, f"{SIGNATURE}: {wrong}") from None
    files = look(folder, tick)
    for name, stated in manifest.files.items():
        if name not in files:
            raise broken(folder, f"{name} is missing")
        if files[name] != stated:
            raise broken(folder, f"{name} is not what the manifest states ({files[name].size} bytes of {stated.size})")
    for name in files:
        if name not in manifest.files:
            raise broken(folder, f"{name} is not in the manifest")
    return manifest


def stated(folder: Path) -> Manifest:
    """What the manifest says; nothing is checked."""
    return _parsed(folder, _text(folder))


def _text(folder: Path) -> str:
    try:
        if (folder / NAME).exists() and not (folder / NAME).is_file():  # a pipe would never end
            raise broken(folder, f"{NAME} is no plain file")
        return (folder / NAME).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise BACKUP_NONE(folder=folder, name=NAME) from None
    except (OSError, UnicodeDecodeError) as wrong:
        raise broken(folder, f"{NAME}: {wrong}") from None


def _parsed(folder: Path, text: str) -> Manifest:
    try:
        raw: dict[str, Any] = json.loads(text)
        if raw.get("format") != FORMAT:
            raise broken(folder, f"{NAME}: its form is not known here")  # without its content, which may be anybody's
        files = {str(name): File(int(each["size"]), str(each["sha256"])) for name, each in raw.pop("files").items()}
        return Manifest(files=files, **raw)
    except json.JSONDecodeError as wrong:
        raise broken(folder, f"{NAME}: {wrong}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise broken(folder, f"{NAME}: it is not as this program writes it") from None

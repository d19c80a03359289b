"""What a witness must never forget, in a folder of its own: its key, and for each log the newest checkpoint that it cosigned.

    witness.key              the private key, mode 0600 (PRIVATE+KEY+name+hash+base64, type 0x04)
    logs/<origin>.json       the keys of one log, the newest checkpoint that was cosigned, and the time of that cosignature
    logs/<origin>.lock       empty; whoever judges a checkpoint of that log holds it, threads and processes alike
    objections/<digest>      requests that a log signed and that did not go on from what was cosigned: evidence against it
    objections/fork-<…>      proof by itself: another root for a size that was cosigned (-asked), and what was cosigned (-held); nothing crowds them out

Invariants: a file appears whole or not at all and is on disk before anybody is told of it; a log that is known is never begun anew, and a file that cannot
be read is an error, not an unknown log. Nothing is held in memory between two requests.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.transparency import cosignature
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, split_note
from security.transparency.cosignature import CosignerKey

_LONGEST: Final = 200
_FIRST, _LAST = 100, 100  # of the requests that are unproven: more of them prove no more


class BadFolder(ValueError):
    """A folder that cannot be a witness's, or no longer is; the text says why."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of one log. `note` is None until the first checkpoint was cosigned."""

    origin: str
    vkeys: tuple[str, ...]
    note: str | None = None
    time: int = 0

    @property
    def checkpoint(self) -> Checkpoint | None:
        return None if self.note is None else Checkpoint.from_text(split_note(self.note)[0])


class Folder:
    """One witness's folder."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._logs: Final = path / "logs"
        self._objections: Final = path / "objections"

    # --- the key ------------------------------------------------------------------------------------------------------
    @property
    def key_file(self) -> Path:
        return self.path / "witness.key"

    def make_key(self, name: str) -> CosignerKey:
        """A new key of that name; BadFolder if there is one already."""
        made = Ed25519PrivateKey.generate()
        key = CosignerKey.make(name, made.public_key())
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._draft(self.key_file, (cosignature.private_text(name, made) + "\n").encode())
        try:
            os.link(draft, self.key_file)
        except FileExistsError:
            raise BadFolder(f"{self.key_file} is there already: a witness keeps its key for life") from None
        finally:
            draft.unlink()
        _sync_folder(self.path)
        return key

    def key(self) -> tuple[CosignerKey, Ed25519PrivateKey]:
        try:
            name, private = cosignature.private_from_text(self.key_file.read_text("ascii"))
        except FileNotFoundError:
            raise BadFolder(f"{self.key_file} is missing") from None
        except (OSError, ValueError) as trouble:
            raise BadFolder(f"{self.key_file} cannot be used: {trouble}") from None
        if self.key_file.stat().st_mode & 0o077:
            raise BadFolder(f"others can read {self.key_file}; its mode must be 0600")
        return CosignerKey.make(name, private.public_key()), private

    # --- logs ---------------------------------------------------------------------------------------------------------
    def add_log(self, vkey: str) -> Held:
        """Know a log by its key; of one that is known already, a further key. What was cosigned stays as it is."""
        key = NoteKey.from_text(vkey)
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.alone(key.name):
            held = self.read(key.name) or Held(key.name, ())
            if key.text() not in held.vkeys:
                held = replace(held, vkeys=(*held.vkeys, key.text()))
                self.write(held)
        return held

    def read(self, origin: str) -> Held | None:
        """None for a log that was never added; BadFolder where the file is not what was written."""
        try:
            file = self._file(origin)
        except NoteError:
            return None
        try:
            raw = file.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = json.loads(raw)
            held = Held(found["origin"], tuple(found["vkeys"]), found["note"], found["time"])
            if held.origin != origin or any(NoteKey.from_text(each).name != origin for each in held.vkeys):
                raise ValueError("it is of another log")
            if held.checkpoint is not None and held.checkpoint.origin != origin:
                raise ValueError("its checkpoint is of another log")
        except (KeyError, TypeError, ValueError) as trouble:
            raise BadFolder(f"{file} is damaged ({trouble}); restore it, or retire this witness with its key") from None
        return held

    def write(self, held: Held) -> None:
        """To be called by whoever holds the log's lock; returns when it is on disk."""
        file = self._file(held.origin)
        os.replace(self._draft(file, json.dumps(asdict(held), ensure_ascii=False, indent=1).encode() + b"\n"), file)
        _sync_folder(file.parent)

    def all(self) -> list[Held]:
        found = []
        for file in sorted(self._logs.glob("*.json")):
            held = self.read(unquote(file.stem))
            if held is not None:
                found.append(held)
        return found

    @contextmanager
    def alone(self, origin: str) -> Iterator[None]:
        """One judge at a time for each log; the lock ends with its process, however that ends."""
        lock = os.open(self._file(origin).with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    # --- evidence -----------------------------------------------------------------------------------------------------
    def forked(self, held: str, asked: str, of: str) -> None:
        """Keep two notes of one size for good; of each size, one pair proves all that there is to prove."""
        name = f"fork-{hashlib.sha256(of.encode()).hexdigest()}"
        self._keep_objection(f"{name}-held", held)
        self._keep_objection(f"{name}-asked", asked)

    def object(self, request: str) -> None:
        """Keep an unproven request as evidence: the first ones and the last ones are kept."""
        self._keep_objection(hashlib.sha256(request.encode()).hexdigest(), request)
        unproven = [each for each in self._objections.iterdir() if not each.name.startswith(("fork-", "."))]
        if len(unproven) <= _FIRST + _LAST:
            return
        with suppress(FileNotFoundError):  # another log's judge did the same
            unproven.sort(key=lambda each: (each.stat().st_mtime_ns, each.name))
            for each in unproven[_FIRST:-_LAST]:
                each.unlink(missing_ok=True)

    def _keep_objection(self, name: str, request: str) -> None:
        self._objections.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self._objections / name
        if place.exists():
            return
        os.replace(self._draft(place, request.encode()), place)
        _sync_folder(self._objections)

    def objections(self) -> list[Path]:
        return sorted(self._objections.glob("*"))

    # --- files --------------------------------------------------------------------------------------------------------
    def _file(self, origin: str) -> Path:
        name = quote(origin, safe="")
        if not origin or len(name) > _LONGEST or name.startswith("."):
            raise NoteError(f"a witness keeps logs of names up to {_LONGEST} characters")
        return self._logs / f"{name}.json"

    def _draft(self, place: Path, data: bytes) -> Path:
        """The data under another name, on disk."""
        draft = place.with_name(f".{secrets.token_hex(8)}.part")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(file, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            draft.unlink()
            raise
        return draft


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

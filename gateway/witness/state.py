"""Stores what a witness must never forget, in its folder: its key, and each log's newest cosigned checkpoint.

    witness.key              the private key, mode 0600 (PRIVATE+KEY+name+hash+base64, type 0x04)
    logs/<origin>.json       the keys of one log, its newest cosigned checkpoint, and the time of that cosignature
    logs/<origin>.lock       empty; locked while a checkpoint of that log is judged, by threads and processes
    objections/<digest>      requests signed by a log that are not consistent with what was cosigned: evidence
    objections/fork-<…>      another root for a cosigned size (-asked), and what was cosigned (-held): proof, kept

Invariants:
- A file appears whole or not at all, and is on disk before anybody is told of it.
- A known log never begins again; an unreadable file is an error, not an unknown log.
- Nothing is kept in memory between two requests.
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

from gateway.durable import sync_folder, write_new
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, split_note
from security.transparency.cosignature import CosignerKey

_LONGEST: Final = 200
_FIRST, _LAST = 100, 100  # of the unproven requests: more of them prove no more


class BadFolder(ValueError):
    """A folder that a witness cannot use; the text says why."""


@dataclass(frozen=True, slots=True)
class Held:
    """The state of one log. `note` is None until a checkpoint was cosigned."""

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
        """Makes a key of that name; BadFolder if there is one."""
        private = Ed25519PrivateKey.generate()
        key = CosignerKey.make(name, private.public_key())
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._draft(self.key_file, (CosignerKey.private_text(name, private) + "\n").encode())
        try:
            os.link(draft, self.key_file)
        except FileExistsError:
            raise BadFolder(f"{self.key_file} is there already: a witness keeps its key for life") from None
        finally:
            draft.unlink()
        sync_folder(self.path)
        return key

    def key(self) -> tuple[CosignerKey, Ed25519PrivateKey]:
        try:
            name, private = CosignerKey.private_from_text(self.key_file.read_text("ascii"))
        except FileNotFoundError:
            raise BadFolder(f"{self.key_file} is missing") from None
        except (OSError, ValueError) as trouble:
            raise BadFolder(f"{self.key_file} cannot be used: {trouble}") from None
        if self.key_file.stat().st_mode & 0o077:
            raise BadFolder(f"others can read {self.key_file}; its mode must be 0600")
        return CosignerKey.make(name, private.public_key()), private

    # --- logs ---------------------------------------------------------------------------------------------------------
    def add_log(self, vkey: str) -> Held:
        """Adds a log by its key, or a further key of a known log, whose checkpoint stays."""
        key = NoteKey.from_text(vkey)
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.alone(key.name):
            held = self.read(key.name) or Held(key.name, ())
            if key.text() not in held.vkeys:
                held = replace(held, vkeys=(*held.vkeys, key.text()))
                self.write(held)
        return held

    def read(self, origin: str) -> Held | None:
        """None for a log that was never added; BadFolder if the file is damaged."""
        try:
            file = self._file(origin)
        except NoteError:
            return None
        try:
            raw = file.read_bytes()
        except FileNotFoundError:
            return None
        try:
            state = json.loads(raw)
            held = Held(state["origin"], tuple(state["vkeys"]), state["note"], state["time"])
            if held.origin != origin or any(NoteKey.from_text(each).name != origin for each in held.vkeys):
                raise ValueError("it is of another log")
            if held.checkpoint is not None and held.checkpoint.origin != origin:
                raise ValueError("its checkpoint is of another log")
        except (KeyError, TypeError, ValueError) as trouble:
            raise BadFolder(f"{file} is damaged ({trouble}); restore it, or retire this witness with its key") from None
        return held

    def write(self, held: Held) -> None:
        """Returns when it is on disk; the caller holds the log's lock."""
        file = self._file(held.origin)
        os.replace(self._draft(file, json.dumps(asdict(held), ensure_ascii=False, indent=1).encode() + b"\n"), file)
        sync_folder(file.parent)

    def all(self) -> list[Held]:
        logs = []
        for file in sorted(self._logs.glob("*.json")):
            held = self.read(unquote(file.stem))
            if held is not None:
                logs.append(held)
        return logs

    @contextmanager
    def alone(self, origin: str) -> Iterator[None]:
        """Locks a log for one judge; the lock ends with its process."""
        lock = os.open(self._file(origin).with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    # --- evidence -----------------------------------------------------------------------------------------------------
    def forked(self, held: str, asked: str, of: str) -> None:
        """Keeps two notes of one size for good; one pair a size is proof enough."""
        name = f"fork-{hashlib.sha256(of.encode()).hexdigest()}"
        self._keep_objection(f"{name}-held", held)
        self._keep_objection(f"{name}-asked", asked)

    def object(self, request: str) -> None:
        """Keeps an unproven request as evidence; of many, the first and the last ones."""
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
        sync_folder(self._objections)

    def objections(self) -> list[Path]:
        return sorted(self._objections.glob("*"))

    # --- files --------------------------------------------------------------------------------------------------------
    def _file(self, origin: str) -> Path:
        name = quote(origin, safe="")
        if not origin or len(name) > _LONGEST or name.startswith("."):
            raise NoteError(f"a witness keeps logs of names up to {_LONGEST} characters")
        return self._logs / f"{name}.json"

    def _draft(self, place: Path, data: bytes) -> Path:
        """Writes the data under another name, synced."""
        draft = place.with_name(f".{secrets.token_hex(8)}.part")
        write_new(draft, data)
        return draft

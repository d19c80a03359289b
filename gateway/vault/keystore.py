"""Stores keys: one file a key, in a folder outside the database, with its own short-lived copies in another folder.

    keys/vault/<id>.key           a key                       <copies>/<date>/<id>.key    a copy of that date
    keys/vault/destroyed/<id>     when it was destroyed

Invariants:
- A key is on disk before anything is sealed with it, and appears whole or not at all, so that all processes agree.
- A destroyed key is gone in every copy, and no key of that id is made again: its mark is written before its file goes.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from contracts.base.times import rfc3339
from gateway.durable import sync_folder, write_new
from gateway.keys.key_encryption import PLAIN, AtRest
from gateway.vault.classes import KeyName
from gateway.vault.errors import VAULT_BROKEN, VAULT_EXPIRED, VAULT_KEY_MISSING

KEY_BYTES: Final = 32
_TICK: Final = 1.0  # seconds
_MARKS: Final = "destroyed"
_SUFFIX: Final = ".key"


class KeyStore:
    """Safe to share between threads and processes."""

    def __init__(self, folder: Path, at_rest: AtRest = PLAIN, copies: Path | None = None) -> None:
        self.folder: Final = folder
        self.copies: Final = copies
        self._at_rest: Final = at_rest
        self._marks: Final = folder / _MARKS
        self._copied = ("", 0)
        self._mark: Final = lru_cache(maxsize=4096)(self._read_mark)

    # --- reading ------------------------------------------------------------------------------------------------------
    def load(self, key_id: str) -> bytes:
        """The key; `vault.expired` if it was destroyed, `vault.key-missing` if it is missing otherwise."""
        path = self._path(key_id)
        if (ended := self.ended(key_id)) is not None:
            raise VAULT_EXPIRED(id="-", key_id=key_id, date=ended)
        try:
            key = self._at_rest.read(path)
        except FileNotFoundError:
            raise VAULT_KEY_MISSING(id="-", key_id=key_id) from None
        if len(key) != KEY_BYTES:
            raise VAULT_BROKEN(id="-", key_id=key_id)
        return key

    def stands(self, key_id: str) -> bool:
        return self._path(key_id).exists()

    def ended(self, key_id: str) -> str | None:
        """When it was destroyed; None for one that was not."""
        try:
            return self._mark(key_id)
        except FileNotFoundError:  # not cached: it may be destroyed at any time
            return None

    def names(self) -> list[KeyName]:
        """The existing keys, by day."""
        if not self.folder.is_dir():
            return []
        return sorted(_names(self.folder), key=lambda name: (name.day, name.id))

    def odd(self, now: float) -> list[str]:
        """Files whose names are no ids of keys, or whose keys never end or are of a future day."""
        files = sorted(path.name for path in self.folder.glob(f"*{_SUFFIX}")) if self.folder.is_dir() else []
        named = [(file, KeyName.of(file.removesuffix(_SUFFIX))) for file in files]
        ahead = f"{datetime.fromtimestamp(now, UTC) + timedelta(days=2):%Y-%m-%d}"
        return [file for file, name in named if name is None or name.due is None or name.day.isoformat() > ahead]

    # --- making -------------------------------------------------------------------------------------------------------
    def make(self, key_id: str) -> None:
        """Writes a new key, unless there is one: a link appears whole or not at all, and replaces nothing."""
        if (ended := self.ended(key_id)) is not None:  # the clock was set back by the whole retention
            raise VAULT_EXPIRED(id="-", key_id=key_id, date=ended)
        path = self._path(key_id)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{key_id}.{secrets.token_hex(8)}")
        try:
            write_new(draft, self._at_rest.form(path.name, secrets.token_bytes(KEY_BYTES)))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self.folder)

    # --- destroying ---------------------------------------------------------------------------------------------------
    def destroy(self, key_id: str, now: float) -> int:
        """Destroys it, here and in every copy; returns how many files. After a crash, call it again."""
        path = self._path(key_id)
        if self.ended(key_id) is None:
            self._marks.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._marks / f".{key_id}.{secrets.token_hex(8)}"
            write_new(draft, rfc3339(now).encode("ascii"))
            draft.replace(self._marks / key_id)
            sync_folder(self._marks)
        gone = 0
        for file in (path, *self.copies_of(key_id)):
            gone += _overwrite(file)
        return gone

    def copies_of(self, key_id: str) -> list[Path]:
        if self.copies is None or not self.copies.is_dir():
            return []
        return sorted(
            folder / self._path(key_id).name
            for folder in _dated(self.copies)
            if (folder / self._path(key_id).name).exists()
        )

    # --- copies -------------------------------------------------------------------------------------------------------
    def copy(self, now: float) -> int:
        """Updates today's copy, if there is a copy folder; returns how many files were written."""
        if self.copies is None:
            return 0
        day = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
        folder, stamp = self.copies / day, self.folder.stat().st_mtime_ns if self.folder.is_dir() else 0
        if self._copied == (day, stamp):
            return 0
        for each in (self.copies, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = 0
        for name in self.names():
            source, target = self._path(name.id), folder / f"{name.id}{_SUFFIX}"
            try:
                data = source.read_bytes()
                if target.exists() and target.read_bytes() == data:
                    continue
            except FileNotFoundError:
                continue
            draft = folder / f".{name.id}.{secrets.token_hex(8)}"
            write_new(draft, data)
            draft.replace(target)
            written += 1
        if written:
            sync_folder(folder)
        # A change within one tick of the file system's clock has the same stamp, so a fresh stamp is not remembered.
        self._copied = (day, stamp) if now - stamp / 1e9 > _TICK else ("", 0)
        return written

    def copied(self) -> set[str]:
        """The ids of the keys that have a copy."""
        return set() if self.copies is None else {name.id for _, name in copied(self.copies)}

    def prune(self, now: float, days: int) -> int:
        """Removes the copies of dates more than `days` ago; returns how many dates."""
        if self.copies is None or not self.copies.is_dir():
            return 0
        first = datetime.fromtimestamp(now, UTC).date() - timedelta(days=days)
        old = [folder for folder in _dated(self.copies) if date.fromisoformat(folder.name) < first]
        for folder in old:
            for file in folder.iterdir():
                if file.is_file():
                    _overwrite(file)
            shutil.rmtree(folder)
        return len(old)

    # --- files --------------------------------------------------------------------------------------------------------
    def _read_mark(self, key_id: str) -> str:
        return (self._marks / self._path(key_id).stem).read_text("ascii")

    def _path(self, key_id: str) -> Path:
        if KeyName.of(key_id) is None:  # ids come from the database
            raise VAULT_BROKEN(id="-", key_id=key_id)
        return self.folder / f"{key_id}{_SUFFIX}"


def copied(copies: Path) -> Iterator[tuple[Path, KeyName]]:
    """Every copy of a key in a folder of copies."""
    if copies.is_dir():
        for folder in _dated(copies):
            for name in _names(folder):
                yield folder / f"{name.id}{_SUFFIX}", name


def _dated(copies: Path) -> list[Path]:
    folders = []
    for folder in copies.iterdir():
        try:
            date.fromisoformat(folder.name)
        except ValueError:
            continue
        if folder.is_dir():
            folders.append(folder)
    return sorted(folders)


def _names(folder: Path) -> Iterator[KeyName]:
    for path in folder.iterdir():
        if path.name.endswith(_SUFFIX) and (name := KeyName.of(path.name.removesuffix(_SUFFIX))) is not None:
            yield name


def _overwrite(path: Path) -> bool:
    """Overwrites a file with random bytes, synced, and removes it; False if there is none."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        os.write(file, secrets.token_bytes(os.fstat(file).st_size))
        os.fsync(file)
    finally:
        os.close(file)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True

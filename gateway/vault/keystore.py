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
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from contracts.base.times import rfc3339
from gateway.durable import sync_folder, write_new
from gateway.keys.key_encryption import PLAIN, AtRest
from gateway.vault.classes import KeyName
from gateway.vault.copies import SUFFIX, Copies, names_in, overwrite
from gateway.vault.errors import VAULT_BROKEN, VAULT_EXPIRED, VAULT_KEY_MISSING

KEY_BYTES: Final = 32
_TICK: Final = 1.0  # seconds
_MARKS: Final = "destroyed"
_CLOCK: Final = "clock-is-right"


class KeyStore:
    """Safe to share between threads and processes. `gateway.vault.stores.Keys` says what its methods promise."""

    trouble: str | None = None

    def __init__(self, folder: Path, at_rest: AtRest = PLAIN, copies: Path | None = None) -> None:
        self.folder: Final = folder
        self.copies: Final = Copies(copies)
        self._at_rest: Final = at_rest
        self._marks: Final = folder / _MARKS
        self._copied = ("", 0)
        self._mark: Final = lru_cache(maxsize=4096)(self._read_mark)

    def serves(self, now: float) -> bool:
        return True

    # --- reading ------------------------------------------------------------------------------------------------------
    def load(self, key_id: str) -> bytes:
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
        try:
            return self._mark(key_id)
        except FileNotFoundError:  # not cached: it may be destroyed at any time
            return None

    def names(self) -> list[KeyName]:
        if not self.folder.is_dir():
            return []
        return sorted(names_in(self.folder), key=lambda name: (name.day, name.id))

    def odd(self, now: float) -> list[str]:
        files = sorted(path.name for path in self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else []
        return odd_among([(file, file.removesuffix(SUFFIX)) for file in files], now)

    def where(self, key_id: str) -> str:
        return str(self._path(key_id))

    # --- for backups --------------------------------------------------------------------------------------------------
    def forms(self) -> Iterator[tuple[str, bytes]]:
        for name in self.names():
            try:
                yield name.id, self._path(name.id).read_bytes()
            except FileNotFoundError:  # destroyed meanwhile
                continue

    def marks(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self._marks.glob("[!.]*")):
            yield path.name, path.read_text("ascii")

    # --- making -------------------------------------------------------------------------------------------------------
    def make(self, key_id: str) -> None:
        self.put(key_id, secrets.token_bytes(KEY_BYTES))

    def put(self, key_id: str, key: bytes) -> None:
        """Writes this key, unless there is one: a link appears whole or not at all, and replaces nothing."""
        if (ended := self.ended(key_id)) is not None:  # the clock was set back by the whole retention
            raise VAULT_EXPIRED(id="-", key_id=key_id, date=ended)
        path = self._path(key_id)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{key_id}.{secrets.token_hex(8)}")
        try:
            write_new(draft, self._at_rest.form(path.name, key))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self.folder)

    # --- destroying ---------------------------------------------------------------------------------------------------
    def destroy(self, key_id: str, now: float) -> int:
        self.mark(key_id, rfc3339(now))
        return self.drop(key_id) + sum(overwrite(file) for file in self.copies.of(key_id))

    def mark(self, key_id: str, at: str) -> None:
        """Writes that it was destroyed, unless that is known."""
        self._path(key_id)  # refuses what is no id
        if self.ended(key_id) is None:
            self._marks.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._marks / f".{key_id}.{secrets.token_hex(8)}"
            write_new(draft, at.encode("ascii"))
            draft.replace(self._marks / key_id)
            sync_folder(self._marks)

    def drop(self, key_id: str) -> int:
        """Overwrites and removes its file alone; returns how many."""
        return overwrite(self._path(key_id))

    def copies_of(self, key_id: str) -> list[Path]:
        self._path(key_id)
        return self.copies.of(key_id)

    # --- copies -------------------------------------------------------------------------------------------------------
    def copy(self, now: float) -> int:
        today = self.copies.today(now)
        if today is None:
            return 0
        stamp = self.folder.stat().st_mtime_ns if self.folder.is_dir() else 0
        if self._copied == (today.name, stamp):
            return 0
        written = self.copies.write(now, self._differing(today))
        # A change within one tick of the file system's clock has the same stamp, so a fresh stamp is not remembered.
        self._copied = (today.name, stamp) if now - stamp / 1e9 > _TICK else ("", 0)
        return written

    def _differing(self, today: Path) -> Iterator[tuple[str, bytes]]:
        for key_id, data in self.forms():
            target = today / f"{key_id}{SUFFIX}"
            if not target.exists() or target.read_bytes() != data:
                yield key_id, data

    def copied(self) -> set[str]:
        return self.copies.ids()

    def prune(self, now: float, days: int) -> int:
        return self.copies.prune(now, days)

    # --- the clock ----------------------------------------------------------------------------------------------------
    def say_clock(self, now: float) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{_CLOCK}.{secrets.token_hex(8)}"
        write_new(draft, repr(now).encode("ascii"))
        draft.replace(self.folder / _CLOCK)

    def clock_said(self) -> float | None:
        try:
            return float((self.folder / _CLOCK).read_text("ascii"))
        except (OSError, ValueError):
            return None

    # --- files --------------------------------------------------------------------------------------------------------
    def _read_mark(self, key_id: str) -> str:
        return (self._marks / self._path(key_id).stem).read_text("ascii")

    def _path(self, key_id: str) -> Path:
        checked(key_id)  # ids come from the database
        return self.folder / f"{key_id}{SUFFIX}"


def checked(key_id: str) -> str:
    """The id, or `vault.broken` for a text that is none."""
    if KeyName.of(key_id) is None:
        raise VAULT_BROKEN(id="-", key_id=key_id)
    return key_id


def odd_among(keys: list[tuple[str, str]], now: float) -> list[str]:
    """Of (shown name, id) those whose ids are none, or whose keys never end or are of a future day."""
    named = [(shown, KeyName.of(id)) for shown, id in keys]
    ahead = f"{datetime.fromtimestamp(now, UTC) + timedelta(days=2):%Y-%m-%d}"
    return [shown for shown, name in named if name is None or name.due is None or name.day.isoformat() > ahead]

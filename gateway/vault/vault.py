"""The vault: each body once, sealed with a key of its day and retention class, that stands outside the database.

Form: AES-256-GCM in chunks with a message key by HKDF (`security.seal`); the id of the body is part of what is authenticated, so that no
body can be put in another's place. Retention ends by destroying the key: the row stays, and nobody can read it.
Invariants: a key is on disk before anything is sealed with it; all processes of an instance seal with the same key; no key ever stands in
the database.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

import gateway.failures  # noqa: F401  registers the codes raised here
from contracts.base.errors import Ours
from gateway.atrest import PLAIN, AtRest
from gateway.journal import tables
from gateway.journal.write import VaultRow
from security.seal import seal, unseal

KEY_BYTES: Final = 32
DEFAULT_CLASS: Final = "standard"
_CONTEXT: Final = b"lgsp vault v1\0"
_KEY_ID: Final = re.compile(r"\d{4}-\d\d-\d\d\.[a-z0-9-]{1,40}")
_DAY: Final = 86_400


class Vault:
    """Seals and opens. Safe to share between threads."""

    def __init__(self, keys_folder: Path, retention_class: str = DEFAULT_CLASS, *, at_rest: AtRest = PLAIN) -> None:
        self._folder: Final = keys_folder
        self._at_rest: Final = at_rest
        self._class: Final = retention_class
        self._day: tuple[int, str, bytes] = (-1, "", b"")
        self._read_key: Final = lru_cache(maxsize=64)(self._load)

    def seal(self, transfer: str, part: str, plain: bytes, now: float) -> VaultRow:
        """The row of a body, to be committed with its transfer."""
        day, key_id, key = self._day
        if day != now // _DAY:
            key_id, key = self._key_of_day(now)
        name = f"{transfer}/{part}"
        return VaultRow(name, key_id, len(plain), seal(key, _context(name), plain))

    def open(self, connection: Connection, id: str) -> bytes:
        """The body of that id."""
        row = connection.execute(
            select(tables.vault.c.id, tables.vault.c.key_id, tables.vault.c.size, tables.vault.c.sealed).where(tables.vault.c.id == id)
        ).first()
        if row is None:
            raise Ours("vault.not-found", id=id)
        return self.unseal(VaultRow(row[0], row[1], row[2], bytes(row[3])))

    def open_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, bytes | None]:
        """Those bodies that exist; None where the key was destroyed."""
        wanted = select(tables.vault.c.id, tables.vault.c.key_id, tables.vault.c.size, tables.vault.c.sealed).where(
            tables.vault.c.id.in_(ids)
        )
        found: dict[str, bytes | None] = {}
        for row in connection.execute(wanted):
            try:
                found[row[0]] = self.unseal(VaultRow(row[0], row[1], row[2], bytes(row[3])))
            except Ours as failure:
                if failure.code != "vault.expired":
                    raise
                found[row[0]] = None
        return found

    def unseal(self, row: VaultRow) -> bytes:
        """The body in a row that was read elsewhere."""
        key = self._read_key(row.key_id)
        try:
            plain = unseal(key, _context(row.id), row.sealed)
        except Exception as error:
            raise Ours("vault.broken", id=row.id, key_id=row.key_id) from error
        if len(plain) != row.size:
            raise Ours("vault.broken", id=row.id, key_id=row.key_id)
        return plain

    def destroy(self, key_id: str) -> None:
        """End the retention of all that this key seals, here and for good. Other processes must start anew, or forget their keys."""
        self._path(key_id).unlink(missing_ok=True)
        _sync_folder(self._folder)
        self.forget()

    def forget(self) -> None:
        """Drop the keys held in memory; they are read from disk again."""
        self._day = (-1, "", b"")
        self._read_key.cache_clear()

    # --- keys ---------------------------------------------------------------------------------------------------------
    def _key_of_day(self, now: float) -> tuple[str, bytes]:
        key_id = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}.{self._class}"
        try:
            key = self._read_key(key_id)
        except Ours:
            self._make(key_id)
            key = self._read_key(key_id)
        self._day = (int(now // _DAY), key_id, key)
        return key_id, key

    def _load(self, key_id: str) -> bytes:
        try:
            key = self._at_rest.read(self._path(key_id))
        except FileNotFoundError:
            raise Ours("vault.expired", id="-", key_id=key_id) from None
        if len(key) != KEY_BYTES:
            raise Ours("vault.broken", id="-", key_id=key_id)
        return key

    def _make(self, key_id: str) -> None:
        """Put a new key on disk, unless another process was first. A link appears whole or not at all, and never over another."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(key_id)
        draft = path.with_name(f".{key_id}.{secrets.token_hex(8)}")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                os.write(file, self._at_rest.form(path.name, secrets.token_bytes(KEY_BYTES)))
                os.fsync(file)
            finally:
                os.close(file)
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
        finally:
            draft.unlink()
        _sync_folder(self._folder)

    def _path(self, key_id: str) -> Path:
        if not _KEY_ID.fullmatch(key_id):
            raise Ours("vault.broken", id="-", key_id=key_id)
        return self._folder / f"{key_id}.key"


def _context(name: str) -> bytes:
    return _CONTEXT + name.encode()


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

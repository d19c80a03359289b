"""Seals and opens bodies: each is stored once, under a key of its day and retention class that is outside the database.

Form: AES-256-GCM in chunks with a message key by HKDF (`security.seal`). The body's id is authenticated, so that no
body can take another's place. What decides a transfer is also sealed with what its rows and entries say (`binding`).
Retention ends by destroying the key (`keystore`); id, size and the key's id stay in the row.
Invariants:
- A key is on disk before anything is sealed with it.
- All processes of an instance seal with the same key, on all its machines (`key_digests`).
- No key is ever in the database, only its digest.
- A destroyed key opens nothing a second later, and leaves each process's memory within `FORGET_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, text

from contracts.base.errors import Failure, Ours
from gateway.journal.driver_reads import Read
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow
from gateway.keys.key_encryption import PLAIN, AtRest
from gateway.vault import binding
from gateway.vault.classes import DEFAULT, Keeping, Parts, key_id
from gateway.vault.errors import (
    VAULT_BROKEN,
    VAULT_EXPIRED,
    VAULT_KEY_LOST,
    VAULT_KEY_MISSING,
    VAULT_NOT_FOUND,
    VAULT_UNAVAILABLE,
)
from gateway.vault.key_digests import KeyDigests
from gateway.vault.keys import Keys
from gateway.vault.keystore import KeyStore
from security.seal import Record, Sealer, unseal_pieces

FORGET_SECONDS: Final = 10.0  # how often a serving process checks whether its keys in memory were destroyed
GONE: Final = frozenset({VAULT_EXPIRED.code, VAULT_KEY_LOST.code, VAULT_KEY_MISSING.code})
_FRESH: Final = 1.0  # seconds for which a key in memory is used without checking its file
_KEPT: Final = 64
_CONTEXT: Final = b"lgsp vault v1\0"
_table: Final = tables.vault.c
_BODIES: Final = Read(
    select(_table.id, _table.key_id, _table.size, _table.sealed).where(_table.id.in_(bindparam("ids", expanding=True))),
    many="ids",
)
_DAY: Final = 86_400


class _Cached(NamedTuple):
    key: bytes
    sealer: Sealer
    checked: float  # by the monotonic clock


class Meta(NamedTuple):
    """A body as the database knows it."""

    id: str
    key_id: str
    size: int
    sealed_size: int


class Opened(NamedTuple):
    """A body and its `binding`, which is None if the body was sealed before there were bindings."""

    plain: bytes
    binding: bytes | None


class Vault:
    """Seals and opens. Safe to share between threads."""

    def __init__(
        self,
        keys: Path | Keys,
        retention_class: str = DEFAULT,
        *,
        at_rest: AtRest = PLAIN,
        copies: Path | None = None,
        digests: KeyDigests | None = None,
    ) -> None:
        """`keys`: the store of keys, or the folder of one; `at_rest` and `copies` are of a folder.

        `digests`: what the keys of other machines are compared by, before one seals here.
        """
        self.keys: Final[Keys] = KeyStore(keys, at_rest, copies) if isinstance(keys, Path) else keys
        self._class: Final = retention_class
        self._digests: Final = digests
        # By class (None: the vault's own): the day, its key's id, and its sealer.
        self._sealing: dict[str | None, tuple[int, str, Sealer]] = {}
        self._cache: dict[str, _Cached] = {}
        self._confirmed: dict[str, str] = {}  # keys that were compared, by the id that was asked for

    def seal(
        self,
        transfer: str,
        part: str,
        plain: bytes,
        now: float,
        retention: str | None = None,
        bound: bytes | None = None,
    ) -> VaultRow:
        """The row of a body, to be committed with its transfer."""
        today = self._sealing.get(retention)
        if today is None or today[0] != now // _DAY:
            today = self._key_of_day(retention, now)
        _day, key_id, sealer = today
        name = f"{transfer}/{part}"
        sealed = sealer.seal(_context(name, bound), plain)
        return VaultRow(name, key_id, len(plain), sealed if bound is None else binding.wrap(bound, sealed))

    def seal_kept(
        self, keep: Keeping, transfer: str, parts: Parts, now: float, bound: Mapping[str, bytes] = binding.NONE
    ) -> tuple[VaultRow, ...]:
        """The rows of those parts of a transfer that are kept; `bound` holds their bindings."""
        named, rest = keep.named, keep.rest
        if not named and rest is not None:
            return tuple([self.seal(transfer, part, data, now, rest, bound.get(part)) for part, data in parts])
        classes = [(part, data, named.get(part, rest)) for part, data in parts]
        return tuple(
            [
                self.seal(transfer, part, data, now, retention, bound.get(part))
                for part, data, retention in classes
                if retention is not None
            ]
        )

    def reseal(self, row: VaultRow, key_id: str) -> VaultRow:
        """The same body under another key, which is made if it does not exist."""
        plain, bound = self.unseal_bound(row)
        key_id, sealer = self._sealer(key_id)
        sealed = sealer.seal(_context(row.id, bound), plain)
        return VaultRow(row.id, key_id, row.size, sealed if bound is None else binding.wrap(bound, sealed))

    def open(self, connection: Connection, id: str) -> bytes:
        """The body of that id."""
        return self.open_bound(connection, id).plain

    def open_bound(self, connection: Connection, id: str) -> Opened:
        """The body of that id, with its binding."""
        rows = _BODIES.rows(connection, ids=[id])
        if not rows:
            raise VAULT_NOT_FOUND(id=id)
        return self._opened(*rows[0])

    def open_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Opened | Ours | None]:
        """Those bodies that exist; None if the key was destroyed or is missing; a failure if the body does not open."""
        bodies: dict[str, Opened | Ours | None] = {}
        for row in _BODIES.rows(connection, ids=ids):
            try:
                bodies[row[0]] = self._opened(*row)
            except Ours as failure:
                if failure.code == VAULT_UNAVAILABLE.code:  # nothing is known of this body
                    raise
                bodies[row[0]] = None if failure.code in GONE else failure
        return bodies

    def ended(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, str]:
        """Of these bodies, those whose key was destroyed, and when. Another body that does not open was lost."""
        rows = connection.execute(select(tables.vault.c.id, tables.vault.c.key_id).where(tables.vault.c.id.in_(ids)))
        return {id: ended for id, key_id in rows if (ended := self.keys.ended(key_id)) is not None}

    def unseal(self, row: VaultRow) -> bytes:
        """The body in a row that was read elsewhere."""
        return self.unseal_bound(row).plain

    def unseal_bound(self, row: VaultRow) -> Opened:
        """The same, with its binding."""
        return self._opened(*row)

    def _opened(self, id: str, key_id: str, size: int, record: bytes) -> Opened:
        sealer = self._held_for(id, key_id).sealer
        bound, sealed = binding.split(bytes(record))
        try:
            plain = sealer.unseal(_context(id, bound), sealed)
        except Exception as error:
            raise VAULT_BROKEN(id=id, key_id=key_id) from error
        if len(plain) != size:
            raise VAULT_BROKEN(id=id, key_id=key_id)
        return Opened(plain, bound)

    # --- in pieces ----------------------------------------------------------------------------------------------------
    def meta(self, connection: Connection, id: str) -> Meta | None:
        """A body's metadata; `vault.expired` or `vault.key-missing` if its key is gone."""
        table = tables.vault.c
        row = connection.execute(
            select(table.id, table.key_id, table.size, func.length(table.sealed)).where(table.id == id)
        ).first()
        if row is None:
            return None
        meta = Meta(row[0], row[1], int(row[2]), int(row[3]))
        self._held_for(id, meta.key_id)
        return meta

    def pieces(self, connection: Connection, meta: Meta, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Its bytes from `start` to before `stop`, in pieces: the body is never in memory as a whole."""
        end = meta.size if stop is None else min(stop, meta.size)
        key = self._held(meta.key_id).key
        if connection.dialect.name == "sqlite":
            row = connection.execute(text("SELECT rowid FROM vault WHERE id = :id"), {"id": meta.id}).scalar_one()
            blob = connection.connection.driver_connection.blobopen("vault", "sealed", row, readonly=True)  # type: ignore[union-attr]

            def read(at: int, length: int) -> bytes:
                blob.seek(at)
                return bytes(blob.read(length))
        else:
            blob = None
            part = text("SELECT substring(sealed FROM :at FOR :length) FROM vault WHERE id = :id")

            def read(at: int, length: int) -> bytes:
                return bytes(connection.execute(part, {"at": at + 1, "length": length, "id": meta.id}).scalar_one())

        bound, _ = binding.split(read(0, min(binding.HEAD, meta.sealed_size)))
        before = 0 if bound is None else binding.HEAD

        def inner(at: int, length: int) -> bytes:
            return read(before + at, length)

        try:
            yield from unseal_pieces(
                key, _context(meta.id, bound), Record(meta.sealed_size - before, inner), start, end
            )
        except Failure as failure:
            raise VAULT_BROKEN(id=meta.id, key_id=meta.key_id) from failure
        finally:
            if blob is not None:
                blob.close()

    # --- keys ---------------------------------------------------------------------------------------------------------
    def destroy(self, key_id: str, now: float) -> int:
        """Destroys this key and so all that it seals; returns how many files."""
        gone = self.keys.destroy(key_id, now)
        self.forget_gone()
        return gone

    def forget_gone(self) -> int:
        """Drops the keys in memory whose files are gone; returns how many. Called every `FORGET_SECONDS`."""
        gone = [each for each in list(self._cache) if self._is_gone(each)]
        for each in gone:
            self._cache.pop(each, None)
        for retention, (_, sealing, _) in list(self._sealing.items()):
            if self._is_gone(sealing):
                self._sealing.pop(retention, None)
        return len(gone)

    def _is_gone(self, key_id: str) -> bool:
        """A store that cannot be asked says nothing of it."""
        try:
            return not self.keys.stands(key_id)
        except Ours as failure:
            if failure.code != VAULT_UNAVAILABLE.code:
                raise
            return False

    def forget(self) -> None:
        """Drops the keys in memory; they are read from disk again."""
        self._sealing = {}
        self._cache = {}
        self._confirmed = {}

    def _key_of_day(self, retention: str | None, now: float) -> tuple[int, str, Sealer]:
        self.forget_gone()  # once a day and class, for processes that do not serve
        id, sealer = self._sealer(key_id(now, retention or self._class))
        today = self._sealing[retention] = (int(now // _DAY), id, sealer)
        return today

    def _sealer(self, wanted: str) -> tuple[str, Sealer]:
        """The id and the sealer of a key, which is made if it does not exist, and compared with that of other machines.
        Where it was lost, of the next one of its day and class."""
        digests = self._digests if wanted not in self._confirmed else None
        key_id = self._confirmed.get(wanted, wanted) if digests is None else digests.current(wanted)
        if not self.keys.stands(key_id):
            if self._digests is not None:
                self._digests.check_new(key_id)
            self.keys.make(key_id)
        held = self._held(key_id)
        if digests is not None:
            digests.confirm(key_id, held.key)
            self._confirmed[wanted] = key_id
        return key_id, held.sealer

    def _held_for(self, id: str, key_id: str) -> _Cached:
        """The key of a body; a failure that names the body."""
        try:
            return self._held(key_id)
        except Ours as failure:
            if failure.code not in GONE:
                raise
            if failure.code == VAULT_KEY_MISSING.code and self._digests is not None:
                if (lost := self._digests.lost(key_id)) is not None:
                    raise VAULT_KEY_LOST(id=id, key_id=key_id, date=lost) from None
            raise Ours(failure.type, id=id, key_id=key_id, date=failure.facts.get("date", "-")) from None

    def _held(self, key_id: str) -> _Cached:
        cached, now = self._cache.get(key_id), time.monotonic()
        if cached is not None:
            if now - cached.checked < _FRESH:
                return cached
            if self.keys.stands(key_id):
                cached = self._cache[key_id] = cached._replace(checked=now)
                return cached
            self.forget_gone()
        key = self.keys.load(key_id)
        if len(self._cache) >= _KEPT:
            self._cache = {}
        cached = self._cache[key_id] = _Cached(key, Sealer(key), now)
        return cached


def _context(name: str, bound: bytes | None) -> bytes:
    return _CONTEXT + name.encode() if bound is None else binding.context(bound, name.encode())

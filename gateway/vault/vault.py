"""The vault: each body once, sealed with a key of its day and retention class, that stands outside the database.

Form: AES-256-GCM in chunks with a message key by HKDF (`security.seal`); the id of the body is part of what is authenticated, so that no
body can be put in another's place. What decides a transfer is also sealed with what its rows and entries say (`binding`).
Retention ends by destroying the key (`keystore`): what stays of the row is its id, its size and the key's id.
Invariants: a key is on disk before anything is sealed with it; all processes of an instance seal with the same key; no key ever stands in
the database; a key that was destroyed opens nothing a second later, and is out of each process's memory within `FORGET_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select, text

import gateway.failures  # noqa: F401  registers the codes raised here
from contracts.base.errors import Failure, Ours
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow
from gateway.keys.key_encryption import PLAIN, AtRest
from gateway.vault import binding
from gateway.vault.classes import DEFAULT, Keeping, Parts, key_id
from gateway.vault.keystore import KeyStore
from security.seal import Sealer, seal, unseal, unseal_pieces

FORGET_SECONDS: Final = 10.0  # how often a process that serves looks whether keys that it holds were destroyed
GONE: Final = frozenset({"vault.expired", "vault.key-missing"})
_FRESH: Final = 1.0  # seconds for which a key held in memory is used without looking whether it still stands
_KEPT: Final = 64
_CONTEXT: Final = b"lgsp vault v1\0"
_DAY: Final = 86_400


class _Held(NamedTuple):
    key: bytes
    looked: float  # by the monotonic clock


class Meta(NamedTuple):
    """A body as the database knows it."""

    id: str
    key_id: str
    size: int
    sealed_size: int


class Opened(NamedTuple):
    """A body, and what it was sealed with beside its name (`binding`); None of one that was sealed before there were bindings."""

    plain: bytes
    binding: bytes | None


class Vault:
    """Seals and opens. Safe to share between threads."""

    def __init__(
        self, keys_folder: Path, retention_class: str = DEFAULT, *, at_rest: AtRest = PLAIN, copies: Path | None = None
    ) -> None:
        self.keys: Final = KeyStore(keys_folder, at_rest, copies)
        self._class: Final = retention_class
        self._sealing: dict[
            str | None, tuple[int, str, Sealer]
        ] = {}  # by class (None: the vault's own): the day, and its key
        self._held: dict[str, _Held] = {}

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
        held = self._sealing.get(retention)
        if held is None or held[0] != now // _DAY:
            held = self._key_of_day(retention, now)
        _day, key_id, sealer = held
        name = f"{transfer}/{part}"
        sealed = sealer.seal(_context(name, bound), plain)
        return VaultRow(name, key_id, len(plain), sealed if bound is None else binding.wrap(bound, sealed))

    def seal_kept(
        self, keep: Keeping, transfer: str, parts: Parts, now: float, bound: Mapping[str, bytes] = binding.NONE
    ) -> tuple[VaultRow, ...]:
        """The rows of those parts of a transfer that are kept. `bound` has the binding of each part that has one."""
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
        """The same body under another key, which is made if need be."""
        plain, bound = self.unseal_bound(row)
        if not self.keys.stands(key_id):
            self.keys.make(key_id)
        sealed = seal(self._read_key(key_id), _context(row.id, bound), plain)
        return VaultRow(row.id, key_id, row.size, sealed if bound is None else binding.wrap(bound, sealed))

    def open(self, connection: Connection, id: str) -> bytes:
        """The body of that id."""
        return self.open_bound(connection, id).plain

    def open_bound(self, connection: Connection, id: str) -> Opened:
        """The body of that id, with its binding."""
        row = connection.execute(
            select(tables.vault.c.id, tables.vault.c.key_id, tables.vault.c.size, tables.vault.c.sealed).where(
                tables.vault.c.id == id
            )
        ).first()
        if row is None:
            raise Ours("vault.not-found", id=id)
        return self.unseal_bound(VaultRow(row[0], row[1], row[2], bytes(row[3])))

    def open_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Opened | Ours | None]:
        """Those bodies that exist; None where the key was destroyed, or is not there; the failure of one that does not open."""
        wanted = select(tables.vault.c.id, tables.vault.c.key_id, tables.vault.c.size, tables.vault.c.sealed).where(
            tables.vault.c.id.in_(ids)
        )
        found: dict[str, Opened | Ours | None] = {}
        for row in connection.execute(wanted):
            try:
                found[row[0]] = self.unseal_bound(VaultRow(row[0], row[1], row[2], bytes(row[3])))
            except Ours as failure:
                found[row[0]] = None if failure.code in GONE else failure
        return found

    def ended(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, str]:
        """Of these bodies, those whose key was destroyed, and when: what is not in here and does not open was lost, and not by retention."""
        rows = connection.execute(select(tables.vault.c.id, tables.vault.c.key_id).where(tables.vault.c.id.in_(ids)))
        return {id: ended for id, key_id in rows if (ended := self.keys.ended(key_id)) is not None}

    def unseal(self, row: VaultRow) -> bytes:
        """The body in a row that was read elsewhere."""
        return self.unseal_bound(row).plain

    def unseal_bound(self, row: VaultRow) -> Opened:
        """The same, with its binding."""
        key = self._key_for(row.id, row.key_id)
        bound, sealed = binding.split(row.sealed)
        try:
            plain = unseal(key, _context(row.id, bound), sealed)
        except Exception as error:
            raise Ours("vault.broken", id=row.id, key_id=row.key_id) from error
        if len(plain) != row.size:
            raise Ours("vault.broken", id=row.id, key_id=row.key_id)
        return Opened(plain, bound)

    # --- in pieces --------------------------------------------------------------------------------------------------------
    def meta(self, connection: Connection, id: str) -> Meta | None:
        """What is known of a body without opening it; `vault.expired` and `vault.key-missing` if it does not open any more."""
        table = tables.vault.c
        row = connection.execute(
            select(table.id, table.key_id, table.size, func.length(table.sealed)).where(table.id == id)
        ).first()
        if row is None:
            return None
        found = Meta(row[0], row[1], int(row[2]), int(row[3]))
        self._key_for(id, found.key_id)
        return found

    def pieces(self, connection: Connection, meta: Meta, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Its bytes from `start` to before `stop`, a piece at a time: neither the sealed nor the plain body is ever in memory as a whole."""
        end = meta.size if stop is None else min(stop, meta.size)
        key = self._read_key(meta.key_id)
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
            yield from unseal_pieces(key, _context(meta.id, bound), meta.sealed_size - before, inner, start, end)
        except Failure as failure:
            raise Ours("vault.broken", id=meta.id, key_id=meta.key_id) from failure
        finally:
            if blob is not None:
                blob.close()

    # --- keys ---------------------------------------------------------------------------------------------------------
    def destroy(self, key_id: str, now: float) -> int:
        """End the retention of all that this key seals, here and for good; how many files there were."""
        gone = self.keys.destroy(key_id, now)
        self.forget_gone()
        return gone

    def forget_gone(self) -> int:
        """Drop the keys held in memory that no longer stand on disk; how many. To be called every `FORGET_SECONDS` by what goes on for long."""
        gone = [each for each in list(self._held) if not self.keys.stands(each)]
        for each in gone:
            self._held.pop(each, None)
        for retention, (_, sealing, _) in list(self._sealing.items()):
            if not self.keys.stands(sealing):
                self._sealing.pop(retention, None)
        return len(gone)

    def forget(self) -> None:
        """Drop the keys held in memory; they are read from disk again."""
        self._sealing = {}
        self._held = {}

    def _key_of_day(self, retention: str | None, now: float) -> tuple[int, str, Sealer]:
        self.forget_gone()  # once a day and class: what never serves forgets, too
        id = key_id(now, retention or self._class)
        if not self.keys.stands(id):
            self.keys.make(id)
        made = self._sealing[retention] = (int(now // _DAY), id, Sealer(self._read_key(id)))
        return made

    def _key_for(self, id: str, key_id: str) -> bytes:
        """The key of a body; a failure that names the body."""
        try:
            return self._read_key(key_id)
        except Ours as failure:
            if failure.code not in GONE:
                raise
            raise Ours(failure.code, id=id, key_id=key_id, date=failure.facts.get("date", "-")) from None

    def _read_key(self, key_id: str) -> bytes:
        held, now = self._held.get(key_id), time.monotonic()
        if held is not None:
            if now - held.looked < _FRESH:
                return held.key
            if self.keys.stands(key_id):
                self._held[key_id] = _Held(held.key, now)
                return held.key
            self.forget_gone()
        key = self.keys.load(key_id)
        if len(self._held) >= _KEPT:
            self._held = {}
        self._held[key_id] = _Held(key, now)
        return key


def _context(name: str, bound: bytes | None) -> bytes:
    return _CONTEXT + name.encode() if bound is None else binding.context(bound, name.encode())

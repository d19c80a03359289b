"""Digests of the vault's keys in the database: no machine seals with a key that the others do not have.

PostgreSQL, which several machines share: a key is compared before it first seals, and none is made where another
machine has made it. SQLite is of one machine: its keeper records the keys, so that a replaced one is found.
A key has 32 random bytes, so its digest tells nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, Engine, delete, select

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.journal.database import insert, writing
from gateway.journal.schema import tables
from gateway.vault.errors import VAULT_KEY_DIFFERS
from gateway.vault.keys import Keys

_table = tables.vault_key_digest
_CONTEXT = b"lgsp vault key v1\0"


def digest_of(key: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(_CONTEXT + key).hexdigest()


class KeyDigests:
    """The digests that a sealing process compares with."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def of(cls, engine: Engine) -> KeyDigests | None:
        """None for SQLite."""
        return cls(engine) if engine.dialect.name == "postgresql" else None

    def current(self, key_id: str) -> str:
        """The id to seal with: this one, or `<id>~2` and so on where earlier ones were stated as lost."""
        query = select(_table.c.id).where(_table.c.lost.is_not(None), _table.c.id.startswith(key_id))
        with self._engine.connect() as connection:
            lost = set(connection.scalars(query))
        current, number = key_id, 1
        while current in lost:
            number += 1
            current = f"{key_id}~{number}"
        return current

    def lost(self, key_id: str) -> str | None:
        """When a person stated that this key is lost; None: nobody did."""
        with self._engine.connect() as connection:
            at = connection.scalar(select(_table.c.lost).where(_table.c.id == key_id))
        return None if at is None else rfc3339(float(at))

    def check_new(self, key_id: str) -> None:
        """Raises `vault.key-differs` if there is such a key already, which this machine lacks."""
        with self._engine.connect() as connection:
            if _recorded(connection, key_id) is not None:
                raise VAULT_KEY_DIFFERS(key_id=key_id)

    def confirm(self, key_id: str, key: bytes) -> None:
        """Records the key, or raises `vault.key-differs` if another one is recorded."""
        with writing(self._engine) as connection:
            if _record(connection, key_id, key) != digest_of(key):
                raise VAULT_KEY_DIFFERS(key_id=key_id)


def record(engine: Engine, keys: Keys) -> None:
    """Records the keys of this folder that are not recorded yet."""
    with engine.connect() as connection:
        known = set(connection.scalars(select(_table.c.id)))
    new = dict(_keys(keys, but=known))
    if new:
        with writing(engine) as connection:
            for key_id, key in new.items():
                _record(connection, key_id, key)


def differing(connection: Connection, keys: Keys) -> list[str]:
    """The ids of the keys in this folder that are not those that were recorded."""
    known = {str(id): str(digest) for id, digest in connection.execute(select(_table.c.id, _table.c.digest))}
    return sorted(id for id, key in _keys(keys) if id in known and known[id] != digest_of(key))


def forget_missing(connection: Connection, keys: Keys) -> None:
    """After a restore: keys that did not come with it may be made anew."""
    for key_id in list(connection.scalars(select(_table.c.id))):
        if not keys.stands(key_id):
            connection.execute(delete(_table).where(_table.c.id == key_id))


def lost(connection: Connection) -> dict[str, float]:
    """The keys that were stated as lost, and when."""
    query = select(_table.c.id, _table.c.lost).where(_table.c.lost.is_not(None))
    return {str(id): float(at) for id, at in connection.execute(query)}


def _keys(keys: Keys, but: Collection[str] = ()) -> Iterator[tuple[str, bytes]]:
    for name in keys.names():
        if name.id not in but:
            try:
                yield name.id, keys.load(name.id)
            except (Failure, OSError):  # destroyed meanwhile, damaged, or not readable for this account
                continue


def _recorded(connection: Connection, key_id: str) -> str | None:
    found = connection.scalar(select(_table.c.digest).where(_table.c.id == key_id))
    return None if found is None else str(found)


def _record(connection: Connection, key_id: str, key: bytes) -> str | None:
    """The digest that stands afterwards."""
    row = insert(connection, _table).values(id=key_id, digest=digest_of(key))
    connection.execute(row.on_conflict_do_nothing())
    return _recorded(connection, key_id)

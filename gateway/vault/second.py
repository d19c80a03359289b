"""The second PostgreSQL database (setting `vault_database`): the vault's keys and the newest signed checkpoint.

It is another database than the main one, with its own short-lived backups. So destroying a key destroys it in every
copy, and whoever restores the main database alone does not turn the log back unnoticed. Its tables are made here, by
whoever comes first; they are no part of the main schema.

Theory of operation: a call waits `seconds` for an answer at most (`gateway.journal.limits`). After that the database is
away: calls fail at once with `vault.unavailable`, and only whoever asks with `probing` tries to connect. Of several
servers in the address the one that takes writes is found (`gateway.journal.servers`). No standby is asked for here:
where one is to confirm, the server's own settings make commits wait.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import BigInteger, Column, Connection, Engine, Float, LargeBinary, MetaData, Table, Text, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from contracts.base.errors import Failure
from gateway.journal.database import insert, open_engine
from gateway.journal.limits import RETRY_SECONDS, for_calls, for_work, presence_of, unavailable
from gateway.journal.read_only import is_read_only
from gateway.vault.errors import VAULT_SAME_DATABASE, VAULT_STORE_OTHER, VAULT_UNAVAILABLE
from security.seal import Sealer

metadata: Final = MetaData()
vault_key: Final = Table(
    "vault_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # under a key that is derived from `hash.key`
    Column("made", Float, nullable=False),
)
vault_key_destroyed: Final = Table(
    "vault_key_destroyed", metadata, Column("id", Text, primary_key=True), Column("destroyed", Text, nullable=False)
)
log_head: Final = Table(
    "log_head",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
fact: Final = Table(
    "vault_fact", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)
_LAYOUT: Final = 0x4C475356  # a number of our own for the advisory lock
_OWNER: Final = "owner"
_LABEL: Final = b"lgsp vault keys v1"
_CONTEXT: Final = b"lgsp vault store v1\0"
_KEEPS: Final = """
    SELECT name || ' = ' || setting FROM pg_settings WHERE (name = 'wal_recycle' AND setting = 'on')
        OR (name = 'archive_mode' AND setting <> 'off') OR (name = 'wal_keep_size' AND setting <> '0')
    UNION ALL SELECT 'pg_switch_wal()' WHERE NOT has_function_privilege('pg_switch_wal()', 'EXECUTE')
    UNION ALL SELECT 'CHECKPOINT' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper
        OR rolname = 'pg_checkpoint' AND pg_has_role(oid, 'USAGE'))
    UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
    ORDER BY 1"""
_MAIN: Final = "alembic_version"  # a table that the main database has


def sealer_of(hash_key: bytes) -> Sealer:
    """What seals the keys in this database. All machines of an instance have `hash.key`; it never lies there."""
    return Sealer(HKDF(SHA256(), 32, None, _LABEL).derive(hash_key))


def context_of(key_id: str) -> bytes:
    return _CONTEXT + b"key\0" + key_id.encode()


class Second:
    """Of one process. Safe to share between threads."""

    def __init__(self, url: str, sealer: Sealer, seconds: float) -> None:
        self.sealer: Final = sealer
        self._url: Final = url
        self._engine: Final = open_engine(url, for_calls(seconds))
        self._working: Final = open_engine(url, for_work(seconds))
        self._made = False
        self._making: Final = threading.Lock()

    @property
    def away(self) -> bool:
        return presence_of(self._engine).away

    @contextmanager
    def asking(self, *, probing: bool = False) -> Iterator[Connection]:
        """One transaction, committed at the end. Raises `vault.unavailable`."""
        if self.away and not probing:
            raise _away("away")
        with self._told(), self._engine.begin() as connection:
            self._prepare()
            yield connection

    @contextmanager
    def working(self) -> Iterator[Connection]:
        """A connection without a transaction, for statements that take longer. Raises `vault.unavailable`."""
        with self._told():
            self._prepare()
            with self._working.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if unavailable(error) is None:
                raise
            raise _away(type(error).__name__) from error

    def _prepare(self) -> None:
        """Makes the tables, once a process, and looks whose they are."""
        if self._made:
            return
        with self._making, self._engine.begin() as connection:
            there = set(inspect(connection).get_table_names())
            if _MAIN in there:
                raise VAULT_SAME_DATABASE(database=shown(self._engine))
            if not set(metadata.tables) <= there and not is_read_only():
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LAYOUT})
                metadata.create_all(connection)
                row = insert(connection, fact).values(name=_OWNER, value=self._owner())
                connection.execute(row.on_conflict_do_nothing())
            owner = connection.scalar(fact.select().with_only_columns(fact.c.value).where(fact.c.name == _OWNER))
            try:
                self.sealer.unseal(_CONTEXT + b"owner", bytes.fromhex(str(owner)))
            except (Failure, ValueError):
                raise VAULT_STORE_OTHER(database=shown(self._engine)) from None
            self._made = True

    def _owner(self) -> str:
        return self.sealer.seal(_CONTEXT + b"owner", b"").hex()

    def keeps(self) -> list[str]:
        """What lets this server keep sealed keys that were destroyed: settings, and privileges that are not given."""
        with self.asking() as connection:
            return [str(name) for name in connection.scalars(text(_KEEPS))]

    def dispose(self) -> None:
        self._engine.dispose()
        self._working.dispose()


def shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _away(reason: str) -> Failure:
    return VAULT_UNAVAILABLE(retry_after=RETRY_SECONDS, reason=reason)

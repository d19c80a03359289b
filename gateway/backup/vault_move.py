"""Moves the vault's keys of a stopped instance from the folder to the second database, or back.

Theory of operation: each key is compared with its recorded digest, put into the other store, and read back from there.
Then the setting is written; after that, if that was asked for, the old store's keys are destroyed. Each step may be
repeated: a key that is there already is compared, and none is replaced. So a move that was killed is started again.
Each machine moves its own folder; the second one finds the keys there, and gets the setting.

Invariant: no key leaves a store before it was read from the other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from gateway.backup.errors import BACKUP_OTHERS_RUN
from gateway.journal.append import append
from gateway.journal.database import moment, open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.key_encryption import AtRest
from gateway.machines import agreeing, records
from gateway.settings import Settings
from gateway.settings.saving import change
from gateway.transfer import entries
from gateway.vault import key_digests
from gateway.vault.errors import VAULT_KEY_DIFFERS
from gateway.vault.keys import Keys
from gateway.vault.keystore import KeyStore
from gateway.vault.stores import opened

NOTE: Final = "vault-moved"
FOLDER: Final = "folder"
_ALIVE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Moved:
    """`keys` are in the new store; `destroyed` of them went from the old one."""

    to: str
    keys: int
    destroyed: int


def move(settings: Settings, to_database: bool, address: str, now: float, by: tuple[str, bool]) -> Moved:
    """`address`: of the second database, wherever the keys go. `by`: the actor, and whether the old keys go.

    The caller holds the instance's lock. Raises `vault.key-differs`, `vault.unavailable`, `backup.others-run`.
    """
    actor, destroys = by
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            _refuse_others(connection)
        folder = KeyStore(settings.vault_keys, AtRest.of(settings), settings.vault_copies)
        second = opened(replace(settings, vault_database=address), engine)
        source, target = (folder, second) if to_database else (second, folder)
        keys = _copied(engine, source, target)
        after = address if to_database else ""
        if settings.vault_database != after:
            facts = {"to": "database" if to_database else FOLDER, "keys": len(keys)}
            with writing(engine) as connection:
                agreeing.keep_store(connection, records.name_of(settings), second=to_database)
                append(connection, [entries.note(NOTE, dict(facts), now, actor=actor)])
            change(settings.data, vault_database=after)
        gone = 0
        if destroys:
            gone = second.drop_all(keys) if source is second else sum(folder.drop(key_id) for key_id in keys)
        second.close()
    finally:
        engine.dispose()
    return Moved("database" if to_database else FOLDER, len(keys), gone)


def _refuse_others(connection: Connection) -> None:
    """Machines that run would go on with the old store."""
    process = tables.process.c
    now = moment(connection, lambda: 0.0)
    if connection.dialect.name == "sqlite":  # of one machine, whose lock is held
        return
    heard = func.coalesce(process.heard, process.seen) > now - _ALIVE_SECONDS
    name = func.coalesce(process.machine, process.host)
    hosts = set(connection.scalars(select(name).where(process.state == "alive", heard)))
    if hosts:
        raise BACKUP_OTHERS_RUN(hosts=", ".join(sorted(map(str, hosts))))


def _copied(engine: Engine, source: Keys, target: Keys) -> list[str]:
    """The ids of the keys that are in both stores now."""
    table = tables.vault_key_digest.c
    with engine.connect() as connection:
        recorded = {str(id): str(digest) for id, digest in connection.execute(select(table.id, table.digest))}
    return fill(source, target, recorded)


def fill(source: Keys, target: Keys, recorded: Mapping[str, str]) -> list[str]:
    """Puts marks and keys into the other store, and reads them back; returns the ids of the keys in both.

    `recorded`: the digests of keys. Raises `vault.key-differs`.
    """
    for key_id, at in list(source.marks()):
        target.mark(key_id, at)
    keys = []
    for name in source.names():
        if target.ended(name.id) is not None:  # destroyed there meanwhile: its file here is a remnant
            continue
        key = source.load(name.id)
        digest = key_digests.digest_of(key)
        if recorded.get(name.id, digest) != digest:
            raise VAULT_KEY_DIFFERS(key_id=name.id)
        target.put(name.id, key)
        if target.load(name.id) != key:
            raise VAULT_KEY_DIFFERS(key_id=name.id)
        keys.append(name.id)
    return keys

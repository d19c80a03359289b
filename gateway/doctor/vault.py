"""Examines the vault's key store: restored destroyed keys, copies beside the database, missing or overdue keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.audit.log.checkpoints import size_of
from gateway.audit.log.head import LogHead
from gateway.doctor.findings import Finding, finding
from gateway.journal.schema import tables
from gateway.keeper.retention import clock
from gateway.keys.key_encryption import PLAIN
from gateway.settings import Settings
from gateway.vault import key_digests
from gateway.vault.copies import copied
from gateway.vault.errors import VAULT_SAME_DATABASE, VAULT_STORE_OTHER, VAULT_UNAVAILABLE
from gateway.vault.keys import Keys
from gateway.vault.keystore import KeyStore
from gateway.vault.stores import open_keys, opened, shared
from security.grants.windows import Moment

_GRACE: Final = 86_400.0
_NAMED: Final = 5
_MOST_FILES: Final = 2_000  # files of a folder, at most
# The first bytes of a database or dump: SQLite, pg_dump custom form, pg_dump text.
_DATABASES: Final = (b"SQLite format 3\0", b"PGDMP", b"--\n-- PostgreSQL database")


def vault(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    try:
        yield from _examined(settings, open_keys(settings, connection.engine, PLAIN), connection, now)
        if shared(settings):
            yield from _second(settings, connection)
    except Failure as failure:
        if failure.code not in (VAULT_UNAVAILABLE.code, VAULT_SAME_DATABASE.code, VAULT_STORE_OTHER.code):
            raise
        yield finding("vault.database", reason=failure.what("en").rstrip("."))


def _second(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """The head of the log there, and what its server keeps of destroyed keys."""
    second = opened(settings, connection.engine).second
    head, newest = LogHead(second, settings.origin).read(), tables.checkpoint.c
    size = int(connection.scalar(select(func.max(newest.size))) or 0)
    if head is not None and size_of(head) > size:
        yield finding("log.head-ahead", head=size_of(head), size=size)
    if kept := second.keeps():
        yield finding("vault.keeps", what=_some(kept))


def _examined(settings: Settings, store: Keys, connection: Connection, now: float) -> Iterator[Finding]:
    ended = tables.vault_destroyed.c
    gone = set(connection.scalars(select(ended.key_id).where(ended.destroyed.is_not(None))))
    files = [(store.where(name.id), name) for name in store.names()]
    if shared(settings):  # what a move left
        files += [(str(settings.vault_keys / f"{name.id}.key"), name) for name in KeyStore(settings.vault_keys).names()]
    files += [(str(path), name) for path, name in copied(settings.vault_copies)] if settings.vault_copies else []
    back = sorted(place for place, name in files if name.id in gone or store.ended(name.id) is not None)
    if back:
        yield finding("vault.destroyed-back", count=len(back), paths=_some(back))
    standing = {name.id for name in store.names()}
    missing = [
        key for key in _key_ids(connection) if key not in standing and key not in gone and store.ended(key) is None
    ]
    begun = set(connection.scalars(select(ended.key_id).where(ended.destroyed.is_(None))))
    stated = key_digests.lost(connection)
    if lost := sorted(set(missing) - begun - set(stated)):
        yield finding("vault.key-missing", keys=_some(lost))
    if stated:
        yield finding("vault.key-lost", keys=_some(sorted(stated)))
    with suppress(Failure):  # without the secret no key opens, which is a finding of its own
        if differing := key_digests.differing(connection, open_keys(settings, connection.engine)):
            yield finding("vault.key-differs", keys=_some(differing))
    hold = tables.vault_hold.c
    on_hold = set(connection.scalars(select(hold.name).where(hold.released.is_(None))))
    late = [
        name for name in store.names() if name.due is not None and name.due < now - _GRACE and name.hold not in on_hold
    ]
    if odd := store.odd(now):
        yield finding("vault.odd-files", count=len(odd), files=_some(odd))
    if late and not clock.confirmed(connection, store, now):
        yield finding(
            "vault.clock",
            now=Moment(clock.words(now)),
            log=Moment(clock.words(clock.newest(connection))),
            count=len(late),
        )
    elif late:
        first = min(name.due or now for name in late)
        yield finding("vault.overdue", count=len(late), since=Moment(rfc3339(first)))


def key_copies(settings: Settings) -> Iterator[Finding]:
    """Finds copies of keys in a folder with a database, which has the sealed bodies."""
    if settings.vault_copies is None:
        yield finding("vault.no-copies")
        return
    for folder in (settings.vault_copies, settings.vault_copies.absolute().parent):
        beside = next(_databases(folder), None)
        if beside is not None:
            yield finding("vault.copies-with-database", folder=settings.vault_copies, database=beside)
            return


def _databases(folder: Path) -> Iterator[Path]:
    try:
        files = [path for path in list(folder.iterdir())[:_MOST_FILES] if path.is_file()]
    except OSError:
        return
    for path in sorted(files):
        try:
            with path.open("rb") as file:
                head = file.read(32)
        except OSError:
            continue
        if head.startswith(_DATABASES):
            yield path


def _key_ids(connection: Connection) -> Iterator[str]:
    """The distinct key ids, by an index skip scan: the cost grows with keys, not bodies."""
    key, last = tables.vault.c.key_id, ""
    while (following := connection.scalar(select(func.min(key)).where(key > last))) is not None:
        yield following
        last = following


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")

"""Makes a backup of a running or stopped instance, and checks backups.

A backup is built beside its place and moved by one rename. Its manifest is written last, so an interrupted backup is
not one. Protected private keys are copied as they are, without the secret; plain ones only on request. The vault's keys
are excluded, so that no copy outlives their retention. On request they are included, with the date to destroy them by.
Of a sandbox's systems, which work meanwhile, lock files are left out, and a file that they remove is passed over.
"""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Engine, select

from contracts.base.errors import Failure
from contracts.base.words import WordsFile
from gateway import __version__
from gateway.audit.log.logkey import LogKey
from gateway.audit.verify.verify import Report, verify_log
from gateway.backup import database, manifest
from gateway.backup.errors import (
    BACKUP_DISK_FULL,
    BACKUP_PLAIN_KEYS,
    BACKUP_TAKEN,
    BACKUP_UNREADABLE,
    BACKUP_UNWRITABLE,
)
from gateway.backup.manifest import LAST, Manifest, Tick
from gateway.durable import sync_folder
from gateway.journal.append import append
from gateway.journal.database import open_engine, revision, writing
from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.keys.key_encryption import is_protected
from gateway.keys.keyring import Keyring
from gateway.registry.seals.revisions import revision as registry_revision
from gateway.settings import Settings
from gateway.settings.saving import save
from gateway.transfer import entries
from gateway.vault.stores import open_keys
from security.transparency import entry as form
from security.transparency.checkpoint import NoteKey

_words = WordsFile(__file__)

VAULT_KEYS: Final = "vault-keys"
DESTROYED: Final = "destroyed"  # in the folder of keys: a file for each key whose retention ended, by id
VAULT_KEYS_LIVE: Final = 7 * 86_400.0
SANDBOX: Final = "sandbox"
SANDBOX_PARTS: Final = ("identities", "agents", "standins.json")
_LOCKS: Final = (".lock", ".lock-journal")  # of the client kit, and SQLite's own journal of it
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to include besides the database, and who asked for it. `counts`: False for the copy of a drill, which is
    neither logged nor the last backup, since it goes with the drill."""

    keys: bool = True
    plain_keys: bool = False
    vault_keys: bool = False
    actor: str = "command line"
    counts: bool = True


def take(settings: Settings, folder: Path, wanted: Wanted, now: float, tick: Tick) -> tuple[Manifest, str, Report]:
    """Make and check a backup and log it; returns the manifest, its digest and the report on its log."""
    folder = folder.absolute()
    keys = _Keys.of(settings, wanted)
    if keys.plain and not wanted.plain_keys:
        raise BACKUP_PLAIN_KEYS(count=keys.plain)
    check_free(folder)
    engine = open_engine(settings.database_url)
    draft = folder.with_name(f".{folder.name}.part")
    with full_told(folder):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        try:
            _room(engine, draft)
            backup = _Filling(settings, engine, wanted, now, tick).fill(draft, keys)
            digest = manifest.write(draft, backup, _signer(settings))
            report = _verified(draft, backup, NoteKey.from_text(backup.vkey), (), tick)
            if folder.exists():
                folder.rmdir()
            draft.rename(folder)
            sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        if wanted.counts:
            _record(engine, folder, (backup, digest, report), now, wanted.actor)
    engine.dispose()
    return backup, digest, report


def _record(engine: Engine, folder: Path, made: tuple[Manifest, str, Report], now: float, actor: str) -> None:
    backup, digest, report = made
    facts: dict[str, form.Json] = {
        "manifest": digest,
        "origin": backup.origin,
        "size": backup.size,
        "keys": backup.keys,
        "vault_keys": backup.vault_keys_until is not None,
        "verified": report.ok,
    }
    with writing(engine) as connection:
        append(connection, [entries.note("backup", facts, now, actor=actor)])
        last = {
            "at": now,
            "folder": str(folder),
            "keys": backup.keys,
            "vault_keys_until": backup.vault_keys_until,
            "verified": report.ok,
        }
        keep(connection, LAST, json.dumps(last, ensure_ascii=False))


def check(folder: Path, vkey: NoteKey | None, kept: Sequence[str], tick: Tick) -> tuple[Manifest, Report]:
    """Check every file against the manifest, and the log against the key. Raises `backup.broken`."""
    backup = manifest.read(folder, vkey, tick)
    return backup, _verified(folder, backup, vkey or NoteKey.from_text(backup.vkey), kept, tick)


def _verified(folder: Path, backup: Manifest, key: NoteKey, kept: Sequence[str], tick: Tick) -> Report:
    with (
        tempfile.TemporaryDirectory(prefix="lgsp-backup-") as work,
        database.opened(folder, backup.database, Path(work)) as connection,
    ):
        return verify_log(
            connection,
            key,
            origin=backup.origin,
            newest=backup.checkpoint,
            kept=next(iter(kept), None),
            on_progress=lambda done: tick("entries", done, backup.size),
        )


def check_free(folder: Path) -> None:
    """Check early that the finished folder can be moved to this place."""
    if folder.is_mount():
        raise BACKUP_UNWRITABLE(path=folder, reason=_words("mount"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BACKUP_TAKEN(path=folder)


@contextmanager
def full_told(path: Path) -> Iterator[None]:
    """Turn errors of a full or unwritable disk, from any library, into failures."""
    try:
        yield
    except OSError as wrong:
        if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BACKUP_DISK_FULL(path=path, needed="?", free=_free(path)) from None
        raise BACKUP_UNWRITABLE(path=wrong.filename or path, reason=wrong.strerror or str(wrong)) from None
    except sqlite3.OperationalError as wrong:
        if "full" in str(wrong):
            raise BACKUP_DISK_FULL(path=path, needed="?", free=_free(path)) from None
        raise BACKUP_UNWRITABLE(path=path, reason=str(wrong)) from None


def _free(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free // _MIB


def _room(engine: Engine, place: Path) -> None:
    needed, free = needed_for(engine), _free(place)
    if needed > free:
        raise BACKUP_DISK_FULL(path=place.parent, needed=needed, free=free)


def needed_for(engine: Engine) -> int:
    """About how many MiB a backup of this database takes."""
    needed = 16 * _MIB
    if engine.dialect.name == "sqlite" and engine.url.database:
        needed += sum(
            Path(engine.url.database + end).stat().st_size
            for end in ("", "-wal")
            if Path(engine.url.database + end).exists()
        )
    else:
        with engine.connect() as connection:
            needed += int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
    return needed // _MIB


class _Keys(NamedTuple):
    """The gateway's private keys to be included, and how many of them lie in plain."""

    files: Sequence[Path]
    plain: int

    @classmethod
    def of(cls, settings: Settings, wanted: Wanted) -> _Keys:
        files = _private(settings) if wanted.keys else []
        return cls(files, sum(not is_protected(path.read_bytes()) for path in files))


@dataclass(frozen=True, slots=True)
class _Filling:
    settings: Settings
    engine: Engine
    wanted: Wanted
    now: float
    tick: Tick

    def fill(self, draft: Path, keys: _Keys) -> Manifest:
        settings, wanted = self.settings, self.wanted
        keyring = Keyring(settings)
        # The settings in force; the databases are options of the restore.
        save(replace(settings, data=draft, database="", vault_database=""))
        public = [
            keyring.log_vkey,
            *(
                path
                for place in (settings.authority, settings.keys)
                for path in place.iterdir()
                if path.is_file() and path.suffix != ".key"
            ),
        ]
        for path in (*public, *keys.files):
            manifest.put(draft / path.relative_to(settings.data), _content(path))
        if wanted.keys and settings.kind == "sandbox":
            _copy(_below(settings.data, SANDBOX_PARTS), settings.data, draft / SANDBOX)
        kept = open_keys(settings, self.engine)
        for key_id, at in kept.marks():  # a restore must not restore these keys
            manifest.put(draft / settings.vault_keys.relative_to(settings.data) / DESTROYED / key_id, at.encode())
        until = None
        if wanted.vault_keys:
            until = self.now + VAULT_KEYS_LIVE
            for key_id, data in kept.forms():
                manifest.put(draft / VAULT_KEYS / f"{key_id}.key", data)
        with database.snapshot(self.engine) as connection:
            newest = connection.execute(
                select(tables.checkpoint.c.size, tables.checkpoint.c.note)
                .order_by(tables.checkpoint.c.size.desc())
                .limit(1)
            ).first()
            size, checkpoint = (int(newest[0]), str(newest[1])) if newest is not None else (0, None)
            schema, number = str(revision(connection)), registry_revision(connection)
            rows = database.copy_out(connection, draft / database.FOLDER, self.tick)
        if checkpoint is not None:
            manifest.put(draft / "log" / "checkpoint", checkpoint.encode())
        return Manifest(
            made=self.now,
            version=__version__,
            kind=settings.kind,
            data=str(settings.data),
            origin=settings.origin,
            vkey=keyring.log_vkey.read_text("ascii").strip(),
            size=size,
            checkpoint=checkpoint,
            database=self.engine.dialect.name,
            revision=schema,
            registry=number,
            keys="none" if not wanted.keys else "plain" if keys.plain else "sealed",
            vault_keys_until=until,
            tables=rows,
            files=manifest.look(draft, self.tick),
        )


def _private(settings: Settings) -> list[Path]:
    """The instance's own private keys, without the vault's."""
    return sorted(
        path for place in (settings.keys, settings.authority) if place.exists() for path in place.glob("*.key")
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise BACKUP_UNREADABLE(path=path, reason=wrong.strerror or str(wrong)) from wrong


def _copy(files: Iterable[Path], data: Path, place: Path) -> None:
    """Files of systems that work meanwhile: one that is gone by now is passed over."""
    for path in files:
        try:
            content = _content(path)
        except Failure as failure:
            if isinstance(failure.__cause__, FileNotFoundError):
                continue
            raise
        manifest.put(place / path.relative_to(data), content)


def _below(data: Path, parts: Sequence[str]) -> Iterator[Path]:
    for part in parts:
        place = data / part
        yield from (
            [place]
            if place.is_file()
            else sorted(
                path
                for path in place.rglob("*")
                if path.is_file() and not path.is_symlink() and not path.name.endswith(_LOCKS)
            )
        )


def _signer(settings: Settings) -> Callable[[str], str] | None:
    keyring = Keyring(settings)
    if not keyring.log_key.exists():  # a machine with doors only
        return None
    return LogKey.open(keyring.log_key, settings.origin, keyring.at_rest).sign_text

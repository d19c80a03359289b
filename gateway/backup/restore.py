"""Restores a backup into an empty folder, whole or not at all, and locks it until an officer confirms.

The data folder is built beside its place. The database is committed in one transaction (for SQLite a file in that
folder), then one rename moves the folder. A killed restore leaves a folder that is not an instance, and is repeated. If
PostgreSQL was committed already, the same command completes the restore.
Invariant: the log is recomputed from its entries before it continues.
Invariant: a folder or database that is not empty is never overwritten.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from contracts.base.ids import new_id
from gateway import settings as settings_module
from gateway.audit.log import origins
from gateway.audit.log.head import LogHead
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.tiles import root_at
from gateway.audit.verify.verify import verify_log
from gateway.backup import database, manifest, succession, vault_move
from gateway.backup.errors import BACKUP_KIND, BACKUP_NEWER, BACKUP_OLD_KEY, BACKUP_TAKEN, BACKUP_WRONG_LOG
from gateway.backup.manifest import Manifest, Tick
from gateway.backup.restore_fixups import bring_back
from gateway.backup.succession import Decision, Known
from gateway.backup.take import DESTROYED, SANDBOX, VAULT_KEYS, check_free, full_told
from gateway.durable import sync_folder
from gateway.journal.append import append
from gateway.journal.database import fold_back, knows, open_engine, upgrade, writing
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.keys.key_encryption import AtRest
from gateway.keys.keyring import NAMES, Keyring
from gateway.registry import identity
from gateway.registry.restore_lock import digest_of, hold
from gateway.registry.seals.account_rows import carry_over
from gateway.registry.seals.accounts import FACT
from gateway.registry.seals.accounts import Seal as AccountsSeal
from gateway.registry.seals.rows import HOLD
from gateway.registry.seals.sealing import AT_ONCE, Seal
from gateway.settings import Settings
from gateway.settings.running import is_running
from gateway.settings.saving import save
from gateway.transfer import entries
from gateway.vault import key_digests
from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.keys import Keys
from gateway.vault.keystore import KeyStore
from gateway.vault.stores import opened, shared
from security.transparency import entry as form
from security.transparency.checkpoint import NoteKey

MARK: Final = "restore.json"  # in the folder being built: the id of the restore, which is also in the database
_KEY: Final = "restore.id"
_OLD_KEY: Final = "log.key"


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a restore."""

    data: Path
    database: str = ""
    vault_database: str = ""
    outside: tuple[Known, ...] = ()
    vkey: NoteKey | None = None
    complete: bool = False
    vault_keys: Path | None = None
    keys: Path | None = None  # the `keys` folder, for a backup without keys
    origin: str = ""  # name of a new log; default: the next number
    practice: bool = False  # the instance will never be confirmed


@dataclass(frozen=True, slots=True)
class Restored:
    """The result; all values can be written as JSON."""

    backup: str  # the manifest's digest
    made: float  # when the backup was made
    before: str  # the origin of the log in the backup
    origin: str  # the origin of the continuing log
    reason: str | None  # why it is a new one
    held: int  # entries of the log in the backup
    signed: int  # entries under its newest known checkpoint
    root: str
    checked: dict[str, int]
    vkey: str
    gone_back: dict[str, Any]
    missing_vault_keys: list[str]
    missing_keys: list[str]
    old_runs: bool  # the instance that was backed up runs on this machine
    old: str  # its data folder
    practice: bool = False


def restore(folder: Path, asked: Asked, now: float, tick: Tick) -> Restored:
    """Check, build, verify, move. A `backup.…` failure leaves the place unchanged."""
    folder, place = folder.absolute(), asked.data.absolute()
    check_free(place)
    backup = manifest.read(folder, asked.vkey, tick)
    wanted = "postgresql" if asked.database.startswith("postgresql") else "sqlite"
    if backup.database != wanted:
        raise BACKUP_KIND(found=backup.database, wanted=wanted)
    if not knows(backup.revision):
        raise BACKUP_NEWER(revision=backup.revision)
    draft = place.with_name(f".{place.name}.restoring")
    with full_told(place):
        done = _committed(draft, asked)
        if done is None:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700, parents=True)
            try:
                done = _Build(folder=folder, backup=backup, asked=asked, draft=draft, now=now, tick=tick).run()
            except BaseException:
                if _committed(draft, asked) is None:
                    shutil.rmtree(draft, ignore_errors=True)
                raise
        if place.exists():
            place.rmdir()
        draft.rename(place)
        (place / MARK).unlink()  # last: until then it identifies the database
        sync_folder(place.parent)
    return done


def _committed(draft: Path, asked: Asked) -> Restored | None:
    """The result of a killed restore, if its PostgreSQL database was committed."""
    try:
        mark = json.loads((draft / MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not asked.database.startswith("postgresql"):
        return None
    engine = open_engine(asked.database)
    try:
        if database.is_empty(engine):
            return None
        with engine.connect() as connection:
            stands = value_of(connection, _KEY)
        return Restored(**mark["done"]) if stands == mark["id"] else None
    finally:
        engine.dispose()


@dataclass(slots=True)
class _Build:
    folder: Path
    backup: Manifest
    asked: Asked
    draft: Path
    now: float
    tick: Tick

    def run(self) -> Restored:
        backup, draft = self.backup, self.draft
        self._files()
        secret = {name: value for name, value in os.environ.items() if name == f"{settings_module.PREFIX}SECRET_FILE"}
        settings = settings_module.load(draft, secret)
        settings = replace(settings, database=self.asked.database, vault_database=self.asked.vault_database)
        keyring = Keyring(settings)
        old = LogKey.open(keyring.log_key, backup.origin, keyring.at_rest) if keyring.log_key.exists() else None
        trusted = self.asked.vkey or NoteKey.from_text(backup.vkey)
        if old is not None and old.vkey != trusted.text():
            raise BACKUP_OLD_KEY(path=_OLD_KEY, reason=f"{old.vkey} ≠ {trusted.text()}")
        engine = open_engine(settings.database_url)
        try:
            if backup.database == "postgresql" and not database.is_empty(engine):
                raise BACKUP_TAKEN(path=engine.url.render_as_string(hide_password=True))
            with writing(engine) as connection:
                done, settings, checkpoint = self._database(connection, settings, old, trusted)
                if checkpoint is not None:
                    settings.checkpoint_file.unlink(missing_ok=True)
                    manifest.put(settings.checkpoint_file, checkpoint.encode())
                save(settings)
                mark = new_id()
                keep(connection, _KEY, mark)
                manifest.put(draft / MARK, json.dumps({"id": mark, "done": asdict(done)}, ensure_ascii=False).encode())
            fold_back(engine)
        finally:
            engine.dispose()
        return done

    def _files(self) -> None:
        for name in self.backup.files:
            source = self.folder / name
            head, _, rest = name.partition("/")
            if head == database.FOLDER:
                if self.backup.database == "sqlite":
                    _copy(source, self.draft / database.SQLITE_FILE)
            elif head == VAULT_KEYS:
                _copy(source, self.draft / "keys" / "vault" / rest)
            elif head == SANDBOX:
                _copy(source, self.draft / rest)
            else:
                _copy(source, self.draft / name)
        (self.draft / "keys" / "vault").mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.draft / "log").mkdir(mode=0o700, exist_ok=True)
        if self.asked.keys is not None:
            for path in sorted(self.asked.keys.glob("*.key")):
                if not (self.draft / "keys" / path.name).exists():
                    _copy(path, self.draft / "keys" / path.name)
        if self.asked.vault_keys is not None:
            self._vault_keys(self.asked.vault_keys)

    def _vault_keys(self, source: Path) -> None:
        """Copy keys from a vault's folder or a folder of dated copies, except those whose retention ended."""
        place = self.draft / "keys" / "vault"
        for mark in sorted((source / DESTROYED).glob("[!.]*")):
            if not (place / DESTROYED / mark.name).exists():
                _copy(mark, place / DESTROYED / mark.name)
        for path in sorted(source.rglob("[!.]*.key")):
            if not (place / path.name).exists():
                _copy(path, place / path.name)
        for mark in (place / DESTROYED).glob("*"):
            (place / f"{mark.name}.key").unlink(missing_ok=True)

    def _database(
        self, connection: Connection, settings: Settings, old: LogKey | None, trusted: NoteKey
    ) -> tuple[Restored, Settings, str | None]:
        backup = self.backup
        if backup.database == "postgresql":
            upgrade(connection, backup.revision)
            database.copy_in(connection, self.folder, dict(backup.tables), self.tick)
        upgrade(connection)
        report = verify_log(
            connection,
            trusted,
            origin=backup.origin,
            newest=backup.checkpoint,
            on_progress=lambda done: self.tick("entries", done, backup.size),
        )
        if not report.ok or report.size != backup.size:
            raise BACKUP_WRONG_LOG(reason=report.first_wrong or f"{report.size} entries of {backup.size}")
        keys = _vault_of(settings)
        outside = (*self.asked.outside, *_beside(Path(backup.data)), *_above(keys, backup.origin))
        held = succession.Held(backup.size, backup.checkpoint, self.asked.complete, has_key=old is not None)
        decision = succession.decide(connection, trusted, held, outside)
        gone = bring_back(connection, self.now)
        key_digests.forget_missing(connection, keys)
        digest = manifest.digest_of((self.folder / manifest.NAME).read_text("utf-8"))
        checkpoint = backup.checkpoint
        if decision.reason is not None:
            settings, checkpoint = self._new_origin(connection, settings, old, decision, digest)
        identity.record(connection, settings)
        done = Restored(
            backup=digest,
            made=backup.made,
            before=backup.origin,
            origin=settings.origin,
            reason=decision.reason,
            held=backup.size,
            signed=decision.newest_size,
            root=report.root,
            checked=dict(report.checked),
            vkey=Keyring(settings).log_vkey.read_text("ascii").strip(),
            gone_back=gone,
            missing_vault_keys=_missing_vault_keys(connection, keys),
            missing_keys=_missing_keys(settings),
            old_runs=runs_beside(backup.data, self.asked.data),
            old=backup.data,
            practice=self.asked.practice,
        )
        left = {"backup": asdict(done)}
        facts: dict[str, Any] = {
            "backup": digest,
            "made": int(backup.made),
            "origin": settings.origin,
            "before": backup.origin,
            "held": backup.size,
            "told": digest_of(left),
        }
        hold(connection, self.now, left)
        self._seal(connection, settings, facts)
        return done, settings, checkpoint

    def _seal(self, connection: Connection, settings: Settings, facts: dict[str, Any]) -> None:
        """Seal the restored rows under the continuing origin. The entry names rows that differ from the backup's
        seal."""
        try:
            old = replace(settings, origin=self.backup.origin)
            seal, before = Seal.of(settings), Seal.of(old)
            accounts, accounts_before = AccountsSeal.of(settings), AccountsSeal.of(old)
        except FileNotFoundError:  # nothing starts without the hash key; the rows are accepted once it is there
            append(connection, [entries.note("restore", facts, self.now, actor="command line")])
            return
        differing = before.differing(connection, but=HOLD)
        if differing:
            facts = {**facts, "differed": [str(each) for each in differing[:AT_ONCE]], "count": len(differing)}
        mark, facts[FACT] = carry_over(connection, accounts_before, accounts)
        seal.mark.lift(seal.record(connection, None, "restore", facts, self.now, "command line"))
        accounts.mark.lift(mark)

    def _new_origin(
        self, connection: Connection, settings: Settings, old: LogKey | None, decision: Decision, digest: str
    ) -> tuple[Settings, str]:
        backup = self.backup
        past = origins.ended(connection)
        first = past[0].origin if past else backup.origin
        name = self.asked.origin or origins.next_name(
            first, (backup.origin, *(each.origin for each in past), *decision.others)
        )
        settings = replace(settings, origin=name)
        keyring = Keyring(settings)
        keyring.log_key.unlink(missing_ok=True)  # the old log is not signed any more
        key = LogKey.open(keyring.log_key, name, keyring.at_rest)
        facts = succession.facts(
            backup.origin, backup.vkey, decision, backup.size, root_at(connection, backup.size), digest
        )
        frozen = form.freeze(form.Note(new_id(int(self.now * 1000)), self.now, origins.NEW_LOG, "command line", facts))
        origins.end(connection, backup.origin, backup.vkey, self.now)
        checkpoint = origins.begin(connection, key, frozen, self.now, old)
        for table in (
            tables.log_index,
            tables.log_party,
            tables.log_indexed,
        ):  # of the ended log: the keeper rebuilds them
            connection.execute(delete(table))
        keyring.log_vkey.unlink(missing_ok=True)
        manifest.put(keyring.log_vkey, f"{key.vkey}\n".encode("ascii"))
        return settings, checkpoint


def _beside(data: Path) -> Sequence[Known]:
    """The newest checkpoint in the old data folder, if it still exists."""
    path = data / "log" / "checkpoint"
    try:
        return (Known(str(path), path.read_text("utf-8"), by_operator=False),)
    except (OSError, UnicodeDecodeError):
        return ()


def _vault_of(settings: Settings) -> Keys:
    """The store that goes on, with the keys and marks that came with the backup."""
    folder = KeyStore(settings.vault_keys, AtRest.of(settings))
    if not shared(settings) or not (settings.keys / "hash.key").exists():  # without that key nothing starts
        return folder
    keys = opened(settings, None)
    vault_move.fill(folder, keys, {})
    return keys


def _above(keys: Keys, origin: str) -> Sequence[Known]:
    """The newest checkpoint in the second database."""
    if not isinstance(keys, DatabaseKeys):
        return ()
    note = LogHead(keys.second, origin).read()
    return () if note is None else (Known("vault_database", note, by_operator=False),)


def runs_beside(old: str, data: Path) -> bool:
    """Whether the instance that was backed up runs on this machine, beside the restored one."""
    restored_in_place = bool(old) and Path(old).resolve() == data.resolve()
    return bool(old) and not restored_in_place and is_running(Path(old))


def _missing_vault_keys(connection: Connection, keys: Keys) -> list[str]:
    named = connection.execute(select(tables.vault.c.key_id).distinct()).scalars()
    return sorted(name for name in named if not keys.stands(name) and keys.ended(name) is None)


def _missing_keys(settings: Settings) -> list[str]:
    """The missing keys of the gateway itself; without them nothing starts."""
    missing = [name for name in NAMES if not list(settings.keys.glob(f"{name}*.key"))]
    return [*missing, *(["hash"] if not (settings.keys / "hash.key").exists() else [])]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as data:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as out:
            shutil.copyfileobj(data, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())

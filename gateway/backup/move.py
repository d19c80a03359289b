"""Moves a stopped instance from SQLite to an empty PostgreSQL database, whole or not at all.

Theory of operation
1. All tables are copied by COPY in one transaction, read from one moment of the SQLite file.
2. The log is recomputed from its entries in the new database. It must continue the newest checkpoint, and the rows of
   the registry must stand to their seal as they did before.
3. A note of the move is in the same transaction. Then the setting `database` is written, and the SQLite file gets
   another name, so that nobody goes on with it.
A move that is killed before its commit leaves an empty database, and is repeated. One that is killed after it is
completed by the same command: a mark in the data folder and a row of the new database have the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, make_url, select

from contracts.base.ids import new_id
from gateway.audit.verify.verify import verify_log
from gateway.backup import database
from gateway.backup.errors import BACKUP_KIND, BACKUP_MOVED, BACKUP_TAKEN, BACKUP_WRONG_LOG
from gateway.backup.manifest import Tick
from gateway.durable import sync_folder, write_new
from gateway.journal.append import append
from gateway.journal.database import migrate, open_engine, upgrade, writing
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.keys.keyring import Keyring
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from gateway.settings.saving import change
from gateway.transfer import entries
from security.transparency.checkpoint import NoteKey

NOTE: Final = "moved"
SUFFIX: Final = ".moved"
_MARK: Final = "move-id"  # in `run/` of the data folder
_KEY: Final = "move.id"


@dataclass(frozen=True, slots=True)
class Moved:
    """`kept` is the old SQLite file under its new name."""

    tables: int
    rows: int
    entries: int
    kept: Path


def move(settings: Settings, url: str, now: float, actor: str, tick: Tick) -> Moved:
    """Raises `backup.kind`, `backup.moved`, `backup.taken`, `backup.wrong-log`; then all is as it was.

    The caller holds the instance's lock, so that nothing writes meanwhile.
    """
    source, target = open_engine(settings.database_url), open_engine(url)
    try:
        if source.dialect.name != "sqlite":
            raise BACKUP_MOVED(database=source.url.render_as_string(hide_password=True))
        if target.dialect.name != "postgresql":
            raise BACKUP_KIND(found=source.dialect.name, wanted=target.dialect.name)
        mark = settings.run / _MARK
        if not _committed(target, mark):
            if not database.is_empty(target):
                raise BACKUP_TAKEN(path=target.url.render_as_string(hide_password=True))
            migrate(source)
            mark.unlink(missing_ok=True)
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(mark, new_id().encode("ascii"))
            sync_folder(mark.parent)
            with database.snapshot(source) as here, writing(target) as there:
                _fill(settings, here, there, mark.read_text("ascii"), (now, actor), tick)
        with target.connect() as there:
            counted = {each: _count(there, each) for each in tables.metadata.sorted_tables}
            size = _count(there, tables.log_entry)
    finally:
        source.dispose()
        target.dispose()
    old = Path(str(make_url(settings.database_url).database))
    change(settings.data, database=url)
    kept = old.with_name(old.name + SUFFIX)
    if old.exists():
        old.replace(kept)
    mark.unlink()  # last: until then it says that the move is not complete
    return Moved(len(counted), sum(counted.values()), size, kept)


def _committed(target: Engine, mark: Path) -> bool:
    if not mark.exists() or database.is_empty(target):
        return False
    with target.connect() as connection:
        stands = value_of(connection, _KEY)
    return bool(stands) and stands == mark.read_text("ascii")


def _fill(settings: Settings, here: Connection, there: Connection, id: str, by: tuple[float, str], tick: Tick) -> None:
    upgrade(there)
    chosen = tables.metadata.sorted_tables
    for done, table in enumerate(chosen):
        tick("tables", done, len(chosen))
        database.copy_across(here, there, table)
    checkpoint = settings.checkpoint_file
    size = _count(here, tables.log_entry)
    report = verify_log(
        there,
        NoteKey.from_text(Keyring(settings).log_vkey.read_text("ascii").strip()),
        origin=settings.origin,
        newest=checkpoint.read_text("utf-8") if checkpoint.exists() else None,
        on_progress=lambda done: tick("entries", done, size),
    )
    seal = Seal.of(settings)
    if not report.ok or _strange(seal, here) != _strange(seal, there):
        raise BACKUP_WRONG_LOG(reason=report.first_wrong or "the rows of the registry")
    now, actor = by
    append(there, [entries.note(NOTE, {"from": "sqlite", "to": "postgresql", "entries": size}, now, actor=actor)])
    keep(there, _KEY, id)


def _count(connection: Connection, table: Any) -> int:
    return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def _strange(seal: Seal, connection: Connection) -> list[str]:
    """The rows of the registry that are not as they were sealed."""
    return sorted(map(str, seal.differing(connection, but="")))

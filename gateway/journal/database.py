"""Opens a database (SQLite or PostgreSQL) durably, and migrates its schema.

Invariants:
- A commit returns only after the data are synced (`synchronous=FULL` in WAL mode; `synchronous_commit=on`).
- All writes happen in `writing()`. On SQLite it holds the file lock and begins IMMEDIATE, so that no transaction fails
  because another one wrote between its reads and its writes.
- Reads that compare the results of several statements happen in a `snapshot()`.
- Readers never wait for writers, and hold no transaction longer than one page takes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, TableClause, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gateway.journal import releases, wakes
from gateway.journal.errors import JOURNAL_SCHEMA
from gateway.journal.filelock import FileLock
from gateway.journal.limits import FOR_COMMANDS, Limits
from gateway.journal.read_only import is_read_only
from gateway.settings.address import DatabaseAddress

_MIGRATION_LOCK: Final = 0x4C475350  # a number of our own for PostgreSQL's advisory lock
_IMMEDIATE: Final = "lgsp_immediate"
_FOLD_PAGES: Final = 1000


def insert(connection: Connection | Engine, table: TableClause) -> Any:
    """An INSERT that can say what is done about a conflict, in the words of this database.

    The other database's dialect takes 2 MiB: it is loaded where it is spoken.
    """
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def open_engine(url: str, limits: Limits = FOR_COMMANDS) -> Engine:
    """Returns an engine for `sqlite:///path` or `postgresql+psycopg://…` (plain `postgresql://` means psycopg too).

    Within `gateway.journal.read_only.read_only` it cannot write. `limits` are of PostgreSQL alone. An address that is
    only text requires no standby.
    """
    parsed = make_url(url)
    reading = is_read_only()
    if parsed.get_backend_name() == "sqlite":
        if reading and parsed.database not in (None, "", ":memory:"):
            return _reading_sqlite(Path(str(parsed.database)).absolute())
        engine = create_engine(
            parsed,
            hide_parameters=True,
            connect_args={"timeout": 10.0, "cached_statements": 512, "check_same_thread": False},
        )
        event.listen(engine, "do_connect", _create_private)
        event.listen(engine, "connect", _on_connect_sqlite)
        event.listen(engine, "begin", _on_begin_sqlite)
        return engine
    from gateway.journal import postgresql

    known = url if isinstance(url, DatabaseAddress) else None
    return postgresql.engine_of(
        parsed.set(drivername="postgresql+psycopg"),
        limits,
        reading=reading,
        standby=known is not None and known.standby,
        folder=known.folder if known is not None else None,
    )


def _reading_sqlite(file: Path) -> Engine:
    """An engine for whoever may read the file, and perhaps neither write it nor make files beside it.

    Whoever has the database open keeps its write-ahead log beside it, which a reader then needs. Without one, nobody
    has it open, and SQLite is told that the file does not change.
    """
    log = file.with_name(file.name + "-wal")

    def connect() -> sqlite3.Connection:
        mode = "mode=ro" if log.exists() or os.access(file.parent, os.W_OK) else "mode=ro&immutable=1"
        address = f"file:{quote(str(file))}?{mode}"
        connection = sqlite3.connect(address, timeout=10.0, cached_statements=512, check_same_thread=False, uri=True)
        connection.isolation_level = None
        for pragma in ("busy_timeout = 10000", "cache_size = -8000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine("sqlite://", creator=connect, hide_parameters=True, poolclass=NullPool)
    event.listen(engine, "begin", _on_begin_sqlite)
    return engine


def lock_path(engine: Engine) -> Path | None:
    """The path of this database's file lock, beside the SQLite file; None for PostgreSQL, which needs none."""
    if engine.dialect.name != "sqlite":
        return None
    database = engine.url.database
    return Path(database).absolute().with_name("journal.lock") if database and database != ":memory:" else None


_LOCKS: Final[dict[Path | None, FileLock]] = {None: FileLock(None)}


def lock_of(engine: Engine) -> FileLock:
    """The lock of this database, one object per process."""
    path = lock_path(engine)
    return _LOCKS.setdefault(path, FileLock(path))


@contextmanager
def writing(engine: Engine, lock: FileLock | None = None) -> Iterator[Connection]:
    """One writing transaction: committed at the end, rolled back by an exception. Then it wakes whom it is for."""
    with lock if lock is not None else lock_of(engine), engine.connect() as connection:
        connection = connection.execution_options(**{_IMMEDIATE: True})
        with connection.begin():
            yield connection
        wakes.tell(connection)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment of the database for several statements.

    SQLite gives that to every transaction; PostgreSQL needs REPEATABLE READ.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def moment(connection: Connection, clock: Callable[[], float]) -> float:
    """Now, in Unix seconds: by the clock of PostgreSQL, which all machines share; else by `clock`."""
    if connection.dialect.name == "sqlite":
        return clock()
    return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())


def fold_back(engine: Engine, lock: FileLock | None = None) -> int:
    """Checkpoints SQLite's write-ahead log, so that no writer has to within a batch; returns the pages that it held.

    Most pages are written while writers go on. The rest is written under the lock, so that the next writer restarts the
    log.
    """
    if engine.dialect.name != "sqlite":
        return 0
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        pages = _fold(cursor)
        if pages >= _FOLD_PAGES:
            with lock if lock is not None else lock_of(engine):
                _fold(cursor)
        return pages


def _fold(cursor: Any) -> int:
    """Checkpoints the pages that no reader needs any more; returns the number of pages in the log."""
    cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
    _busy, pages, _folded = cursor.fetchone()
    return int(pages)


def migrate(engine: Engine, on_older: Callable[[str, str], object] = lambda current, newest: None) -> None:
    """Brings the database to the newest revision, in one transaction; several processes may call it at once.

    `on_older(current, newest)` is called before a database of an older release is changed.
    A database of a newer release is left as it is; if that release does not serve this program, it raises
    `journal.schema`. One that is older than the release before raises `journal.older-runs` while a process uses it.
    """
    known = _revisions()
    with engine.connect() as connection:
        older = revision(connection)
    if older in known and older not in releases.serves(known):
        releases.check_stopped(engine)
    with writing(engine) as connection:
        current = revision(connection)
        if current is not None and current not in known:
            if known[0] in releases.served(connection):
                return
            raise JOURNAL_SCHEMA(found=current, expected=known[0])
        if current not in (None, known[0]):
            on_older(str(current), known[0])
        upgrade(connection)
        releases.serve(connection, known)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Migrates to any revision within the caller's writing transaction."""
    _run(connection, "upgrade", to)


def downgrade(connection: Connection, to: str) -> None:
    """Takes migrations back within the caller's writing transaction."""
    _run(connection, "downgrade", to)


def _run(connection: Connection, way: str, to: str) -> None:
    from alembic import command
    from alembic.config import Config

    with resources.as_file(resources.files("gateway.journal") / "migrations") as folder:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        getattr(command, way)(config, to)


def knows(wanted: str) -> bool:
    """Whether this program has that revision of the schema."""
    return wanted in _revisions()


def fits(connection: Connection) -> bool:
    """Whether this program runs on that schema: its own, or one of a newer release that serves it."""
    newest = newest_revision()
    return revision(connection) == newest or newest in releases.served(connection)


def newest_revision() -> str:
    """The revision that this program needs."""
    return _revisions()[0]


def _revisions() -> list[str]:
    """All revisions of this program, newest first."""
    from alembic.script import ScriptDirectory

    with resources.as_file(resources.files("gateway.journal") / "migrations") as folder:
        return [each.revision for each in ScriptDirectory(str(folder)).walk_revisions()]


def revision(connection: Connection) -> str | None:
    """The revision of the database; None if it was never migrated."""
    try:
        with connection.begin_nested():
            row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    except DBAPIError:
        return None
    return str(row[0]) if row else None


def _create_private(_dialect: object, _record: object, arguments: Any, _named: object) -> None:
    """Creates a missing database file for its owner alone; SQLite gives the files beside it the same mode."""
    path = str(arguments[0]) if arguments else ""
    if path not in ("", ":memory:") and not path.startswith("file:"):
        with contextlib.suppress(OSError):  # it exists, or SQLite reports what is wrong
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _on_connect_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout = 10000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "wal_autocheckpoint = 8000",
        "journal_size_limit = 67108864",
        "cache_size = -8000",
        "temp_store = MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_IMMEDIATE, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # takes no lock, so there is no failure to translate: past SQLAlchemy, which costs more than a small read
        connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]

"""Copies the database of a running instance as of one moment, and restores it into an empty database.

SQLite: the online backup API, in steps, from a connection in one read transaction. All pages are of one moment; writers
do not wait, nor restart the copy; meanwhile the write-ahead log grows. PostgreSQL: one REPEATABLE READ transaction,
each table by COPY in text form (the first line names the columns). No PostgreSQL program is needed. Invariant: writers
are not blocked.
Invariant: a restore is committed whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, inspect, select

from gateway.backup.manifest import Tick, broken
from gateway.journal.database import revision
from gateway.journal.schema import tables

FOLDER: Final = "database"
SQLITE_FILE: Final = "lgsp.db"
_PAGES: Final = 2000  # pages of a step, which takes some milliseconds
_ROWS: Final = 1000  # of one reading, while they go from database to database
_LOG: Final = ("log_entry", "log_tile", "checkpoint", "cosigned", "stamp")
_ESCAPES: Final = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A read transaction that sees one moment."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        connection.execute(select(tables.instance.c.key).limit(1)).all()  # fixes the moment
        yield connection


def copy_out(connection: Connection, folder: Path, tick: Tick) -> dict[str, int]:
    """Copy the database as this connection sees it into `folder`; for PostgreSQL the rows of each table."""
    folder.mkdir(mode=0o700, parents=True)
    if connection.dialect.name == "sqlite":
        _sqlite_out(cast(sqlite3.Connection, connection.connection.driver_connection), folder / SQLITE_FILE, tick)
        return {}
    rows: dict[str, int] = {}
    stands = inspect(connection)  # tables and columns may be missing before a migration
    chosen = [table for table in tables.metadata.sorted_tables if stands.has_table(table.name)]
    for done, table in enumerate(chosen):
        tick("tables", done, len(chosen))
        there = {column["name"] for column in stands.get_columns(table.name)}
        rows[table.name] = _table_out(
            connection, table.name, [each.name for each in table.columns if each.name in there], folder
        )
    return rows


def _sqlite_out(source: sqlite3.Connection, path: Path, tick: Tick) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    target = sqlite3.connect(path)
    try:
        target.execute("PRAGMA synchronous = OFF")  # synced once, below
        source.backup(
            target, pages=_PAGES, progress=lambda _status, left, total: tick("pages", total - left, total), sleep=0.01
        )
        target.execute("PRAGMA journal_mode = DELETE")  # a single file
    finally:
        target.close()
    _sync(path)


def _table_out(connection: Connection, name: str, names: Sequence[str], folder: Path) -> int:
    columns = ", ".join(f'"{each}"' for each in names)
    file = os.open(folder / f"{name}.copy", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    rows = 0
    driver: Any = connection.connection.driver_connection
    with os.fdopen(file, "wb") as out, driver.cursor() as cursor:
        out.write(f"{columns}\n".encode())
        with cursor.copy(f'COPY "{name}" ({columns}) TO STDOUT') as copy:
            for data in copy:
                out.write(data)
        rows = cursor.rowcount
        out.flush()
        os.fsync(out.fileno())
    return int(rows)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def opened(folder: Path, kind: str, work: Path) -> Iterator[Connection]:
    """A backup's database, opened for verification. The PostgreSQL form is read into an SQLite file in `work`."""
    path = folder / FOLDER / SQLITE_FILE
    if kind == "postgresql":
        path = work / "log.db"
        _log_in(folder / FOLDER, path)
    engine = create_engine(f"sqlite:///file:{_quoted(path)}?mode=ro&immutable=1&uri=true")
    try:
        with engine.connect() as connection:
            yield connection
    except sqlite3.DatabaseError as wrong:
        raise broken(folder, f"{SQLITE_FILE}: {wrong}") from None
    finally:
        engine.dispose()


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _log_in(folder: Path, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA synchronous = OFF"))
    chosen = [tables.metadata.tables[name] for name in _LOG if (folder / f"{name}.copy").exists()]
    tables.metadata.create_all(engine, tables=chosen)
    with engine.begin() as connection:
        for table in chosen:
            batch: list[dict[str, Any]] = []
            for row in rows_of(folder / f"{table.name}.copy"):
                batch.append({name: _value(table.c[name].type.python_type, value) for name, value in row.items()})
                if len(batch) == 1000:
                    connection.execute(table.insert(), batch)
                    batch = []
            if batch:
                connection.execute(table.insert(), batch)
    engine.dispose()


def rows_of(path: Path) -> Iterator[dict[str, str | None]]:
    """The rows of one table in PostgreSQL's text form of COPY."""
    with path.open("r", encoding="utf-8", newline="\n") as file:
        columns = [name.strip('"') for name in file.readline().rstrip("\n").split(", ")]
        for line in file:
            cells = line.rstrip("\n").split("\t")
            if len(cells) != len(columns):
                raise ValueError(f"{path.name}: a row of {len(cells)} columns of {len(columns)}")
            yield dict(zip(columns, map(_plain, cells), strict=True))


def _plain(cell: str) -> str | None:
    if cell == "\\N":
        return None
    if "\\" not in cell:
        return cell
    head, *rest = cell.split("\\")
    parts, pieces = [head], iter(rest)
    for piece in pieces:
        if piece:
            parts.append(_ESCAPES.get(piece[0], piece[0]) + piece[1:])
        else:  # an escaped backslash: the next character is literal
            parts.append("\\" + next(pieces, ""))
    return "".join(parts)


def _value(kind: type, text: str | None) -> Any:
    if text is None:
        return None
    if kind is bytes:
        return bytes.fromhex(text.removeprefix("\\x"))
    return text == "t" if kind is bool else kind(text)


def is_empty(engine: Engine) -> bool:
    """Whether the database has no data."""
    with engine.connect() as connection:
        if revision(connection) is None:
            return True
        return all(
            connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
            for table in (tables.instance, tables.log_entry, tables.log_pending, tables.agency, tables.transfer)
        )


def copy_in(connection: Connection, folder: Path, expected: dict[str, int], tick: Tick) -> None:
    """Fill the empty PostgreSQL tables in the caller's transaction."""
    driver: Any = connection.connection.driver_connection
    names = [table.name for table in tables.metadata.sorted_tables if table.name in expected]
    for done, name in enumerate(names):
        tick("tables", done, len(names))
        path = folder / FOLDER / f"{name}.copy"
        with path.open("rb") as source, driver.cursor() as cursor:
            columns = _known_columns(folder, name, source.readline().decode("utf-8", "replace"))
            cursor.execute(f'DELETE FROM "{name}"')  # rows from migrations
            with cursor.copy(f'COPY "{name}" ({columns}) FROM STDIN') as copy:
                while data := source.read(1 << 20):
                    copy.write(data)
            if cursor.rowcount != expected[name]:
                raise broken(folder, f"{name}.copy holds {cursor.rowcount} rows of {expected[name]}")
            _number_on(cursor, tables.metadata.tables[name])


def copy_across(here: Connection, there: Connection, table: Table) -> None:
    """Fill one empty PostgreSQL table with the rows of another database, in the caller's transaction."""
    columns = ", ".join(f'"{each.name}"' for each in table.columns)
    driver: Any = there.connection.driver_connection
    with driver.cursor() as cursor:
        cursor.execute(f'DELETE FROM "{table.name}"')  # rows from migrations
        rows = here.execution_options(yield_per=_ROWS).execute(select(table))
        with cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
        _number_on(cursor, table)


def _number_on(cursor: Any, table: Table) -> None:
    """New rows get numbers after those that are there."""
    number = table.autoincrement_column
    if number is not None:
        top = f'(SELECT COALESCE(max("{number.name}"), 0) + 1 FROM "{table.name}")'
        cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table.name}', '{number.name}'), {top}, false)")


def _known_columns(folder: Path, name: str, line: str) -> str:
    """The column list in the first line, checked against the table, since it becomes part of a statement."""
    columns = line.rstrip("\n").split(", ")
    if not {each.strip('"') for each in columns} <= {
        column.name for column in tables.metadata.tables[name].columns
    } or len(columns) != len(set(columns)):
        raise broken(folder, f"{name}.copy names other columns than the table has")
    return ", ".join(f'"{each.strip(chr(34))}"' for each in columns)

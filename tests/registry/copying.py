"""A new database becomes a copy of one that was filled with the same content: the signatures of thirty approvals, each
with what it reads, take longer than most tests."""

from __future__ import annotations

import atexit
import io
import pickle
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, inspect, text

from gateway.journal.database import writing
from security.algorithms import is_public
from security.grants.approvals import public_pem
from tests.journal.databases import migrated

KEPT = "alembic_version"


def filled(engine: Engine, content: tuple[Any, ...], fill: Callable[[Connection], None]) -> None:
    """Fills a database, or copies what `fill` made of the same content before. What is not new is filled."""
    kind = engine.dialect.name
    with engine.connect() as connection:
        new = _rows(connection) == _rows_of_a_new_one(kind)
    known = (kind, _bytes_of(content)) if new else None
    if known in _copies:
        _copies[known](engine)
        return
    with writing(engine) as connection:
        fill(connection)
    if known is not None:
        _copies[known] = _file_of(engine) if kind == "sqlite" else _tables_of(engine)


_copies: dict[Hashable, Callable[[Engine], None]] = {}


class _Pickled(pickle.Pickler):
    def reducer_override(self, each: object) -> Any:
        return (str, (public_pem(each),)) if is_public(each) else NotImplemented


def _bytes_of(content: tuple[Any, ...]) -> bytes:
    raw = io.BytesIO()
    _Pickled(raw).dump(content)
    return raw.getvalue()


def _rows(connection: Connection) -> dict[str, int]:
    tables = sorted(inspect(connection).get_table_names())
    counts = connection.execute(
        text(" union all ".join(f"select {at}, (select count(*) from {name})" for at, name in enumerate(tables)))
    )
    return {tables[at]: count for at, count in counts}


@cache
def _rows_of_a_new_one(kind: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        engine = migrated(kind, Path(folder))
        with engine.connect() as connection:
            found = _rows(connection)
        engine.dispose()
    return found


# --- SQLite: its pages ------------------------------------------------------------------------------------------------


def _file_of(engine: Engine) -> Callable[[Engine], None]:
    folder = Path(tempfile.mkdtemp(prefix="lgsp-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "filled.db"
    with sqlite3.connect(file) as kept:
        _backup(engine, lambda theirs: theirs.backup(kept))
    kept.close()

    def copy(into: Engine) -> None:
        source = sqlite3.connect(file)
        _backup(into, source.backup)
        source.close()

    return copy


def _backup(engine: Engine, step: Callable[[sqlite3.Connection], None]) -> None:
    connection = engine.raw_connection()
    try:
        step(connection.driver_connection)  # type: ignore[arg-type]  # it is one of SQLite
    finally:
        connection.close()


# --- PostgreSQL: its rows ---------------------------------------------------------------------------------------------


class _Table(NamedTuple):
    name: str
    rows: bytes


def _tables_of(engine: Engine) -> Callable[[Engine], None]:
    with engine.connect() as connection:
        names = [name for name, count in _rows(connection).items() if count and name != KEPT]
        cursor: Any = connection.connection.cursor()
        tables = []
        for name in names:
            with cursor.copy(f"COPY {name} TO STDOUT") as out:
                tables.append(_Table(name, b"".join(out)))
        numbers = connection.execute(
            text("SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL")
        ).all()

    def copy(into: Engine) -> None:
        with writing(into) as connection:
            # Rows that refer to each other come in any order.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            cursor: Any = connection.connection.cursor()
            for table in tables:
                cursor.execute(f"DELETE FROM {table.name}")
                with cursor.copy(f"COPY {table.name} FROM STDIN") as given:
                    given.write(table.rows)
            for name, last in numbers:
                connection.execute(text("SELECT setval(:name, :last)"), {"name": name, "last": last})

    return copy

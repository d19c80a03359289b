"""An insider stores what no program would: NULL, another type, broken text, numbers beyond all bounds, broken JSON, a
table without one of its columns. `audit verify` ends with findings that name it, never with a failure of its own."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Column

from gateway.audit.verify.forms import JSON, LATEST
from gateway.journal.schema import tables
from tests.attacks.audit.building import build
from tests.commandline import lgsp
from tests.size import FULL

KIND = pytest.mark.attack("audit log: values of another form")
BROKEN: Final = object()  # text that is not UTF-8
VALUES: Final[dict[str, Any]] = {
    "NULL": None,
    "an object": "{}",
    "a list": "[]",
    "nothing": "",
    "no bytes": b"",
    "bytes": b"\xff\xfe",
    "broken text": BROKEN,
    "NUL within": "a\0b",
    "long text": "x" * 70_000,
    "deep JSON": "[" * 100_000,
    "zero": 0,
    "a huge number": 2**62,
    "a low number": -(2**62),
    "a huge fraction": 1e300,
    "infinity": float("inf"),
}
TABLES: Final = list(tables.metadata.tables.values())
CASES: Final = [(column, kind) for table in TABLES for column in table.columns for kind in (*VALUES, "taken away")]
TRIED: Final = random.Random(20).sample(CASES, 1000 if FULL else 24)
Said = list[str]


@dataclass(frozen=True)
class Copy:
    """An instance at rest, of one attack alone: connections that earlier ones left open reach another file."""

    data: Path

    @property
    def file(self) -> Path:
        return self.data / "lgsp.db"

    def verify(self) -> tuple[int, Said]:
        done = lgsp("audit", "verify", "--json", "--data", str(self.data))
        return done.code, json.loads(done.out)["wrong"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("forms")
    whole = build("sqlite", folder)
    whole.engine.dispose()
    with closing(sqlite3.connect(whole.settings.data / "lgsp.db")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    yield whole.settings.data
    shutil.rmtree(folder)


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Iterator[Copy]:
    yield Copy(shutil.copytree(made, tmp_path / "data"))
    shutil.rmtree(tmp_path)


def attacked(raw: sqlite3.Connection, columns: Iterable[Column[Any]], kind: str) -> Said:
    """Changes one row for each column, as far as SQLite stores it; returns what must be named."""
    named, at = [], dict[str, int]()
    for column in columns:
        table = column.table.name
        rows = [row[0] for row in raw.execute(f'SELECT rowid FROM "{table}" ORDER BY 1')]
        at[table] = at.get(table, len(rows) // 2) + 1
        row = rows[at[table] % len(rows)]
        value = "CAST(x'41ff42' AS TEXT)" if VALUES[kind] is BROKEN else "?"
        given = () if VALUES[kind] is BROKEN else (VALUES[kind],)
        try:
            raw.execute(f'UPDATE "{table}" SET "{column.name}" = {value} WHERE rowid = ?', (*given, row))
        except sqlite3.IntegrityError:  # not twice, or never NULL
            continue
        stored = raw.execute(
            f'SELECT CAST("{column.name}" AS BLOB), typeof("{column.name}") FROM "{table}" WHERE rowid = ?', (row,)
        ).fetchone()
        if stored is not None and is_malformed(column, *stored):  # None: it was the row's own number
            named.append(f"table {table}, row ")
            named.append(f"its column {column.name} holds")
    return named


def is_malformed(column: Column[Any], raw: bytes | None, stored: str) -> bool:
    """By rules of the test's own."""
    if stored == "null":
        return not column.nullable
    python, text = column.type.python_type, raw or b""
    if python is str:
        if stored != "text" or text == b"A\xffB":
            return True
        kind = JSON.get(column.table.name, {}).get(column.name)
        return kind is not None and text != (b"{}" if kind is dict else b"[]")
    if python is bytes:
        return stored != "blob"
    if python is int:
        return stored != "integer"
    if python is bool:
        return stored != "integer" or text not in (b"0", b"1")
    return stored not in ("integer", "real") or not -LATEST <= float(text) <= LATEST


@pytest.mark.sampled("*", but=("NULL",))
@KIND
@pytest.mark.parametrize("kind", VALUES)
def test_each_column_of_each_table_at_once(copy: Copy, kind: str) -> None:
    """Each malformed value is named, with its table, row and column."""
    columns = [column for table in TABLES for column in table.columns]
    with closing(sqlite3.connect(copy.file)) as raw, raw:
        if kind == "NULL":  # as whoever makes the tables anew, without their rules
            raw.execute("PRAGMA writable_schema = ON")
            raw.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
            raw.commit()
    with closing(sqlite3.connect(copy.file)) as raw, raw:
        named = attacked(raw, columns, kind)
    code, wrong = copy.verify()
    assert code == 1
    assert [each for each in named if not any(each in text for text in wrong)] == []


@pytest.mark.sampled(every=3)
@KIND
@pytest.mark.parametrize(
    ("column", "kind"), TRIED, ids=[f"{column.table.name}.{column.name}: {kind}" for column, kind in TRIED]
)
def test_one_value(copy: Copy, column: Column[Any], kind: str) -> None:
    table = column.table.name
    with closing(sqlite3.connect(copy.file)) as raw, raw:
        if kind == "taken away":
            try:
                raw.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column.name}"')
            except sqlite3.OperationalError:  # of a key, or of an index
                raw.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column.name}" TO taken_away')
            named = [f"table {table}: its column {column.name} is missing"]
        else:
            named = attacked(raw, [column], kind)
    code, wrong = copy.verify()
    assert code == (1 if wrong else 0)
    ended = [text for text in wrong if "cannot be read" in text]
    assert not ended or any(table in text for text in wrong if text not in ended), "what stopped the check is named"
    assert [each for each in named if not any(each in text for text in wrong)] == []

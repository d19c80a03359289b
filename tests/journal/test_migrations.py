"""Two releases run on one schema at once: migrations only add, each can be taken back, and the database says which
older programs may start on it."""

from __future__ import annotations

import ast
import inspect
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, text

from contracts.base.errors import Ours
from gateway.journal import releases
from gateway.journal.database import migrate, open_engine, revision, upgrade, writing
from gateway.journal.schema import comparison
from gateway.journal.schema.comparison import described
from tests.journal.databases import alembic, downgrade, fresh_url, newest

ADDING = frozenset({"add_column", "create_table", "create_index"})  # of `op`, in a migration
PARTS = ("column", "index", "constraint")


def since_the_release_before() -> list[Script]:
    """The migrations that the release before does not know, oldest first."""
    every = list(ScriptDirectory.from_config(alembic()).walk_revisions())
    at = next(place for place, each in enumerate(every) if each.revision == releases.BEFORE)
    return every[:at][::-1]


def breaches(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What the program of before would not go on with, in descriptions of PostgreSQL's catalogue."""
    wrong = [
        f"{what}: {'altered' if what in after else 'gone'}" for what, now in before.items() if after.get(what) != now
    ]
    for what in sorted(after.keys() - before.keys()):
        kind, _, name = what.partition(" ")
        if kind not in ("table", "sequence", *PARTS):
            wrong.append(f"{what}: acts by itself")
        table = after[what].partition(" ON ")[2] if kind == "index" else name
        is_new = any(table.startswith((f"{each} ", f"{each}.")) for each in _tables(after) - _tables(before))
        if is_new or kind in ("table", "sequence"):
            continue
        if kind == "column" and "not null" in after[what] and "default " not in after[what]:
            wrong.append(f"{what}: needs a value")
        if kind == "constraint" or kind == "index" and "UNIQUE" in after[what]:
            wrong.append(f"{what}: refuses rows that were taken")
    return wrong


def _tables(described: Mapping[str, str]) -> set[str]:
    return {what.removeprefix("table ") for what in described if what.startswith("table ")}


@pytest.fixture
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database of the release before, of the kind that the test names."""
    engine = open_engine(fresh_url(request.param, tmp_path))
    with writing(engine) as connection:
        upgrade(connection, releases.BEFORE)
    yield engine
    engine.dispose()


BOTH = pytest.mark.parametrize("older", ["sqlite", "postgresql"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("older", ["postgresql"], indirect=True)


@POSTGRESQL
def test_migrations_only_add(older: Engine) -> None:
    with writing(older) as connection:
        for each in since_the_release_before():
            before = described(connection)
            upgrade(connection, each.revision)
            assert breaches(before, described(connection)) == [], each.path
            assert each.revision > releases.BEFORE, "the release before knows a newer schema by its number"


def test_migrations_leave_rows_as_they_are() -> None:
    for each in since_the_release_before():
        called = {
            node.func.attr
            for node in ast.walk(ast.parse(inspect.getsource(each.module.upgrade)))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "op"
        }
        assert called and called <= ADDING, each.path


@BOTH
def test_a_schema_that_was_brought_back_is_as_it_was(older: Engine) -> None:
    with writing(older) as connection:
        before = described(connection)
        upgrade(connection)
        assert described(connection) == comparison.expected(older.dialect.name)
        downgrade(connection, releases.BEFORE)
        assert described(connection) == before


BREAKING = {
    "ALTER TABLE process DROP COLUMN seen": "column process.seen: gone",
    "ALTER TABLE process RENAME COLUMN seen TO beaten": "column process.seen: gone",
    "ALTER TABLE process RENAME TO running": "table process: gone",
    "ALTER TABLE process ALTER COLUMN kind TYPE varchar(6)": "column process.kind: altered",
    "ALTER TABLE process ADD COLUMN place text NOT NULL": "column process.place: needs a value",
    "ALTER TABLE process ADD CHECK (pid > 0)": "constraint process.process_pid_check: refuses rows that were taken",
    "CREATE UNIQUE INDEX one_pid ON process (pid)": "index one_pid: refuses rows that were taken",
    "DROP INDEX transfer_state": "index transfer_state: gone",
    "CREATE VIEW alive AS SELECT id FROM process": "view alive: acts by itself",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'": "function one(): acts by itself",
}
GOOD = (
    "ALTER TABLE process ADD COLUMN place text",
    "ALTER TABLE process ADD COLUMN place text NOT NULL DEFAULT ''",
    "CREATE INDEX process_pid ON process (pid)",
    "CREATE TABLE place (id serial PRIMARY KEY, name text NOT NULL UNIQUE CHECK (name <> ''))",
)


@POSTGRESQL
def test_the_rule_finds_what_breaks_the_release_before(older: Engine) -> None:
    def found(connection: Connection, statement: str) -> list[str]:
        before, wrong = described(connection), []
        with suppress(_Undone), connection.begin_nested():
            connection.execute(text(statement))
            wrong = breaches(before, described(connection))
            raise _Undone
        return wrong

    with writing(older) as connection:
        for statement, wanted in BREAKING.items():
            assert wanted in found(connection, statement), statement
        for statement in GOOD:
            assert found(connection, statement) == [], statement


class _Undone(Exception):
    """Takes a nested transaction back."""


@BOTH
def test_the_newest_program_says_which_programs_it_serves(older: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(older)
    with older.connect() as connection:
        assert releases.served(connection) == [
            *(each.revision for each in reversed(since_the_release_before())),
            releases.BEFORE,
        ]
    with writing(older) as connection:  # a newer program, which adds, and serves this one
        connection.execute(text("CREATE TABLE later (id integer)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("DROP INDEX transfer_state"))
    migrate(older)
    with pytest.raises(Ours) as missing:
        comparison.check(older)
    assert missing.value.facts["objects"] == "index transfer_state: missing"
    monkeypatch.setattr(comparison, "LEAVING", frozenset({"index transfer_state"}))
    comparison.check(older)
    with writing(older) as connection:
        assert revision(connection) == "9999"
        connection.execute(text("UPDATE alembic_version SET served = '[\"9998\"]'"))  # and one that no longer does
    with pytest.raises(Ours) as refused:
        migrate(older)
    assert refused.value.code == "journal.schema" and refused.value.facts == {"found": "9999", "expected": newest()}


@BOTH
def test_what_the_release_before_does_not_serve_is_upgraded_while_nothing_runs(
    older: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two releases older: the newer one is told not to serve it."""
    row = (
        "INSERT INTO process (id, kind, pid, host, started, seen, state)"
        " VALUES ('door-1', 'door', 1, 'h', 0, 0, 'alive')"
    )
    monkeypatch.setattr(releases, "BEFORE", since_the_release_before()[0].revision)

    def beaten(_seconds: float) -> None:
        with writing(older) as connection:
            connection.execute(text("UPDATE process SET seen = seen + 1"))

    with writing(older) as connection:
        connection.execute(text(row))
    if older.dialect.name == "postgresql":
        monkeypatch.setattr(time, "sleep", beaten)
        with pytest.raises(Ours) as refused:
            migrate(older)
        assert refused.value.code == "journal.older-runs" and refused.value.facts == {"processes": "door-1 (h)"}
        with older.connect() as connection:
            assert revision(connection) != newest()
        monkeypatch.setattr(time, "sleep", lambda seconds: None)  # one that was killed beats no more
    migrate(older)
    with older.connect() as connection:
        assert revision(connection) == newest()

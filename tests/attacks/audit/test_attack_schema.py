"""An insider who may change the schema: what acts by itself in the database is found at start, within the minute, by
`verify` and by the doctor; and the journal acknowledges nothing that does not stand."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from contracts.base.errors import Failure
from gateway.doctor import examine
from gateway.journal.database import lock_of, migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.schema.comparison import described, differences, expected
from gateway.keeper.tasks.alterations import Alterations
from gateway.registry.registry import Registry
from gateway.registry.seals import accounts
from gateway.transfer import lease as leases
from tests import commandline
from tests.attacks.audit import instances
from tests.attacks.audit.insider import commit, handed_in, sent_on
from tests.attacks.audit.instances import Instance
from tests.journal import databases, schemas

Statements = tuple[str, ...]
_VANISH = (
    "CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE format(''DELETE FROM %I "
    "WHERE ctid = $1'', TG_TABLE_NAME) USING NEW.ctid; RETURN NULL; END'"
)
_GONE = [("transfer", "id"), ("log_pending", "id"), ("feed_pending", "id")]
_ALERTS = (
    "CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM feed_pending WHERE "
    "transfer = NEW.transfer; RETURN NULL; END'"
)

# Name -> what the insider runs, and what of it is named. Of those in VANISH an alert, acknowledged, would not stand.
SQLITE: dict[str, tuple[Statements, str]] = {
    "three triggers": (
        tuple(
            (
                f"CREATE TRIGGER vanish_{table} AFTER INSERT ON {table} BEGIN DELETE FROM {table} WHERE {key} = "
                f"NEW.{key}; END"
            )
            for table, key in _GONE
        ),
        "trigger vanish_feed_pending: added",
    ),
    "a trigger that takes the event": (
        (
            "CREATE TRIGGER vanish AFTER INSERT ON log_pending BEGIN DELETE FROM feed_pending; END",
            "CREATE TRIGGER vanish_late AFTER INSERT ON feed_pending BEGIN DELETE FROM feed_pending; END",
        ),
        "trigger vanish: added",
    ),
    "a trigger that sends another body": (
        (
            "CREATE TRIGGER other AFTER INSERT ON feed_pending BEGIN UPDATE feed_pending SET body_ref = "
            "'another' WHERE id = NEW.id; END",
        ),
        "trigger other: added",
    ),
    "a view in place of a table": (
        (
            "ALTER TABLE feed_pending RENAME TO hidden",
            "CREATE VIEW feed_pending AS SELECT * FROM hidden",
            "CREATE TRIGGER vanish INSTEAD OF INSERT ON feed_pending BEGIN SELECT 1; END",
        ),
        "view feed_pending: added",
    ),
    "a table made anew that forgets": (
        (
            "ALTER TABLE log_pending RENAME TO old",
            "CREATE TABLE log_pending (id INTEGER PRIMARY KEY, transfer TEXT NOT NULL, phase TEXT NOT NULL, "
            "entry BLOB NOT NULL, leaf BLOB NOT NULL,"
            " CONSTRAINT one_phase_pending UNIQUE (transfer) ON CONFLICT REPLACE)",
            "DROP TABLE old",
        ),
        "table log_pending: altered",
    ),
    "a dropped unique index": (("DROP INDEX one_version",), "index one_version: missing"),
    "the schema's own table": (
        (
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_master SET sql = replace(sql, 'leaf BLOB NOT NULL', 'leaf BLOB') WHERE name = 'log_entry'",
        ),
        "table log_entry: altered",
    ),
    "a table of his own": (("CREATE TABLE notes (what TEXT)",), "table notes: added"),
}
POSTGRESQL: dict[str, tuple[Statements, str]] = {
    "three triggers": (
        (
            _VANISH,
            *(
                f"CREATE TRIGGER vanish AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION vanish()"
                for table, _ in _GONE
            ),
        ),
        "trigger feed_pending.vanish: added",
    ),
    "a trigger that waits for the commit": (
        (
            _VANISH,
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON feed_pending DEFERRABLE INITIALLY DEFERRED FOR "
            "EACH ROW EXECUTE FUNCTION vanish()",
        ),
        "trigger feed_pending.late: added",
    ),
    "a rule": (
        ("CREATE RULE vanish AS ON INSERT TO feed_pending DO INSTEAD NOTHING",),
        "rule feed_pending.vanish: added",
    ),
    "a view in place of a table": (
        (
            "ALTER TABLE feed_pending RENAME TO hidden",
            "CREATE VIEW feed_pending AS SELECT * FROM hidden WHERE contract <> 'incident-alert/v1'",
        ),
        "view feed_pending: added",
    ),
    "a row policy": (
        (
            "CREATE POLICY nobody ON feed_pending USING (false)",
            "ALTER TABLE feed_pending ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE feed_pending FORCE ROW LEVEL SECURITY",
        ),
        "policy feed_pending.nobody: added",
    ),
    "a dropped unique constraint": (
        ("ALTER TABLE log_entry DROP CONSTRAINT one_phase",),
        "constraint log_entry.one_phase: missing",
    ),
    "a dropped unique index": (("DROP INDEX one_version",), "index one_version: missing"),
    "a table that a crash empties": (("ALTER TABLE log_pending SET UNLOGGED",), "table log_pending: altered"),
    "another default": (
        ("ALTER TABLE system_key ALTER COLUMN stated SET DEFAULT true",),
        "column system_key.stated: altered",
    ),
    "a child table": (("CREATE TABLE more () INHERITS (system_key)",), "inheritance more of system_key: added"),
    "a function": (
        ("CREATE FUNCTION length(bytea) RETURNS int LANGUAGE sql AS 'SELECT 1'",),
        "function length(bytea): added",
    ),
    "an event trigger": (
        (
            "CREATE FUNCTION blind() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE EVENT TRIGGER blind ON ddl_command_end EXECUTE FUNCTION blind()",
        ),
        "event trigger blind: added",
    ),
    "another schema on the way": (
        (
            "CREATE SCHEMA before",
            "CREATE TABLE before.feed_pending (LIKE public.feed_pending INCLUDING ALL)",
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = before, public', "
            "current_database()); END $$",
        ),
        "table agency: missing",
    ),
}
CASES = [("sqlite", name) for name in SQLITE] + [("postgresql", name) for name in POSTGRESQL]
VANISH = [
    (kind, name)
    for kind, name in CASES
    if name
    in (
        "three triggers",
        "a trigger that takes the event",
        "a trigger that sends another body",
        "a view in place of a table",
        "a table made anew that forgets",
        "a trigger that waits for the commit",
        "a rule",
    )
]


def attack(engine: Engine, kind: str, name: str) -> str:
    """Do it, by a connection of his own; what is to be named."""
    statements, named = (SQLITE if kind == "sqlite" else POSTGRESQL)[name]
    own = open_engine(engine.url.render_as_string(hide_password=False))
    driver = own.raw_connection()
    for statement in statements:
        driver.cursor().execute(statement)
    driver.commit()
    own.dispose()
    engine.dispose()  # who connects from now on sees it, as after the next start
    return named


# --- found ------------------------------------------------------------------------------------------------------------
@pytest.mark.attack("database: a schema that acts by itself")
@pytest.mark.parametrize(("instance", "name"), CASES, indirect=["instance"])
def test_an_altered_schema_is_named_at_start_by_verify_and_by_the_doctor(instance: Instance, name: str) -> None:
    named = attack(instance.engine, instance.engine.dialect.name, name)
    with pytest.raises(Failure) as refused:
        Registry(instance.engine, instance.seal)
    assert refused.value.code == "journal.schema-altered"
    with instance.engine.connect() as connection:
        assert named in [str(each) for each in differences(connection)]
    found = [each for each in examine(instance.settings, time.time) if each.kind.code == "database.altered"]
    assert len(found) == 1 and named in found[0].facts["objects"]
    done = commandline.lgsp("audit", "verify", "--data", str(instance.settings.data), "--json")
    assert done.code == 1 and f"the schema of the database, {named}" in json.loads(done.out)["wrong"], done.out


@pytest.mark.attack("database: a schema that acts by itself")
@pytest.mark.parametrize("instance", databases.KINDS, indirect=True)
def test_a_running_instance_finds_it_within_the_minute(instance: Instance) -> None:
    """The door takes nothing in, the keeper tells the log, once; when it is undone the door goes on, and the log is
    told that too."""
    engine, kind, now = instance.engine, instance.engine.dialect.name, [0.0]
    door = Registry(engine, instance.seal, clock=lambda: now[0])
    with writing(engine) as connection:
        lease = leases.take(connection, "keeper-1", 1.0)
    assert lease is not None
    keeper = Alterations(engine, lock_of(engine), instance.seal, accounts.Seal.of(instance.settings))

    def minute() -> list[Any]:
        now[0] += 61.0
        for _ in range(2):  # what stays as it is, is told once
            asyncio.run(keeper.run_once(lease))
            now[0] += 61.0
        with engine.connect() as connection:
            try:
                door.look_at_schema(connection)
                door.refresh(connection)
            except Failure as failure:
                assert failure.code == "journal.schema-altered"
            rows = connection.execute(
                select(tables.log_pending.c.entry).where(tables.log_pending.c.phase.like("altered%"))
            ).scalars()
            return [json.loads(bytes(each)) for each in rows]

    assert minute() == [] and door.snapshot.systems
    attack(engine, kind, "a dropped unique index")
    assert [each["facts"]["schema"] for each in minute()] == [["index one_version: missing"]]
    with pytest.raises(Failure) as refused:
        door.snapshot  # noqa: B018
    assert refused.value.code == "journal.schema-altered" and refused.value.status == 503
    with writing(engine) as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_version ON bundle (contract, version)"))
    assert [each["what"] for each in minute()] == ["altered", "altered-ended"] and door.snapshot.systems


@pytest.mark.attack("database: a schema that acts by itself")
def test_sqlite_tells_a_door_at_once(base: Path, tmp_path: Path) -> None:
    made = instances.copy("sqlite", base, tmp_path / "data")
    door = Registry(made.engine, made.seal)
    attack(made.engine, "sqlite", "three triggers")
    with made.engine.connect() as connection, pytest.raises(Failure):
        door.look_at_schema(connection)
    with pytest.raises(Failure, match=r"journal\.schema-altered"):
        door.snapshot  # noqa: B018


# --- nothing is acknowledged ------------------------------------------------------------------------------------------
@pytest.mark.attack("database: rows that vanish after they were written")
@pytest.mark.parametrize(("kind", "name"), VANISH)
def test_the_journal_acknowledges_nothing_that_does_not_stand(kind: str, name: str, tmp_path: Path) -> None:
    engine = databases.migrated(kind, tmp_path)
    commit(engine, [handed_in("door-1"), sent_on("door-1")])
    attack(engine, kind, name)
    with pytest.raises(Failure) as refused:
        commit(engine, [handed_in("door-1")])
    assert refused.value.code in ("journal.altered", "journal.row-refused", "journal.unavailable")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM transfer")) == 2, "nothing of the batch was kept"
    engine.dispose()


# --- what is no finding -----------------------------------------------------------------------------------------------
def test_the_reference_is_what_the_migrations_make(tmp_path: Path) -> None:
    """`python -m tests.journal.schemas` makes it anew."""
    for kind in databases.KINDS:
        assert dict(expected(kind)) == schemas.made(kind, tmp_path), kind
    assert expected("revision") == {"alembic": databases.newest()}


@pytest.mark.parametrize("kind", databases.KINDS)
@pytest.mark.parametrize("older", ["0001", "0005"])
def test_a_database_of_an_older_release_compares_equal(kind: str, older: str, tmp_path: Path) -> None:
    from gateway.journal.database import upgrade

    engine = open_engine(databases.fresh_url(kind, tmp_path))
    with writing(engine) as connection:
        upgrade(connection, older)
    migrate(engine)
    with engine.connect() as connection:
        if kind == "sqlite":
            connection.exec_driver_sql("ANALYZE")  # its statistics are SQLite's own
        assert differences(connection) == []
    engine.dispose()


@pytest.mark.parametrize("kind", databases.KINDS)
def test_of_a_newer_release_only_what_acts_by_itself_is_a_finding(kind: str, tmp_path: Path) -> None:
    """Two releases run on one schema; the older one does not know what the newer one added."""
    engine = databases.migrated(kind, tmp_path)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("CREATE TABLE more (id INTEGER PRIMARY KEY)"))
        connection.execute(text("ALTER TABLE transfer ADD COLUMN more TEXT"))
        assert differences(connection) == []
    attack(engine, kind, "three triggers")
    with engine.connect() as connection:
        assert {each.what.split()[0] for each in differences(connection)} == {"trigger"} | (
            {"function"} if kind == "postgresql" else set()
        )
    engine.dispose()


def test_other_schemas_and_extensions_of_the_same_database_are_not_ours(tmp_path: Path) -> None:
    engine = databases.migrated("postgresql", tmp_path)
    with writing(engine) as connection:
        connection.execute(text("CREATE SCHEMA theirs"))
        connection.execute(text("CREATE TABLE theirs.agency (code TEXT)"))
        connection.execute(text("CREATE VIEW theirs.seen AS SELECT 1 AS one"))
        assert differences(connection) == [] and len(described(connection)) == len(expected("postgresql"))
    engine.dispose()

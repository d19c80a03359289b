"""`lgsp schema back`: the database for a program that does not start on this schema."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from contracts.base.errors import Ours, Theirs
from gateway.backup.schema_back import bring_back, planned, to_take_out
from gateway.journal import processes, releases
from gateway.journal.database import migrate, revision, writing
from gateway.journal.schema import tables
from gateway.journal.schema.comparison import described
from gateway.settings import Settings
from tests.journal.databases import newest

RELEASE = next(reversed(releases.HEADS))


def test_what_was_added_is_counted_logged_and_dropped(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _described(database)
    with writing(database) as connection:
        connection.execute(text("INSERT INTO vault_key_digest (id, digest) VALUES ('2026-11-28.standard', '00')"))
    processes.register(database, "door-1", "door")
    lost = planned(database, RELEASE).lost
    assert (lost["vault_key_digest"], lost["process.version"], lost["process.heard"]) == (1, 1, 0)
    assert not [each for each in lost if each.startswith(("vault_key_digest.", "alembic", "transfer"))]
    assert _described(database) == before, "a plan changes nothing"
    if database.dialect.name == "postgresql":

        def beaten(_seconds: float) -> None:
            with writing(database) as connection:
                connection.execute(text("UPDATE process SET seen = seen + 1"))

        monkeypatch.setattr(time, "sleep", beaten)
        with pytest.raises(Ours) as refused:
            bring_back(database, RELEASE, "it failed in the night", 1.0, "lan")
        assert refused.value.code == "journal.newer-runs" and _described(database) == before
        with writing(database) as connection:  # as a process of the older program: it may run
            connection.execute(text("UPDATE process SET version = NULL"))
    processes.end(database, "door-1")
    done = bring_back(database, RELEASE, "it failed in the night", 1.0, "lan")
    with database.connect() as connection:
        entry = json.loads(connection.scalar(select(tables.log_pending.c.entry)) or b"")
        assert revision(connection) == releases.HEADS[RELEASE] == done.to
    assert (entry["what"], entry["actor"], entry["facts"]["release"]) == ("schema-back", "lan", RELEASE)
    assert entry["facts"]["lost"] == dict(done.lost) and entry["facts"]["reason"] == "it failed in the night"
    assert bring_back(database, RELEASE, "and once more", 1.0, "lan").lost == {}
    migrate(database)
    assert _described(database) == before and done.found == newest()


def test_settings_that_the_release_refuses_are_named_and_a_second_store_of_keys_is_first_given_up(
    tmp_path: Path,
) -> None:
    assert to_take_out(Settings(tmp_path, machine="may-1", standby="required"), RELEASE) == ["machine", "standby"]
    assert to_take_out(Settings(tmp_path), RELEASE) == []
    with pytest.raises(Theirs) as refused:
        to_take_out(Settings(tmp_path, vault_database="postgresql://localhost/keys"), RELEASE)
    assert refused.value.code == "backup.vault-database" and "vault move folder" in refused.value.next("vi")


def _described(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return described(connection)

"""`lgsp schema back`: the database for a program that does not start on this schema."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from contracts.base.errors import Ours, Theirs
from gateway.backup.schema_back import bring_back, planned, to_take_out
from gateway.journal import processes, releases
from gateway.journal.database import migrate, revision, writing
from gateway.journal.schema import tables
from gateway.journal.schema.comparison import described
from gateway.machines import agreeing
from gateway.settings import Settings
from tests.journal.databases import newest

RELEASE = next(reversed(releases.HEADS))


def test_what_was_added_is_counted_logged_and_dropped(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _described(database)
    with writing(database) as connection:
        connection.execute(text("INSERT INTO vault_key_digest (id, digest) VALUES ('2026-11-28.standard', '00')"))
        for issuer in ("tls", "vendors", "vendors-1"):
            row = {"issuer": issuer, "number": 1, "this_update": 1.0, "next_update": 2.0, "crl": b"x"}
            connection.execute(tables.revocation_list.insert().values(row))
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
        assert list(connection.scalars(select(tables.revocation_list.c.issuer))) == ["tls"]
        assert revision(connection) == releases.HEADS[RELEASE] == done.to
    assert (entry["what"], entry["actor"], entry["facts"]["release"]) == ("schema-back", "lan", RELEASE)
    assert entry["facts"]["lost"] == dict(done.lost) and entry["facts"]["reason"] == "it failed in the night"
    assert bring_back(database, RELEASE, "and once more", 1.0, "lan").lost == {}
    migrate(database)
    assert _described(database) == before and done.found == newest()


def test_settings_that_the_release_refuses_are_named_and_a_second_store_of_keys_is_first_given_up(
    sqlite: Engine, tmp_path: Path
) -> None:
    here = Settings(tmp_path, machine="may-1", standby="required")
    assert to_take_out(here, sqlite, RELEASE) == ["machine", "standby"]
    assert to_take_out(Settings(tmp_path), sqlite, RELEASE) == []

    def refused(settings: Settings) -> str:
        with pytest.raises(Theirs) as caught:
            to_take_out(settings, sqlite, RELEASE)
        assert caught.value.code == "backup.vault-database" and "vault move folder" in caught.value.next("vi")
        return str(caught.value.facts["machines"])

    assert refused(replace(here, vault_database="postgresql://localhost/keys")) == "may-1"
    with writing(sqlite) as connection:
        for machine in ("may-2", "may-3"):
            agreeing.keep_store(connection, machine, second=True)
        agreeing.keep_store(connection, "may-3", second=False)
    assert refused(here) == "may-2", "its keys would be made anew by the older release"


def _described(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return described(connection)

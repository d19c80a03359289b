"""The doctor finds keys that came back, keys that lie with the database, keys that are missing, and retention that
nobody keeps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.doctor.vault import key_copies, vault
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.settings import BadSetting, Settings, load
from gateway.vault.vault import Vault

NOW = 1_795_500_000.0
DAY = 86_400.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An instance whose vault holds one body, with a copy of its key."""
    made = Settings(tmp_path / "data", kind="production", vault_backup=str(tmp_path / "apart" / "copies"))
    made.data.mkdir()
    engine = open_engine(made.database_url)
    migrate(engine)
    kept = Vault(made.vault_keys, copies=made.vault_copies)
    with writing(engine) as connection:
        connection.execute(insert(tables.vault).values(**kept.seal("t-1", "request", b"body", NOW)._asdict()))
    kept.keys.copy(NOW)
    return made


def codes(settings: Settings, now: float = NOW) -> set[str]:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        return {each.kind.code for each in (*vault(settings, connection, now), *key_copies(settings))}


def put_back(settings: Settings) -> None:
    assert settings.vault_copies is not None
    kept = Vault(settings.vault_keys, copies=settings.vault_copies)
    shutil.copytree(settings.vault_copies, settings.data / "kept")
    kept.destroy("2026-11-24.m24", NOW)
    shutil.copytree(settings.data / "kept", settings.vault_copies, dirs_exist_ok=True)


def dumped(settings: Settings) -> None:
    assert settings.vault_copies is not None
    (settings.vault_copies.parent / "nightly.dump").write_bytes(b"PGDMP\x01\x0e")


def lost(settings: Settings) -> None:
    (settings.vault_keys / "2026-11-24.m24.key").unlink()


def odd(settings: Settings) -> None:
    (settings.vault_keys / "9999-12-31.short.key").write_bytes(bytes(32))
    (settings.vault_keys / "mine.key").write_bytes(bytes(32))


CASES: dict[str, Callable[[Settings], Settings | None]] = {
    "vault.destroyed-back": put_back,
    "vault.copies-with-database": dumped,
    "vault.no-copies": lambda s: replace(s, vault_backup=""),
    "vault.key-missing": lost,
    "vault.odd-files": odd,
}


def test_a_sound_key_store_has_nothing_to_mend(settings: Settings) -> None:
    assert codes(settings) == set()
    assert codes(settings, NOW + 740 * DAY) == {"vault.clock"}
    with writing(open_engine(settings.database_url)) as connection:
        rows = [
            {
                "idx": day,
                "transfer": f"t-{day}",
                "phase": "start",
                "entry": b"{}",
                "leaf": b"",
                "sequenced": NOW + (736.5 + day) * DAY,
            }
            for day in range(4)
        ]
        connection.execute(insert(tables.log_entry), rows)
    assert codes(settings, NOW + 740 * DAY) == {"vault.overdue"}
    Vault(settings.vault_keys, copies=settings.vault_copies).destroy("2026-11-24.m24", NOW)
    assert codes(settings, NOW + 740 * DAY) == set()


@pytest.mark.parametrize("code", CASES)
def test_what_is_weak_is_named(code: str, settings: Settings) -> None:
    assert codes(CASES[code](settings) or settings) == {code}


def test_copies_beside_the_instances_own_database_are_refused_or_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="vault_backup"):
        load(settings.data, {"LGSP_VAULT_BACKUP": str(settings.data / "copies")})
    with pytest.raises(BadSetting, match="vault_backup_days"):
        load(settings.data, {"LGSP_VAULT_BACKUP_DAYS": "0"})
    shutil.copy(settings.data / "lgsp.db", tmp_path / "apart" / "lgsp.db")
    assert codes(settings) == {"vault.copies-with-database"}

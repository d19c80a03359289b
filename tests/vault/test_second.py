"""The second database: other people's are refused, an absent one stops only what needs a key that is not in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from contracts.base.errors import Ours
from gateway.audit.log.head import LogHead
from gateway.audit.log.logkey import LogKey
from gateway.doctor.vault import vault as examined
from gateway.doors.health import Vitals
from gateway.doors.metrics import Standing
from gateway.doors.metrics import text as metrics
from gateway.registry.registry import Registry
from gateway.settings import BadSetting, Settings, load
from gateway.vault import stores
from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.second import Second, sealer_of
from gateway.vault.vault import Vault
from tests.journal.databases import frozen
from tests.vault.stores import HASH_KEY, Machines, second  # noqa: F401  a fixture

NOW = 1_795_500_000.0
DAY = 86_400.0
KEY = "2026-11-24.m24"


def code(call: Callable[..., object], *given: object) -> str:
    with pytest.raises(Ours) as caught:
        call(*given)
    return caught.value.code


def trouble(vault: Vault) -> str | None:
    return vault.keys.trouble


def edited(machines: Machines, *statements: str) -> None:
    engine = create_engine(make_url(machines.url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))
    engine.dispose()


def settings_of(folder: Path, address: str) -> Settings:
    made = Settings(folder / "data", vault_database=address)
    made.keys.mkdir(parents=True, exist_ok=True)
    (made.keys / "hash.key").write_bytes(HASH_KEY)
    return made


def test_the_main_database_is_refused(database: Engine, tmp_path: Path) -> None:
    here = str(tmp_path / "data")
    one = "postgresql://lgsp@db:5432/lgsp"
    for other in ("postgresql+psycopg://else:word@db/lgsp?sslmode=require", one):
        with pytest.raises(BadSetting, match="main database"):
            load(tmp_path, {"LGSP_DATABASE": one, "LGSP_VAULT_DATABASE": other})
    with pytest.raises(BadSetting, match="PostgreSQL"):
        load(tmp_path, {"LGSP_VAULT_DATABASE": f"sqlite:///{here}"})
    apart = load(tmp_path, {"LGSP_DATABASE": one, "LGSP_VAULT_DATABASE": "postgresql://lgsp@db/lgsp_vault"})
    assert stores.shared(apart) and not stores.shared(Settings(tmp_path))
    if database.dialect.name == "postgresql":  # under a name that does not show it
        address = database.url.render_as_string(hide_password=False)
        keys = DatabaseKeys(Second(address, sealer_of(HASH_KEY), 5.0), folder=tmp_path)
        assert code(keys.make, KEY) == "vault.same-database"
        with database.connect() as connection:
            found = examined(settings_of(tmp_path, address), connection, NOW)
            assert [each.kind.code for each in found] == ["vault.database"]
        keys.close()


def test_another_instance_reads_nothing(second: Machines) -> None:  # noqa: F811
    second.keys().make(KEY)
    other = DatabaseKeys(Second(second.url, sealer_of(b"o" * 32), 5.0), folder=second.folder)
    assert code(other.load, KEY) == code(other.make, "2026-11-25.m24") == "vault.store-other"
    other.close()


def test_rows_edited_swapped_or_put_back_open_nothing(second: Machines, database: Engine) -> None:  # noqa: F811
    """Whoever has the second database, and neither `hash.key` nor the main database."""
    keys = second.keys()
    ids = [f"2026-11-2{day}.m24" for day in range(4)]
    for each in ids:
        keys.make(each)
    edited(
        second,
        "CREATE TABLE kept AS SELECT * FROM vault_key",
        f"UPDATE vault_key SET sealed = (SELECT sealed FROM kept WHERE id = '{ids[1]}') WHERE id = '{ids[0]}'",
        f"UPDATE vault_key SET sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1) WHERE id = '{ids[1]}'",
        f"UPDATE vault_key SET sealed = decode(repeat('00', 32), 'hex') WHERE id = '{ids[2]}'",
    )
    fresh = second.keys()
    assert [code(fresh.load, each) for each in ids[:3]] == ["vault.broken"] * 3
    fresh.destroy(ids[3], NOW)
    edited(second, f"INSERT INTO vault_key SELECT * FROM kept WHERE id = '{ids[3]}'")
    assert code(second.keys().load, ids[3]) == code(second.keys().make, ids[3]) == "vault.expired"
    edited(second, "DELETE FROM vault_key_destroyed")  # as a restored copy of this database has it
    with database.begin() as connection:
        connection.execute(
            text("INSERT INTO vault_destroyed (key_id, began, destroyed, bodies, bytes) VALUES (:id, 1, 2, 0, 0)"),
            {"id": ids[3]},
        )
    restored = second.keys(main=database)
    assert code(restored.load, ids[3]) == code(restored.make, ids[3]) == "vault.expired"


def test_a_destroyed_key_leaves_the_memory_of_other_machines(second: Machines) -> None:  # noqa: F811
    here, there = Vault(second.keys()), Vault(second.keys())
    row = here.seal("t", "request", b"body", NOW)
    assert there.unseal(row) == b"body"
    here.destroy(row.key_id, NOW)
    assert code(here.unseal, row) == "vault.expired"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            there.unseal(row)
        except Ours as failure:
            assert failure.code == "vault.expired"
            break
        time.sleep(0.1)
    else:
        raise AssertionError("it still opens")
    there.forget_gone()
    assert not there._cache and not there._sealing


def test_a_frozen_second_database_stops_only_what_needs_a_new_key(second: Machines) -> None:  # noqa: F811
    vault = Vault(DatabaseKeys(Second(second.url, sealer_of(HASH_KEY), 1.0), folder=second.folder))
    row = vault.seal("t", "request", b"body", NOW)
    with frozen():
        longest = 0.0
        for number in range(6):
            began = time.monotonic()
            assert code(vault.seal, "t", "request", b"body", NOW + DAY) == "vault.unavailable"
            longest = max(longest, time.monotonic() - began)
            again = vault.seal("t", f"answer-{number}", b"body", NOW)
            assert vault.unseal(again) == vault.unseal(row) == b"body"
            vault.forget_gone()
        assert trouble(vault) == "vault.unavailable" and longest < 30.0
    until = time.monotonic() + 60
    while trouble(vault) is not None and time.monotonic() < until:
        time.sleep(0.1)
    assert trouble(vault) is None, "it comes back by itself"
    assert vault.unseal(vault.seal("t", "request", b"new", NOW + DAY)) == b"new"


async def test_the_metrics_say_whether_it_answers(second: Machines, sqlite: Engine) -> None:  # noqa: F811
    store = Second(second.url, sealer_of(HASH_KEY), 0.5)
    vitals = Vitals(sqlite, Registry(sqlite), second=store)

    async def told() -> str:
        up = await vitals.second_up()
        lines = metrics(Standing(True, None, None, None, NOW, second_up=up)).decode().splitlines()
        return next(line for line in lines if line.startswith("lgsp_vault_database_up "))

    assert await told() == "lgsp_vault_database_up 1.0"
    with frozen():
        assert await told() == "lgsp_vault_database_up 0.0"
    until = time.monotonic() + 60
    while await told() != "lgsp_vault_database_up 1.0" and time.monotonic() < until:
        await asyncio.sleep(0.1)
    assert await told() == "lgsp_vault_database_up 1.0", "by itself"
    store.dispose()
    assert await Vitals(sqlite, Registry(sqlite)).second_up() is None
    assert b"lgsp_vault_database_up" not in metrics(Standing(True, None, None, None, NOW))


def test_the_store_of_the_settings(second: Machines, sqlite: Engine) -> None:  # noqa: F811
    settings = settings_of(second.folder, second.url)
    first = stores.open_vault(settings, sqlite)
    row = first.seal("t", "request", b"body", NOW)
    assert stores.open_vault(settings, sqlite).keys is first.keys, "one store a process"
    assert stores.open_vault(settings, None).unseal(row) == b"body"
    assert not list(settings.data.rglob("*.m24*"))
    folder = stores.open_vault(replace(settings, vault_database=""), sqlite)
    assert code(folder.unseal, row) == "vault.key-missing"
    stores.opened(settings, None).close()


def test_the_doctor_names_a_head_that_is_ahead_and_what_the_server_keeps(
    second: Machines,  # noqa: F811
    sqlite: Engine,
    tmp_path: Path,
) -> None:
    settings = settings_of(second.folder, second.url)
    stores.open_vault(settings, sqlite).seal("t", "request", b"body", NOW)

    def found() -> dict[str, dict[str, object]]:
        with sqlite.connect() as connection:
            return {each.kind.code: dict(each.facts) for each in examined(settings, connection, NOW)}

    assert set(found()) == {"vault.keeps"} and "wal_recycle = on" in str(found()["vault.keeps"]["what"])
    note = LogKey.open(tmp_path / "log.key", settings.origin).sign(7, bytes(32))
    LogHead(stores.opened(settings, None).second, settings.origin).advance(note)
    until = time.monotonic() + 30
    while "log.head-ahead" not in found() and time.monotonic() < until:
        time.sleep(0.1)
    assert found()["log.head-ahead"] == {"head": 7, "size": 0}
    stores.opened(settings, None).close()

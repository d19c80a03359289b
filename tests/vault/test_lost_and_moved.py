"""A lost key stops sealing until a person says that it is lost; moving the keys loses none, killed or not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from contracts.base.errors import Failure
from gateway.backup.schema_back import to_take_out
from gateway.backup.vault_move import move
from gateway.doctor.vault import vault as examined
from gateway.journal.append import append
from gateway.journal.schema import tables
from gateway.keeper.retention import holds
from gateway.keeper.retention.elsewhere import Elsewhere
from gateway.keeper.retention.lost import state_lost
from gateway.settings import Settings
from gateway.settings.saving import save
from gateway.transfer import entries
from gateway.vault.classes import KeyName
from gateway.vault.key_digests import KeyDigests
from gateway.vault.keystore import KeyStore
from gateway.vault.vault import Vault
from tests.journal.databases import migrated
from tests.vault.stores import HASH_KEY, Machines, machines, second  # noqa: F401  fixtures

NOW = 1_795_500_000.0
DAY = 86_400.0
KEY = "2026-11-24.m24"
REASON = "disk of the only machine broke"


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Engine]:
    engine = migrated("postgresql", tmp_path)
    yield engine
    engine.dispose()


def code(call: object, *given: object) -> str:
    with pytest.raises(Failure) as caught:
        call(*given)  # type: ignore[operator]
    return caught.value.code


def test_ids_of_the_next_key_of_a_day() -> None:
    name = KeyName.of(f"{KEY}~2")
    assert name is not None and (name.retention, name.hold, name.day) == ("m24", None, KeyName.of(KEY).day)  # type: ignore[union-attr]
    held = KeyName.of(f"{KEY}.vu-1~13")
    assert held is not None and held.hold == "vu-1" and held.due == name.due
    assert holds.key_of(f"{KEY}~2", "vu-1") == f"{KEY}.vu-1"
    assert [KeyName.of(f"{KEY}~{end}") for end in ("", "0", "a", "1000", "2~2")] == [None] * 5


def test_a_lost_key_is_stated_and_sealing_goes_on(machines: Machines, postgresql: Engine, tmp_path: Path) -> None:  # noqa: F811
    keys, digests = machines.keys(), KeyDigests(postgresql)
    row = Vault(keys, digests=digests).seal("t", "request", b"body", NOW)
    with postgresql.begin() as connection:
        connection.execute(insert(tables.vault).values(row._asdict()))
    assert code(state_lost, postgresql, keys, KEY, REASON, "lan", NOW) == "vault.key-stands"
    keys.drop(KEY)

    def machine() -> Vault:
        return Vault(machines.keys(), digests=digests)

    assert code(machine().seal, "u", "request", b"body", NOW) == "vault.key-differs"
    assert code(state_lost, postgresql, keys, KEY, "short", "lan", NOW) == "vault.no-reason"
    assert code(state_lost, postgresql, keys, "2026-11-23.m24", REASON, "lan", NOW) == "vault.key-unknown"
    assert state_lost(postgresql, keys, KEY, REASON, "lan", NOW) == 1
    assert state_lost(postgresql, keys, KEY, REASON, "lan", NOW + 1) == 1
    with postgresql.connect() as connection:
        (note,) = connection.scalars(select(tables.log_pending.c.entry))
        assert b'"what":"vault-lost"' in bytes(note) and KEY.encode() in bytes(note)
    here, there = machine(), machine()
    new = here.seal("u", "request", b"body", NOW)
    assert new.key_id == f"{KEY}~2" == there.seal("v", "request", b"other", NOW).key_id
    assert there.unseal(new) == b"body" and code(there.unseal, row) == "vault.key-lost"
    again = here.reseal(new, f"{KEY}.vu-1")
    assert again.key_id == f"{KEY}.vu-1" and there.unseal(again) == b"body"
    with postgresql.connect() as connection:
        assert here.open_many(connection, ["t/request"]) == {"t/request": None}
        settings = Settings(tmp_path / "data", vault_backup=str(tmp_path / "c"))
        if machines.kind == "folder":
            shutil.copytree(tmp_path / "keys", settings.vault_keys)
            assert [each.kind.code for each in examined(settings, connection, NOW)] == ["vault.key-lost"]
    machines.keys().drop(f"{KEY}~2")
    state_lost(postgresql, machines.keys(), f"{KEY}~2", REASON, "lan", NOW)
    assert machine().seal("w", "request", b"body", NOW).key_id == f"{KEY}~3"


def instance(folder: Path, engine: Engine) -> Settings:
    made = Settings(folder / "data", database=engine.url.render_as_string(hide_password=False))
    made.keys.mkdir(parents=True)
    (made.keys / "hash.key").write_bytes(HASH_KEY)
    save(made)
    return made


def filled(settings: Settings, engine: Engine, count: int) -> dict[str, bytes]:
    """Keys of the folder, each recorded; the first was destroyed."""
    keys, digests = KeyStore(settings.vault_keys), KeyDigests(engine)
    ids = [f"2026-10-{day + 1:02}.m24" for day in range(count)]
    for each in ids:
        keys.make(each)
        digests.confirm(each, keys.load(each))
    made = {each: keys.load(each) for each in ids}
    keys.destroy(ids[0], NOW)
    del made[ids[0]]
    return made


def loaded(settings: Settings) -> Settings:
    from gateway import settings as module

    return module.load(settings.data, {})


def test_moved_there_and_back(second: Machines, postgresql: Engine, tmp_path: Path) -> None:  # noqa: F811
    settings = instance(tmp_path, postgresql)
    made, by = filled(settings, postgresql, 6), ("lan", True)
    moved = move(settings, True, second.url, NOW, by)
    assert (moved.keys, moved.destroyed) == (5, 5) and not KeyStore(settings.vault_keys).names()
    there = loaded(settings)
    assert there.vault_database == second.url
    assert code(to_take_out, settings, postgresql, "0.2.0") == "backup.vault-database", "a machine's keys are there"
    keys = second.keys()
    assert {name.id: keys.load(name.id) for name in keys.names()} == made
    assert keys.ended("2026-10-01.m24") is not None
    assert move(there, True, second.url, NOW, by).keys == 0, "a second time there is nothing to do"
    back = move(there, False, second.url, NOW, ("lan", False))
    assert (back.keys, back.destroyed) == (5, 0) and loaded(settings).vault_database == ""
    assert "vault_database" not in (settings.data / "settings.yaml").read_text("utf-8"), "0.2.0 would refuse the name"
    assert to_take_out(loaded(settings), postgresql, "0.2.0") == []
    assert dict(KeyStore(settings.vault_keys).forms()) == made and len(second.keys().names()) == 5
    assert move(loaded(settings), False, second.url, NOW, by).destroyed == 5 and second.keys().names() == []


def test_a_key_that_differs_is_not_moved(second: Machines, postgresql: Engine, tmp_path: Path) -> None:  # noqa: F811
    settings = instance(tmp_path, postgresql)
    made = filled(settings, postgresql, 3)
    last = max(made)
    second.keys().put(last, bytes(32))
    assert code(move, settings, True, second.url, NOW, ("lan", True)) == "vault.key-differs"
    assert dict(KeyStore(settings.vault_keys).forms()) == made and loaded(settings).vault_database == ""
    (settings.vault_keys / f"{last}.key").write_bytes(b"x" * 32)
    assert code(move, settings, True, second.url, NOW, ("lan", True)) == "vault.key-differs"


def test_not_while_other_machines_run(second: Machines, postgresql: Engine, tmp_path: Path) -> None:  # noqa: F811
    from gateway.journal import processes

    settings = instance(tmp_path, postgresql)
    processes.register(postgresql, "door-1", "door")
    assert code(move, settings, True, second.url, NOW, ("lan", False)) == "backup.others-run"


_KILLED = """
import sys, time
from pathlib import Path
from gateway import settings
from gateway.backup.vault_move import move
print("begins", flush=True)
move(settings.load(Path(sys.argv[1]), {}), True, sys.argv[2], 1_795_500_000.0, ("lan", True))
print("ended", flush=True)
"""


def test_killed_at_any_moment_it_is_completed(second: Machines, postgresql: Engine, tmp_path: Path) -> None:  # noqa: F811
    settings = instance(tmp_path, postgresql)
    made = filled(settings, postgresql, 28)
    for wait in (0.0, 0.02, 0.05, 0.1, 0.2):
        child = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(settings.data), second.url], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None and child.stdout.readline() == "begins\n"
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        either = dict(KeyStore(settings.vault_keys).forms())
        store = second.keys()
        either |= {name.id: store.load(name.id) for name in store.names()}
        assert either == made, "each key is in one of the stores at least"
    move(loaded(settings), True, second.url, NOW, ("lan", True))
    store = second.keys()
    assert {name.id: store.load(name.id) for name in store.names()} == made
    assert not KeyStore(settings.vault_keys).names() and loaded(settings).vault_database == second.url


_DESTROYS = """
import sys
from pathlib import Path
from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.second import Second, sealer_of
keys = DatabaseKeys(Second(sys.argv[1], sealer_of(b"h" * 32), 5.0), folder=Path(sys.argv[2]), copies=Path(sys.argv[3]))
print("begins", flush=True)
keys.destroy(sys.argv[4], 1_795_500_000.0)
"""


@pytest.mark.full
def test_killed_while_destroying_the_next_run_completes_it(second: Machines, tmp_path: Path) -> None:  # noqa: F811
    copies = tmp_path / "copies"
    keys = second.keys(copies)
    ids = [f"2026-10-{day:02}.m24" for day in range(1, 6)]
    for each in ids:
        keys.make(each)
    keys.copy(NOW)
    for wait, each in zip((0.0, 0.01, 0.02, 0.04, 0.08), ids, strict=True):
        given = [second.url, str(tmp_path / "none"), str(copies), each]
        child = subprocess.Popen([sys.executable, "-c", _DESTROYS, *given], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdout.readline() == "begins\n"
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        later = second.keys(copies)
        later.destroy(each, NOW)
        assert code(later.load, each) == code(later.make, each) == "vault.expired"
        assert not later.stands(each) and not later.copies_of(each)


def test_another_machine_loses_its_copies_and_what_a_move_left(
    second: Machines,  # noqa: F811
    postgresql: Engine,
    tmp_path: Path,
) -> None:
    here, there = (second.keys(tmp_path / name / "copies", postgresql, machine=name) for name in ("here", "there"))
    here.make(KEY)
    secret = here.load(KEY)
    KeyStore(tmp_path / "there" / "keys").put(KEY, secret)
    assert here.copy(NOW) == there.copy(NOW) == 1
    here.destroy(KEY, NOW)
    assert there.copies_of(KEY) and here.copies_of(KEY) == []
    due = KeyName.of(KEY).due or 0.0  # type: ignore[union-attr]

    def look() -> None:
        Elsewhere(postgresql, Vault(there), 7, lambda: due).look()

    look()
    assert there.copies_of(KEY), "the main database does not say yet that it is destroyed"
    with postgresql.begin() as connection:
        row = {"key_id": KEY, "began": NOW, "destroyed": NOW, "bodies": 0, "bytes": 0}
        connection.execute(insert(tables.vault_destroyed).values(row))
    look()
    assert there.copies_of(KEY), "a row alone ends nothing"
    with postgresql.begin() as connection:
        append(connection, [entries.note("retention", {"key": KEY, "step": "begun"}, due, actor="gateway")])
    look()
    assert not there.copies_of(KEY)
    assert not any(secret in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_two_machines_make_the_key_of_the_day_at_once(second: Machines, postgresql: Engine) -> None:  # noqa: F811
    import threading

    barrier, rows = threading.Barrier(4), []
    vaults = [Vault(second.keys(main=postgresql), digests=KeyDigests(postgresql)) for _ in range(4)]

    def work(vault: Vault) -> None:
        barrier.wait()
        rows.append(vault.seal("t", "request", b"body", NOW))

    threads = [threading.Thread(target=work, args=(each,)) for each in vaults]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(rows) == 4 and all(vault.unseal(row) == b"body" for vault in vaults for row in rows)

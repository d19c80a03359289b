"""Bodies open only as what they were sealed as; keys stand outside the database, agree between processes, and end
retention."""

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from contracts.base.errors import Ours
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow
from gateway.vault.vault import Vault

NOW = 1_795_500_000.0
DAY = 86_400.0


def store(engine: Engine, *rows: VaultRow) -> None:
    with engine.begin() as connection:
        for row in rows:
            connection.execute(
                insert(tables.vault).values(id=row.id, key_id=row.key_id, size=row.size, sealed=row.sealed)
            )


@pytest.mark.parametrize("plain", [b"", "cảnh báo lũ".encode(), bytes(200_000)])
def test_sealed_and_opened(database: Engine, tmp_path: Path, plain: bytes) -> None:
    vault = Vault(tmp_path / "keys")
    row = vault.seal("t-1", "request", plain, NOW)
    assert (row.id, row.size) == ("t-1/request", len(plain)) and (not plain or plain not in row.sealed)
    store(database, row)
    with database.connect() as connection:
        assert Vault(tmp_path / "keys").open(connection, "t-1/request") == plain
        assert vault.open_many(connection, ["t-1/request", "t-1/none"]) == {"t-1/request": (plain, None)}
        with pytest.raises(Ours) as caught:
            vault.open(connection, "t-1/none")
    assert caught.value.code == "vault.not-found"


def test_a_body_in_anothers_place_or_changed_does_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    row = vault.seal("t-1", "request", b"body", NOW)
    moved = VaultRow("t-2/request", row.key_id, row.size, row.sealed)
    flipped = VaultRow(row.id, row.key_id, row.size, row.sealed[:-1] + bytes([row.sealed[-1] ^ 1]))
    shorter = VaultRow(row.id, row.key_id, row.size + 1, row.sealed)
    for bad in (moved, flipped, shorter):
        with pytest.raises(Ours) as caught:
            vault.unseal(bad)
        assert caught.value.code == "vault.broken"


@pytest.mark.parametrize("plain", [b"", b"body", bytes(200_000)])
def test_what_is_bound_opens_with_its_binding_alone(database: Engine, tmp_path: Path, plain: bytes) -> None:
    vault, bound, other = Vault(tmp_path), b"b" * 32, b"c" * 32
    row = vault.seal("t-1", "request", plain, NOW, bound=bound)
    store(database, row)
    with database.connect() as connection:
        assert vault.open_bound(connection, row.id) == (plain, bound) and vault.open(connection, row.id) == plain
        meta = vault.meta(connection, row.id)
        assert meta is not None and b"".join(vault.pieces(connection, meta)) == plain
        assert b"".join(vault.pieces(connection, meta, min(2, len(plain)), 70_000)) == plain[2:70_000]
    again = vault.reseal(row, "2026-11-24.m24.hold")
    assert vault.unseal_bound(again) == (plain, bound)
    plainly = vault.seal("t-1", "request", plain, NOW)
    bare, changed = row.sealed[33:], row.sealed[:1] + other + row.sealed[33:]
    added = row.sealed[:33] + plainly.sealed
    for bad in (bare, changed, added):
        with pytest.raises(Ours) as caught:
            vault.unseal(row._replace(sealed=bad))
        assert caught.value.code == "vault.broken"


def test_a_key_a_day_for_its_owner_alone(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "keys", "long")
    ids = {vault.seal("t", "p", b"", NOW + day * DAY).key_id for day in (0, 0.4, 1, 0)}
    assert len(ids) == 2 and all(id.endswith(".long") for id in ids)
    files = sorted(path.name for path in (tmp_path / "keys").iterdir())
    assert files == sorted(f"{id}.key" for id in ids)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_many_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    rows: list[VaultRow] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        vault = Vault(tmp_path / "keys")
        barrier.wait()
        rows.append(vault.seal(f"t-{number}", "p", b"body", NOW))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = Vault(tmp_path / "keys")
    assert [fresh.unseal(row) for row in rows] == [b"body"] * 8
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_destroying_the_key_ends_the_retention(database: Engine, tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    old, new = vault.seal("t-1", "p", b"old", NOW), vault.seal("t-2", "p", b"new", NOW + DAY)
    store(database, old, new)
    vault.destroy(old.key_id, NOW)
    with database.connect() as connection:
        assert vault.open_many(connection, [old.id, new.id]) == {old.id: None, new.id: (b"new", None)}
        with pytest.raises(Ours) as caught:
            vault.open(connection, old.id)
    assert caught.value.code == "vault.expired"


def test_a_key_id_of_the_database_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(bytes(32))
    with pytest.raises(Ours) as caught:
        Vault(tmp_path / "keys").unseal(VaultRow("a/b", "../secret", 1, b"x"))
    assert caught.value.code == "vault.broken"

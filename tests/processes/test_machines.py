"""Two machines on one PostgreSQL, each with its folder: they seal with the same keys, and are of one instance."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from contracts.base.errors import Failure, Ours
from gateway.audit.log.checkpoints import CheckpointFile, size_of
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.witnessing.admission import WITNESSES, AdmissionCheck, AdmissionDeadline
from gateway.audit.witnessing.sharing import KEY, Follower, share
from gateway.cli.audit import readable
from gateway.doctor.vault import vault as examined
from gateway.journal import processes
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.leader import Keeper
from gateway.keys.keyring import Keyring
from gateway.registry import identity
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from gateway.transfer.lease import check, take
from gateway.vault import key_digests
from gateway.vault.key_digests import KeyDigests
from gateway.vault.keystore import KeyStore
from gateway.vault.vault import Vault
from security.transparency.entry import keyed
from tests.attacks.audit.instances import Instance, base, instance  # noqa: F401  fixtures
from tests.journal.databases import migrated

NOW = 1_795_500_000.0
DAY = 86_400.0


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Engine]:
    engine = migrated("postgresql", tmp_path)
    yield engine
    engine.dispose()


def refused(vault: Vault, now: float = NOW) -> str:
    with pytest.raises(Ours) as caught:
        vault.seal("t", "request", b"body", now)
    return caught.value.code


def test_no_machine_seals_with_a_key_of_its_own(postgresql: Engine, tmp_path: Path) -> None:
    """Neither one that has none yet, nor one that made its own before, nor one whose key is replaced later."""
    here, there = (tmp_path / name for name in ("here", "there"))

    def machine(folder: Path) -> Vault:
        return Vault(folder, digests=KeyDigests.of(postgresql))

    first = machine(here).seal("t", "request", b"body", NOW)
    assert refused(machine(there)) == "vault.key-differs" and not list(there.glob("*.key"))
    Vault(there).seal("t", "request", b"body", NOW)  # as a program of 0.2.0 does
    with postgresql.connect() as connection:
        assert key_digests.differing(connection, KeyStore(there)) == [first.key_id]
        assert key_digests.differing(connection, KeyStore(here)) == []
    second = machine(there)
    assert refused(second) == refused(second) == "vault.key-differs"
    shutil.copy(here / f"{first.key_id}.key", there)
    second.forget()
    row = second.seal("u", "request", b"from there", NOW)
    assert machine(here).unseal(row) == b"from there" and second.unseal(first) == b"body"
    machine(there).seal("v", "request", b"the next day", NOW + DAY)
    assert refused(machine(here), NOW + DAY) == "vault.key-differs"
    with postgresql.begin() as connection:
        key_digests.forget_missing(connection, KeyStore(here))
    machine(here).seal("v", "request", b"after a restore without that key", NOW + DAY)


@pytest.mark.parametrize("instance", ["postgresql"], indirect=True)
def test_a_replaced_key_is_found(instance: Instance) -> None:  # noqa: F811
    settings, keys = instance.settings, KeyStore(instance.settings.vault_keys)
    row = Vault(settings.vault_keys, digests=KeyDigests.of(instance.engine)).seal("t", "request", b"body", time.time())
    file = settings.vault_keys / f"{row.key_id}.key"
    file.write_bytes(bytes(32))
    with instance.engine.connect() as connection:
        (said,) = readable.other_keys(connection, settings)
        assert row.key_id in said
        assert "vault.key-differs" in {each.kind.code for each in examined(settings, connection, time.time())}
        file.unlink()
        assert readable.other_keys(connection, settings) == [] and not keys.stands(row.key_id)


def test_the_keeper_records_keys_that_are_not_recorded(database: Engine, tmp_path: Path) -> None:
    """Of a program before this one, and on SQLite, where nothing is compared before it seals."""
    row = Vault(tmp_path / "keys", digests=None).seal("t", "request", b"body", NOW)
    for _ in range(2):
        key_digests.record(database, KeyStore(tmp_path / "keys"))
    (tmp_path / "keys" / f"{row.key_id}.key").write_bytes(bytes(32))
    with database.connect() as connection:
        assert key_digests.differing(connection, KeyStore(tmp_path / "keys")) == [row.key_id]


@pytest.mark.parametrize("instance", ["postgresql"], indirect=True)
def test_folder_and_database_are_of_one_instance(instance: Instance, tmp_path: Path) -> None:  # noqa: F811
    settings, engine = instance.settings, instance.engine
    identity.check(engine, settings)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM instance WHERE key = 'identity'")  # as 0.2.0 left it
    identity.check(engine, settings)

    def told(other: Settings) -> str:
        with pytest.raises(Ours) as caught:
            identity.check(engine, other)
        assert caught.value.code == "instance.other"
        return str(caught.value.facts["what"])

    assert told(replace(settings, origin="tinh.example/other")) == "origin"
    copied = replace(settings, data=tmp_path / "copied")
    shutil.copytree(settings.data, copied.data)
    identity.check(engine, copied)
    (copied.authority / "root.crt").write_bytes((settings.authority / "tls.crt").read_bytes())
    (copied.data / "log" / "log.vkey").write_text("another\n")
    assert told(copied) == "log, authority"
    empty = replace(settings, data=tmp_path / "empty")
    with pytest.raises(Ours) as caught:
        make_instance(empty, {}, time.time(), province=False)
    assert caught.value.code == "instance.database-taken" and not empty.data.exists()


@pytest.mark.parametrize("instance", ["postgresql"], indirect=True)
def test_a_follower_has_what_the_leader_writes(instance: Instance, tmp_path: Path) -> None:  # noqa: F811
    """Current checkpoints, and with `closed` the deadline of admission; nothing that the instance did not write."""
    engine, here = instance.engine, replace(instance.settings, witness_policy="closed")
    there = replace(here, data=tmp_path / "there")
    shutil.copytree(here.data, there.data)
    key = LogKey.open(Keyring(here).log_key, here.origin, Keyring(here).at_rest)
    seal = partial(keyed, Keyring(here).hash_key())
    sequencer = Sequencer(engine, None, key, CheckpointFile(here.checkpoint_file))
    processes.register(engine, "leader", "keeper")
    with writing(engine) as connection:
        lease = take(connection, "leader", time.time())
    assert lease is not None
    while not sequencer.run_once(lease).size:
        pass
    newest = CheckpointFile(here.checkpoint_file).read()
    assert newest is not None and size_of(newest)
    now, longest = time.time(), here.witness_seconds
    deadline = AdmissionDeadline(here.deadline_file, frozenset({WITNESSES}))
    until = deadline.extend(WITNESSES, now + longest)
    with writing(engine) as connection:
        check(connection, lease)
        share(connection, str(until), seal)
        values = {"size": size_of(newest), "note": newest, "witnesses": 1, "at": now}
        connection.execute(tables.cosigned.insert().values(values))
    door = AdmissionCheck(there.deadline_file, lambda: now, longest)
    with pytest.raises(Failure):
        door()
    follower = Follower(engine, there, LogKey.open(Keyring(there).log_key, there.origin, Keyring(there).at_rest), seal)
    processes.register(engine, "follower", "keeper")
    keeper = Keeper(engine, "follower", sequencer, follow=follower.catch_up)
    keeper.tick()
    assert keeper.lease is None
    assert CheckpointFile(there.checkpoint_file).read() == CheckpointFile(there.cosigned_file).read() == newest
    AdmissionCheck(there.deadline_file, lambda: now, longest)()
    with writing(engine) as connection:
        forged = {"value": f"{now + 2 * longest:.3f} {str(until)}"}
        connection.execute(tables.instance.update().where(tables.instance.c.key == KEY).values(forged))
    with pytest.raises(Failure):
        follower.catch_up()
    assert there.deadline_file.read_text() == f"{until}\n"
    with writing(engine) as connection:
        connection.execute(tables.checkpoint.update().values(note=newest.replace("\u2014", "-", 1)))
    with pytest.raises(Failure):
        follower.catch_up()
    assert CheckpointFile(there.checkpoint_file).read() == newest

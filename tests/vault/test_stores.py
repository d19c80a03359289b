"""Both stores of keys promise the same: one key for all, for ever until it is destroyed, and then never again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from contracts.base.errors import Ours
from contracts.base.times import rfc3339
from gateway.vault.vault import Vault
from tests.vault.stores import Machines, machines  # noqa: F401  a fixture

NOW = 1_795_500_000.0
DAY = 86_400.0
KEY = "2026-11-24.m24"


def code(call: object, *given: object) -> str:
    with pytest.raises(Ours) as caught:
        call(*given)  # type: ignore[operator]
    return caught.value.code


def test_a_key_is_made_once_and_is_the_same_for_all(machines: Machines) -> None:  # noqa: F811
    one, other = machines.keys(), machines.keys()
    assert not one.stands(KEY) and one.ended(KEY) is None and code(one.load, KEY) == "vault.key-missing"
    barrier, made = threading.Barrier(6), list[bytes]()

    def make() -> None:
        own = machines.keys()
        barrier.wait()
        own.make(KEY)
        made.append(own.load(KEY))

    threads = [threading.Thread(target=make) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    one.put(KEY, bytes(32))  # replaces nothing
    assert {*made, one.load(KEY), other.load(KEY)} == {made[0]} and len(made) == 6 and len(made[0]) == 32
    assert [name.id for name in other.names()] == [KEY] and other.stands(KEY)
    assert dict(one.forms()) == dict(other.forms()) == {KEY: made[0]}
    assert code(one.load, "../secret") == code(one.make, "2026-11-24") == "vault.broken"


def test_a_destroyed_key_is_gone_in_every_copy_and_never_comes_back(machines: Machines, tmp_path: Path) -> None:  # noqa: F811
    keys = machines.keys(tmp_path / "copies")
    keys.make(KEY)
    secret = keys.load(KEY)
    assert [keys.copy(NOW + day * DAY) for day in (0, 1, 1)] == [1, 1, 0] and len(keys.copies_of(KEY)) == 2
    assert keys.copied() == {KEY} and keys.prune(NOW + 10 * DAY, 9) == 1 and len(keys.copies_of(KEY)) == 1
    assert keys.destroy(KEY, NOW) == 2 and keys.destroy(KEY, NOW + 1) == 0
    later = machines.keys(tmp_path / "copies")
    for each in (keys, later):
        assert not each.stands(KEY) and each.ended(KEY) == rfc3339(NOW) and each.names() == []
        assert code(each.load, KEY) == code(each.put, KEY, secret) == code(each.make, KEY) == "vault.expired"
        assert list(each.marks()) == [(KEY, rfc3339(NOW))]
    assert not any(secret in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_key_that_left_the_store_has_no_mark(machines: Machines) -> None:  # noqa: F811
    keys = machines.keys()
    keys.make(KEY)
    secret = keys.load(KEY)
    assert keys.drop(KEY) == 1 and not keys.stands(KEY) and keys.ended(KEY) is None
    keys.put(KEY, secret)
    assert keys.load(KEY) == secret


def test_a_person_speaks_for_the_clock(machines: Machines) -> None:  # noqa: F811
    keys = machines.keys()
    assert keys.clock_said() is None
    keys.say_clock(NOW)
    keys.say_clock(NOW + 1.5)
    assert machines.keys().clock_said() == NOW + 1.5


def test_bodies_of_one_machine_open_on_the_other(machines: Machines) -> None:  # noqa: F811
    here, there = Vault(machines.keys()), Vault(machines.keys())
    rows = [vault.seal(f"t-{number}", "request", b"body", NOW) for number, vault in enumerate((here, there))]
    assert [there.unseal(rows[0]), here.unseal(rows[1])] == [b"body", b"body"]
    assert code(here.unseal, rows[0]._replace(id="t-1/request")) == "vault.broken"

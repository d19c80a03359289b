"""A reader whose moment of the database is older than a change: the rows are no altered ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.database import snapshot
from gateway.journal.values import value_of
from gateway.registry.changes import keys
from gateway.registry.registry import Registry
from gateway.registry.seals.revisions import REVISION
from gateway.registry.seals.sealing import changing
from tests.attacks.audit import instances
from tests.attacks.audit.instances import Instance
from tests.attacks.audit.instances import base as base
from tests.journal.databases import KINDS
from tests.registry.making import NOW


@pytest.fixture(params=KINDS)
def instance(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Iterator[Instance]:
    made = instances.copy(request.param, base, tmp_path / "data")
    yield made
    made.engine.dispose()


def change(instance: Instance, key: str) -> None:
    with changing(instance.engine, instance.seal) as act:
        keys.revoke_key(act.connection, key, NOW)
        act.note("registry", {"changes": 1}, NOW)


def test_a_change_that_is_committed_while_somebody_reads_is_no_alteration(instance: Instance) -> None:
    instance.with_keys("phan-anh")
    door = Registry(instance.engine, instance.seal)
    with snapshot(instance.engine) as earlier:
        assert value_of(earlier, REVISION) is not None  # its moment begins
        change(instance, "phan-anh.sign-1")
        assert instance.seal.look(earlier)[0] == []
        assert instance.seal.set_back(earlier, door.snapshot.revision) == []
        with snapshot(instance.engine) as later:
            assert door.refresh(later) and door.snapshot.keys["phan-anh.sign-1"].state == "revoked"
        change(instance, "phan-anh.tls-1")
        assert not door.refresh(earlier)
    assert door.snapshot.keys["phan-anh.sign-1"].state == "revoked", "no older state replaced it"
    with snapshot(instance.engine) as later:
        assert door.refresh(later) and door.snapshot.keys["phan-anh.tls-1"].state == "revoked"

"""Programs of two releases on one database: the doctor names them, and no contract is published meanwhile."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine, insert, text

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from gateway import __version__
from gateway.doctor.store import mixed
from gateway.journal import processes
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.changes.publish import planned
from tests.registry.editions import edition


def test_programs_of_two_releases_are_named_and_nothing_is_published(database: Engine) -> None:
    bundle = edition("1.0.0")
    compiled = compile_bundle(bundle)
    processes.register(database, "door-1", "door")
    with database.connect() as connection:
        assert list(processes.versions(connection)) == [__version__]
        assert list(mixed(connection)) == [] and planned(connection, bundle, compiled).moved
    with writing(database) as connection:
        row = {"id": "door-0", "kind": "door", "pid": 1, "host": "old boot 1", "state": "alive"}
        connection.execute(insert(tables.process).values(row | {"started": 0.0, "seen": time.time()}))
    with database.connect() as connection:
        (found,) = mixed(connection)
        assert found.shown()["facts"]["versions"].startswith("0.2.0 (old); ")
        with pytest.raises(Failure) as refused:
            planned(connection, bundle, compiled)
        assert refused.value.code == "contract.older-runs"
    with writing(database) as connection:
        connection.execute(text("UPDATE process SET seen = seen - 60 WHERE id = 'door-0'"))
    with database.connect() as connection:
        assert list(mixed(connection)) == []

"""What a backup and a restore make of the history of the registry; on both databases."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from contracts.base.errors import Failure
from gateway.audit.verify.registered import check_registered
from gateway.backup import database
from gateway.backup.succession import Known
from gateway.journal.schema import tables
from gateway.registry.seals.sealing import Seal, changing
from tests.backup.conftest import Instance
from tests.registry.moments import snapshot_at


def test_the_history_of_the_registry_is_restored_and_the_restore_is_in_it(one: Instance, tmp_path: Path) -> None:
    """What held before the backup is known; of what was lost it is said that it was."""

    def suspended(name: str) -> float:
        with changing(one.engine, Seal.of(one.settings)) as act:
            act.connection.execute(
                insert(tables.notice).values(what="grant", id=name, reason_vi="x", reason_en="x", since=1.0)
            )
            act.note("suspended", {}, time.time())
        time.sleep(0.01)
        return time.time()

    began, kept = suspended("G-1"), suspended("G-2")
    one.exchange(1)
    folder = one.back_up(tmp_path / "copy")
    lost = suspended("G-3")
    newest = one.exchange(3)
    one.lose()
    done, again = one.restore(folder, tmp_path / "new", outside=(Known("agency", newest),))
    assert done.reason == "missing"
    with database.snapshot(again.engine) as connection:
        assert {id for _, id in snapshot_at(connection, began).notices} == {"G-1"}
        assert {id for _, id in snapshot_at(connection, kept).notices} == {"G-1", "G-2"}
        with pytest.raises(Failure) as gone:
            snapshot_at(connection, lost)
        assert gone.value.code == "registry.past-lost"
        assert {id for _, id in snapshot_at(connection, time.time()).notices} == {"G-1", "G-2"}
        table = tables.registry_history.c
        last = connection.execute(select(table.of_table, table.key, table.what).order_by(table.revision.desc())).first()
        assert last == ("instance", "restored", "restore")
        assert check_registered(connection, Seal.of(again.settings)).wrong == ()

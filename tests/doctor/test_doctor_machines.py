"""Machines of an instance that are behind, as the doctor names them: older keys, an older release, away."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from gateway import __version__
from gateway.doctor.machines import AWAY, machines
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.machines import keeping
from gateway.settings import Settings
from tests.journal.databases import fresh_url

HERE = "one"


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """A database whose keys are of generation 3."""
    engine = open_engine(fresh_url(request.param, tmp_path))
    migrate(engine)
    with writing(engine) as connection:
        keys = {"key": keeping.KEY, "value": json.dumps({"generation": 3, "digest": "x"})}
        connection.execute(insert(tables.instance).values(keys))
    return engine


def there(engine: Engine, name: str, *, runs: bool = False, seen: float = 0.0, **values: Any) -> None:
    """A machine that was seen so many seconds ago; `runs`: one of its processes beats."""
    now = time.time()
    row = {"name": name, "state": "active", "thumbprint": "", "added": now - 9_000, "actor": "gateway"}
    row |= {"generation": 3, "version": __version__, "seen": now - seen}
    process = {"id": f"door-{name}", "kind": "door", "pid": 1, "host": name, "started": now, "state": "alive"}
    with writing(engine) as connection:
        connection.execute(insert(tables.machine).values(row | values))
        if runs:
            connection.execute(insert(tables.process).values(process | {"seen": now, "heard": now, "machine": name}))


def told(engine: Engine, tmp_path: Path) -> dict[str, str]:
    with engine.connect() as connection:
        found = list(machines(Settings(tmp_path, machine=HERE), connection))
    return {each.kind.code: each.facts["machines"] for each in found}


def test_machines_that_are_behind_are_named(shared: Engine, tmp_path: Path) -> None:
    there(shared, HERE, runs=True)
    there(shared, "two", runs=True)
    assert told(shared, tmp_path) == {}
    there(shared, "late", runs=True, generation=2, trouble="vault.key-differs")
    there(shared, "old", seen=60, version="0.2.9")
    there(shared, "lost", seen=AWAY + 60)
    there(shared, "new", state="invited", generation=0, version=None, seen=AWAY + 60)
    there(shared, "gone", state="removed", generation=1, version="0.1.0", seen=AWAY + 60)
    there(shared, "off", state="draining", seen=AWAY + 60, generation=2)  # it gets the newest keys when it starts
    found = told(shared, tmp_path)
    if shared.dialect.name == "sqlite":
        assert found == {}, "one machine alone, whose host may have had other names"
        return
    assert found["machines.keys-behind"] == "late (2: vault.key-differs)"
    assert found["machines.older"] == "old (0.2.9)"
    assert found["machines.away"].startswith("lost (20") and found["machines.away"].count("(") == 1
    assert found["machines.drained"] == "off (–)"
    assert len(found) == 4


def test_where_all_are_drained_nobody_takes_calls(shared: Engine, tmp_path: Path) -> None:
    there(shared, HERE, runs=True, state="draining", reason="a new disk")
    there(shared, "two", state="active", seen=5)  # it does not run
    found = told(shared, tmp_path)
    assert found == ({} if shared.dialect.name == "sqlite" else {"machines.all-drained": f"{HERE} (a new disk)"})


def test_this_machine_is_not_away_while_its_own_doctor_runs(shared: Engine, tmp_path: Path) -> None:
    there(shared, HERE, seen=AWAY + 60)
    assert told(shared, tmp_path) == {}


def test_a_machine_that_was_removed_is_told_so_itself(shared: Engine, tmp_path: Path) -> None:
    there(shared, HERE, state="removed")
    there(shared, "two", runs=True)
    assert told(shared, tmp_path) == ({} if shared.dialect.name == "sqlite" else {"machines.removed": HERE})

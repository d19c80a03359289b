"""Killed with signal 9 in the middle of retention and of sealing anew: who comes after goes on, and nothing is lost or
half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention import holds
from gateway.keeper.retention.destruction import Retention
from gateway.keeper.retention.holds import Hold
from gateway.vault.vault import Vault

pytestmark = pytest.mark.server
NOW = 1_795_500_000.0
LATER = NOW + 24 * 31 * 86_400.0
BODIES = 160
# A keeper in a process of its own, with small steps, so that there are many places to be killed at.
CHILD = """
import sys
from gateway.transfer.lease import Lease
from gateway.journal.database import lock_of, open_engine
from gateway.keeper.retention import holds, rows
from gateway.keeper.retention.destruction import Retention
from gateway.vault.vault import Vault
from pathlib import Path
url, folder, holder, epoch, now = sys.argv[1:]
rows.AT_ONCE = 1
engine = open_engine(url)
vault = Vault(Path(folder) / "keys", copies=Path(folder) / "copies")
work = Retention(engine, lock_of(engine), vault, lambda: float(now), clock_is_right=True)
lease = Lease("keeper", holder, int(epoch))
print("ready", flush=True)
work.look(lease, float(now))
while work.run(lease, float(now)):
    pass
print("done", flush=True)
"""


def child(house: Any, now: float) -> subprocess.Popen[str]:
    url = house.engine.url.render_as_string(hide_password=False)
    command = [
        sys.executable,
        "-c",
        CHILD,
        url,
        str(house.folder),
        house.lease.holder,
        str(house.lease.epoch),
        str(now),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def kill_when(house: Any, process: subprocess.Popen[str], so_far: Any) -> None:
    """Signal 9 as soon as some of the work is done, and surely before all of it is."""
    until = time.monotonic() + 60
    while time.monotonic() < until and not so_far():
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"


def test_killed_in_the_middle_of_retention(house: Any) -> None:
    old = [house.transfer("request", body=bytes(2_000)) for _ in range(BODIES)]
    held = old[: BODIES // 2]
    with writing(house.engine) as connection:
        holds.add(connection, Hold("vu-an-7", "công văn 12/CV-CA", "lan", NOW, tuple(held)))
    key = house.key_of(old[-1])
    table = tables.vault.c

    def count(*what: Any) -> int:
        with house.engine.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(tables.vault).where(*what)) or 0)

    kill_when(house, child(house, LATER), lambda: count(table.key_id == f"{key}.vu-an-7") > 8)
    moved = count(table.key_id == f"{key}.vu-an-7")
    assert 8 < moved < len(held) and house.vault.keys.stands(key)
    assert all(house.opened(each) == bytes(2_000) for each in old[:: BODIES // 10])  # nothing is between two keys
    kill_when(house, child(house, LATER), lambda: count(func.length(table.sealed) == 0) > 8)
    emptied = count(func.length(table.sealed) == 0)
    assert 8 < emptied < BODIES - len(held) and not house.vault.keys.stands(key)
    assert [each["facts"]["step"] for each in house.notes("retention")] == ["begun"]
    vault = Vault(house.folder / "keys", copies=house.folder / "copies")
    Retention(house.engine, None, vault, lambda: LATER, clock_is_right=True).run(house.lease, LATER)
    assert [each["facts"]["step"] for each in house.notes("retention")] == ["begun", "done"]
    assert house.notes("retention")[0]["facts"]["bodies"] == BODIES - len(held)
    assert {house.opened(each) for each in held} == {bytes(2_000)} and {
        house.opened(each) for each in old[len(held) :]
    } == {"vault.expired"}
    assert count(func.length(table.sealed) == 0) == BODIES - len(held)


def test_the_files_of_a_killed_process_are_whole(small_house: Any) -> None:
    """Whatever a killed process left in the store: no key is half, and drafts are no keys."""
    house, folder = small_house, Path(small_house.folder) / "keys"
    transfer = house.transfer("request")
    (folder / ".2026-11-24.m60.0123456789abcdef").write_bytes(b"half")
    names = [name.id for name in house.vault.keys.names()]
    assert names == [house.key_of(transfer)]
    work = house.retention()
    work.look(house.lease, house.now)
    assert {path.name for path in (house.folder / "copies").rglob("*.key")} == {f"{names[0]}.key"}

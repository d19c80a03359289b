"""No room: under the database, under the checkpoint's file, under the log's key. The keeper says so, leaves nothing
half, and goes on when there is room."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from gateway.audit.log.checkpoints import size_of
from gateway.audit.log.logkey import LogKey
from gateway.journal import processes
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.keeper.leader import Keeper
from gateway.transfer import lease as leases
from tests.attacks.audit.insider import Gateway, commit, handed_in
from tests.faults.test_faults_disk import fill, small_disk

pytestmark = pytest.mark.server
__all__ = ["small_disk"]  # the fixture


def founded(database: Path, folder: Path) -> Gateway:
    database.mkdir(exist_ok=True)
    engine = open_engine(f"sqlite:///{database / 'lgsp.db'}")
    migrate(engine)
    gateway = Gateway.found(engine, folder)
    commit(engine, [handed_in("door-1") for _ in range(3)])
    gateway.sequence()
    return gateway


def counted(gateway: Gateway) -> tuple[int, int]:
    with gateway.engine.connect() as connection:
        return (
            int(connection.execute(select(func.count()).select_from(tables.log_entry)).scalar_one()),
            int(connection.execute(select(func.count()).select_from(tables.log_pending)).scalar_one()),
        )


def refused(call: Callable[[], Any]) -> bool:
    """For want of room; True too if it went through, since a page more or less may have been left."""
    try:
        call()
    except OperationalError as trouble:
        assert "full" in str(trouble) or "disk I/O" in str(trouble), trouble
        return True
    return False


def test_under_the_database(small_disk: Path, tmp_path: Path) -> None:
    gateway = founded(small_disk, tmp_path)
    commit(gateway.engine, [handed_in("door-1") for _ in range(200)])
    assert counted(gateway) == (6, 400)
    note, filler = gateway.note, small_disk / "filler"
    fill(filler)
    sequencer = gateway.sequencer()
    assert all(refused(lambda: sequencer.run_once(gateway.lease)) for _ in range(3)), (
        "four hundred entries went where there was no room"
    )
    assert gateway.note == note, "nothing was said outside that does not stand inside"
    filler.unlink()
    assert counted(gateway) == (6, 400), "all of a run stands, or nothing of it"
    assert gateway.verify().ok and gateway.complete().ok
    while sequencer.run_once(gateway.lease).busy:
        pass
    assert counted(gateway) == (406, 0) and size_of(gateway.note) == 406 and gateway.verify().ok
    gateway.engine.dispose()


def test_under_the_checkpoint(small_disk: Path, tmp_path: Path) -> None:
    """The database has room: what is signed stands there, the file beside it stays as it was, whole, and is brought
    forward later."""
    gateway = founded(tmp_path, small_disk)
    with writing(gateway.engine) as connection:
        leases.give_back(connection, gateway.lease)
    processes.register(gateway.engine, "keeper-1", "keeper")
    filler, note = small_disk / "filler", gateway.note
    fill(filler)

    async def work() -> Keeper:
        keeper = Keeper(gateway.engine, "keeper-1", gateway.sequencer())
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(60):
            commit_later = asyncio.to_thread(commit, gateway.engine, [handed_in("door-1") for _ in range(5)])
            await commit_later
            while keeper.trouble is None:
                await asyncio.sleep(0.02)
            assert str(errno.ENOSPC) in keeper.trouble and gateway.note == note
            assert gateway.verify().ok, "the file is behind, and a true prefix"
            await asyncio.to_thread(commit, gateway.engine, [handed_in("door-1")])
            filler.unlink()
            while size_of(gateway.note) < 18:
                await asyncio.sleep(0.02)
        keeper.stop()
        await running
        return keeper

    keeper = asyncio.run(work())
    assert keeper.trouble is None and gateway.verify().ok and counted(gateway) == (18, 0)
    assert not list((small_disk / "log").glob(".checkpoint*")), "no draft is left"
    gateway.engine.dispose()


def test_under_the_logs_key(small_disk: Path) -> None:
    """No log is founded on half a key."""
    filler, path = small_disk / "filler", small_disk / "keys" / "log.key"
    path.parent.mkdir()
    fill(filler)
    with pytest.raises(OSError, match=str(errno.ENOSPC)):
        LogKey.open(path, "localhost/lgsp-full")
    assert not list(path.parent.iterdir())
    filler.unlink()
    made = LogKey.open(path, "localhost/lgsp-full")
    assert LogKey.open(path, "localhost/lgsp-full").vkey == made.vkey

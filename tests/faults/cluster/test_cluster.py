"""Two machines (own folders, own processes) on one PostgreSQL, with steady submits to both: the leading keeper is
killed, then the database answers nothing for ten seconds. What was acknowledged is there once."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from bench.demo import demo_settings, running, world_of
from bench.ports import free_ports
from examples.story import World
from gateway.audit.log.checkpoints import read_note, size_of
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.settings import Settings
from gateway.settings.saving import save
from tests.faults.load import Load, all_in_feed, until
from tests.journal.databases import fresh_url, frozen

pytestmark = pytest.mark.server

FROZEN = 10.0
LEADER = "SELECT p.id, p.pid FROM lease l JOIN process p ON p.id = l.holder WHERE l.until > 0"


def second(first: Settings, place: Path) -> Settings:
    """Another machine: the folder of the first, with ports of its own. The keys of the vault are the same folder."""
    exchange, desk = free_ports(2)
    shutil.copytree(first.data, place)
    shutil.rmtree(place / "keys" / "vault", ignore_errors=True)
    first.vault_keys.mkdir(mode=0o700, exist_ok=True)
    (place / "keys" / "vault").symlink_to(first.vault_keys)
    settings = replace(first, data=place, exchange_port=exchange, desk_port=desk, live=False, machine="second")
    save(settings)
    return settings


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Settings, Settings]]:
    first = replace(demo_settings(tmp_path / "first"), database=fresh_url("postgresql", tmp_path), doors=1)
    ensure_instance(first, say_progress=False)
    other = second(first, tmp_path / "second")
    with ExitStack() as stack:
        yield stack.enter_context(running(first)), stack.enter_context(running(other))


def leader(engine: Engine) -> tuple[str, int]:
    with engine.connect() as connection:
        row = connection.execute(text(LEADER)).first()
    return ("", 0) if row is None else (str(row[0]), int(row[1]))


def ready(settings: Settings) -> int:
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE  # only the status is asked
    try:
        with urllib.request.urlopen(f"{settings.base}/readyz", timeout=60, context=insecure) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return int(refused.code)


def is_ready(settings: Settings) -> bool:
    return ready(settings) == 200


def verifies(settings: Settings, world: World) -> bool:
    vkey = str(settings.identities / "bao-chay" / "log.vkey")
    return bool(world.lgsp("audit", "verify", "--data", str(settings.data), "--vkey", vkey)["ok"])


def test_a_leader_killed_and_a_database_that_is_frozen(machines: tuple[Settings, Settings]) -> None:
    first, other = machines
    engine = open_engine(first.database_url)
    with Load(first, connections=2) as here, Load(other, connections=2) as there:
        loads = (here, there)
        for load in loads:
            load.wait(10)
        before, pid = until("a keeper leads", lambda: one if (one := leader(engine))[1] else None)
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        until("another keeper leads", lambda: leader(engine)[0] not in ("", before))
        print(f"another keeper leads after {time.monotonic() - began:.1f} s")
        for load in loads:
            load.wait(10)
        with frozen():
            end = time.monotonic() + FROZEN
            for load in loads:
                until("callers are told", partial(load.others.get, "journal.unavailable"))
            print(f"callers are told after {time.monotonic() - end + FROZEN:.1f} s")
            assert [ready(each) for each in machines] == [503, 503]
            time.sleep(max(0.0, end - time.monotonic()))
        began = time.monotonic()
        for load in loads:
            load.wait(1)
        print(f"acknowledged again after {time.monotonic() - began:.1f} s")
        for load in loads:
            load.wait(10)
    for settings in machines:
        until("ready", partial(is_ready, settings))
    acknowledged = here.acknowledged | there.acknowledged
    worlds = [world_of(each) for each in machines]
    for world in worlds:
        assert {all_in_feed(world, acknowledged)[each] for each in acknowledged} == {1}
    for settings, world in zip(machines, worlds, strict=True):
        until("the log verifies", partial(verifies, settings, world))
    sizes = [size_of(read_note(each.checkpoint_file) or "") for each in machines]
    print(f"{len(acknowledged)} acknowledged, refused {here.others + there.others}, checkpoints of {sizes}")
    assert min(sizes) >= len(acknowledged)
    engine.dispose()

"""Two machines whose vault's keys are in a second database: no key is copied, and one that is destroyed is gone on
both."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from bench.ports import free_ports
from examples.story.exchange import ALERTS, read_feed
from gateway.audit.log.checkpoints import read_note, size_of
from gateway.audit.log.head import LogHead
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.settings import Settings
from gateway.settings.saving import save
from gateway.vault.stores import opened
from tests.faults.load import Load, all_in_feed, until
from tests.journal.databases import fresh_url

pytestmark = pytest.mark.server


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Settings, Settings]]:
    main, keys = fresh_url("postgresql", tmp_path), fresh_url("postgresql", tmp_path)
    first = replace(demo_settings(tmp_path / "first"), doors=1, database=main, vault_database=keys)
    first = replace(first, database_seconds=10.0)  # of a machine that is busy with other tests
    ensure_instance(first, say_progress=False)
    exchange, desk = free_ports(2)
    shutil.copytree(first.data, tmp_path / "second", ignore=shutil.ignore_patterns("vault", "run"))
    ports = replace(first, exchange_port=exchange, desk_port=desk)
    second = replace(ports, data=tmp_path / "second", live=False, machine="second")
    save(second)
    with ExitStack() as stack:
        yield stack.enter_context(running(first)), stack.enter_context(running(second))


@pytest.mark.full
def test_stored_read_and_destroyed(two: tuple[Settings, Settings]) -> None:
    first, second = two
    with Load(first, connections=2) as here, Load(second, connections=2) as there:
        for load in (here, there):
            load.wait(5)
    acknowledged = here.acknowledged | there.acknowledged
    assert not here.others and not there.others
    worlds = [world_of(each) for each in two]
    for world in worlds:
        assert {all_in_feed(world, acknowledged)[each] for each in acknowledged} == {1}
    assert not [path for each in two for path in each.data.rglob("*.key") if path.parent.name == "vault"]
    body = (
        "audit",
        "body",
        next(iter(there.acknowledged.values())),
        "--part",
        "canonical",
        "--reason",
        "for this test",
    )
    assert all(world.lgsp(*body, "--data", str(each.data))["ok"] for each, world in zip(two, worlds, strict=True))

    engine = open_engine(first.database_url)
    keys = opened(first, engine)
    head = LogHead(keys.second, first.origin)
    until(
        "the head follows", lambda: size_of(head.read() or "-\n0\n") >= size_of(read_note(first.checkpoint_file) or "")
    )
    for name in keys.names():
        keys.destroy(name.id, time.time())
    for each, world in zip(two, worlds, strict=True):
        refused = world.lgsp(*body, "--data", str(each.data))
        assert refused["error"]["code"] == "vault.expired"

        def ended(world=world) -> bool:  # type: ignore[no-untyped-def]
            events = list(read_feed(world, ALERTS))
            return all(event.get("tombstonereason") == "retention" for event in events)

        until("the doors that ran on show no body", ended)
    keys.close()
    engine.dispose()

"""An instance that runs, in real processes: backed up while it works, restored, and what a system that is its witness
meets then."""

from __future__ import annotations

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings, running, world_of
from bench.ports import free_ports
from contracts.wire.jsontext import write_json
from examples.story import World
from gateway.client import Client, Identity, LogObjection, Refused
from gateway.journal.database import open_engine
from gateway.registry.restore_lock import WINDOW, confirm, hold, newest_restore
from gateway.registry.seals.sealing import Seal, changing
from gateway.sandbox import live
from gateway.sandbox.standins import messages
from gateway.settings import Settings, load
from gateway.settings.saving import save
from tests import commandline
from tests.journal import databases
from tests.size import FULL

pytestmark = pytest.mark.server
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")


def lgsp(*words: object) -> tuple[int, Any]:
    done = commandline.forked(*map(str, words), "--json")
    return done.code, json.loads(done.out)


def witness(identity: Path) -> Client:
    return Client(Identity.load(identity))


def test_a_running_instance_is_backed_up_restored_and_followed(
    instance: Settings, world: World, tmp_path: Path
) -> None:
    carried_through(instance, world, tmp_path)


@pytest.mark.skipif(not FULL, reason="in full size: two instances on a PostgreSQL server take half a minute")
def test_the_same_on_postgresql(place: Path, tmp_path: Path) -> None:
    with running(replace(demo_settings(place), database=databases.fresh_url("postgresql", place))) as settings:
        carried_through(settings, world_of(settings), tmp_path, databases.fresh_url("postgresql", place))


def carried_through(instance: Settings, world: World, tmp_path: Path, database: str = "") -> None:
    """`database`: where it is restored to, if not into a file."""
    identity = tmp_path / "y-te"
    shutil.copytree(world.identities / "y-te", identity)
    done_with = threading.Event()

    def load_it() -> int:
        sent = 0
        with Client(Identity.load(world.identities / "phan-anh"), state=tmp_path / "sender") as sender:
            while not done_with.is_set():
                sender.rest("POST", "/field-report/v1/requests", write_json(messages.field_report(area="01273")))
                sent += 1
        return sent

    with ThreadPoolExecutor(1) as others:
        flow = others.submit(load_it)
        code, made = lgsp("backup", tmp_path / "copy", "--data", instance.data, "--plain-keys")
        done_with.set()
        assert code == 0 and made["ok"] and flow.result() > 0
    with witness(identity) as client:
        receipt = client.rest("GET", QUESTION).receipt
        assert receipt is not None
        client.prove(receipt)  # until both its entries stand under a checkpoint
        kept = client.witness.kept
        assert kept is not None and kept.size > made["size"]

    place = tmp_path / "new"
    (note,) = (identity / "checkpoints").glob("*.checkpoint")
    code, done = lgsp(
        "restore",
        tmp_path / "copy",
        "--data",
        place,
        "--database",
        database,
        "--checkpoint",
        note,
        "--vkey",
        identity / "log.vkey",
    )
    assert code == 0 and done["reason"] == "missing" and done["signed"] >= kept.size and done["old_runs"]
    exchange, desk = free_ports(2)
    moved = replace(load(place, {}), exchange_port=exchange, desk_port=desk, doors=1)
    save(moved)
    about = json.loads((identity / "system.json").read_text("utf-8"))
    (identity / "system.json").write_text(json.dumps(about | {"gateway": moved.base}), "utf-8")
    with running(moved, frozenset({"traffic", *live.STANDINS, *live.AGENTS})):
        with witness(identity) as client:
            with pytest.raises(Refused) as refused:
                client.token()
            assert refused.value.code == "gateway.restored"
            with pytest.raises(LogObjection) as objected:
                client.check_log()
            assert objected.value.code == "client.log-other"
        code, accepted = lgsp(
            "client", "accept-log", "--identity", identity, "--accept", "--vkey", place / "log" / "log.vkey"
        )
        assert code == 0 and accepted["accepted"] and accepted["lost"] > 0 and accepted["logs"][0]["vouched"]
        by = ("restore", "confirm", "--data", place, "--by", "can-bo-an-toan-1")
        code, kept_closed = lgsp(*by)
        assert (
            code == 1
            and kept_closed["error"]["code"] == "backup.old-runs"
            and str(instance.data) in kept_closed["error"]["what"]
        )
        assert not lgsp("restore", "confirm", "--data", place)[1]["confirmed"], "nothing was opened"
        code, opened = lgsp(*by, "--although-it-runs")
        assert code == 0 and opened["confirmed"] and opened["old_runs"]
        with changing(
            open_engine(moved.database_url), Seal.of(moved)
        ) as act:  # as if the minute in which old messages are believed had passed
            found = newest_restore(act.connection)
            assert found is not None
            hold(act.connection, found["at"] - WINDOW, {"backup": found["backup"]})
            confirm(act.connection)
            act.note("restore-confirmed", {"backup": found["backup"]["backup"]}, time.time())
        until = time.monotonic() + 60
        with witness(identity) as client:
            while True:
                try:
                    assert client.token()
                    break
                except Refused as still:
                    assert still.code == "gateway.restored" and time.monotonic() < until
                    time.sleep(0.2)
            follows = client.check_log()
            assert follows is not None and follows.origin == done["origin"] and not client.witness.objections
    code, report = lgsp(
        "audit", "verify", "--data", place, "--origin", made["origin"], "--vkey", instance.data / "log" / "log.vkey"
    )
    assert code == 0 and report["size"] == made["size"]

"""The failover drill: what it counts as lost, twice and out of order; and on a running instance, with kill -9."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from bench.demo import demo_settings, running
from contracts.base.ids import new_id
from gateway.drills import failover
from gateway.journal import drills
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.settings import Settings
from tests.backup.conftest import Instance

CONTRACT = "drill-message/v1"


def logged(one: Instance, transfer: str, offset: int | None) -> str:
    """A transfer in the feed, or one that is not."""
    with writing(one.engine) as connection:
        if offset is not None:
            row = {"contract": CONTRACT, "offset": offset, "transfer": transfer}
            connection.execute(insert(tables.feed_event).values(**row, event=new_id(), body_ref="-", sequenced=1.0))
    return transfer


def counted(one: Instance, sent: failover._Sent, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    monkeypatch.setattr(failover, "COUNTED", 0.2)
    wanted: Any = type("Wanted", (), {"contract": CONTRACT})
    return failover._counted(one.engine, wanted, sent)


def test_what_was_acknowledged_is_looked_for_in_the_feed(one: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = failover._Sent()
    for key in range(2):
        for number in range(1, 6):
            sent.acknowledged[key, number] = {logged(one, new_id(), 10 * number + key)}
    assert counted(one, sent, monkeypatch) == (0, 0, 0)
    sent.acknowledged[0, 6] = {logged(one, new_id(), None)}
    assert counted(one, sent, monkeypatch) == (1, 0, 0), "acknowledged, and not in the feed"
    sent.acknowledged[0, 6] = {logged(one, new_id(), 90), logged(one, new_id(), 91)}
    assert counted(one, sent, monkeypatch) == (0, 1, 0), "one message, acknowledged as two transfers"
    sent.acknowledged[0, 6] = {logged(one, new_id(), 15)}
    assert counted(one, sent, monkeypatch) == (0, 0, 1), "before an earlier one of its sender"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running(replace(demo_settings(tmp_path_factory.mktemp("failover") / "data"), live=False)) as settings:
        yield settings


def lgsp(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--data", str(settings.data), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.server
@pytest.mark.parametrize("end", ["keeper", "door"])
def test_a_process_is_killed_and_nothing_is_lost(instance: Settings, end: str) -> None:
    ran = lgsp(instance, "drill", "failover", "--end", end, "--yes", "--seconds", "3")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert told["ok"] and told["acknowledged"] >= failover.KEYS and len(told["ended"]) == 1
    assert (told["lost"], told["twice"], told["out_of_order"]) == (0, 0, 0)
    assert told["again_after"] is not None and (told["leads_after"] is not None) == (end == "keeper")
    engine = open_engine(instance.database_url)
    with engine.connect() as connection:
        last = drills.newest(connection, drills.FAILOVER)
    engine.dispose()
    assert last is not None and last.ok


@pytest.mark.server
def test_nothing_is_ended_without_a_confirmation(instance: Settings, tmp_path: Path) -> None:
    refused = lgsp(instance, "drill", "failover")
    assert refused.returncode == 2 and json.loads(refused.stdout)["error"]["code"] == "not-confirmed"
    wrong = tmp_path / "message.json"
    wrong.write_text('{"maCanhBao": "DRILL-ID"}', "utf-8")
    none = lgsp(instance, "drill", "failover", "--yes", "--seconds", "0.1", "--message", str(wrong))
    assert none.returncode == 1 and json.loads(none.stdout)["error"]["code"] == "drill.no-answer", none.stdout

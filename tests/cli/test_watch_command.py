"""`lgsp watch`: open alarms, and taking notice of one with a reason."""

from __future__ import annotations

import json
import time
from typing import Any

from gateway.journal.database import open_engine, writing
from gateway.registry.snapshot import load_snapshot
from gateway.settings import Settings
from gateway.watch import alarms
from gateway.watch.alarms import Condition, Kind, Look
from tests import commandline

REASON = "power cut, engineers are on the way"


def asked(settings: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("watch", *words, "--data", str(settings.data), "--json")
    return ended.code, json.loads(ended.out)


def test_an_alarm_is_listed_acknowledged_and_over(sandbox: Settings) -> None:
    now, engine = time.time(), open_engine(sandbox.database_url)
    with writing(engine) as connection:
        look = Look(load_snapshot(connection), now)
        alarms.settle(connection, Kind.QUEUE, [Condition("do-thi", "", now - 900.0, {"waiting": 7})], look)
    code, told = asked(sandbox, "list")
    (alarm,) = told["alarms"]
    assert code == 0 and (alarm["system"], alarm["facts"], alarm["by"]) == ("do-thi", {"waiting": 7}, None)
    code, told = asked(sandbox, "acknowledge", alarm["id"], "--reason", REASON)
    assert code == 0 and told["alarm"]["reason"] == REASON
    code, told = asked(sandbox, "acknowledge", alarm["id"], "--reason", REASON)
    assert code == 1 and told["error"]["code"] == "alarm.acknowledged"
    code, told = asked(sandbox, "acknowledge", "nothing", "--reason", REASON)
    assert code == 1 and told["error"]["code"] == "alarm.unknown"
    text = commandline.lgsp("watch", "list", "--data", str(sandbox.data)).out
    assert "waiting 7" in text and REASON in text
    with writing(engine) as connection:
        alarms.settle(connection, Kind.QUEUE, [], look)
    assert asked(sandbox, "list")[1]["alarms"] == []
    assert [each["id"] for each in asked(sandbox, "list", "--ended")[1]["alarms"]] == [alarm["id"]]

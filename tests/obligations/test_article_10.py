"""Article 10: guidance, watching and judging, and the keeping of data."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from examples.story.exchange import ALERTS
from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.faults.load import rows
from tests.obligations.calls import ALERT, accepted, published, sample, today

pytestmark = pytest.mark.server


@pytest.mark.obligation("10.1")
def test_an_outsider_begins_with_a_published_sample(world: World) -> None:
    """Article 10.1: contract and samples need no account; a published sample, given its own identifier, is accepted."""
    assert ALERTS in {each["name"] for each in published(world, "/contracts")}
    alert = sample(world, ALERTS, "Alert") | {"identifier": f"MAU-{uuid.uuid4()}"}
    accepted(world.rest("quan-trac").call("POST", ALERT, alert))


def validity(world: World, system: str) -> dict[str, Any]:
    words = ("scorecard", system, "--day", today(), "--data", str(world.data))
    (card,) = world.lgsp(*words)["scorecards"]
    parts: dict[str, dict[str, Any]] = {each["part"]: each for each in card["parts"]}
    return parts["validity"]


@pytest.mark.obligation("10.2")
def test_a_scorecard_says_what_the_raw_log_says(world: World, instance: Settings) -> None:
    """Article 10.2: the validity of a system's messages equals a count over the entries of the log alone."""
    client, bad = world.rest("bao-chay"), messages.fire_alarm()
    bad["chiTiet"][0]["mucDo"] = 77
    accepted(client.call("POST", ALERT, messages.fire_alarm()))
    world.refusal("judged", "message.invalid", client.call("POST", ALERT, bad), status=422)
    tables = " UNION ALL ".join(f"SELECT entry FROM {name}" for name in ("log_entry", "log_pending"))
    found = [json.loads(entry) for (entry,) in rows(instance, tables)]
    ours = [each for each in found if each.get("caller", {}).get("system") == "bao-chay"]
    taken = sum(each["kind"] == "intent" for each in ours)
    refused = sum(each["kind"] == "refusal" and each["failure"] == "message.invalid" for each in ours)
    part = validity(world, "bao-chay")
    assert part["judged"] and (part["numerator"], part["denominator"]) == (taken, taken + refused) and refused


@pytest.mark.obligation("10.4")
def test_a_restored_backup_still_verifies(world: World, tmp_path: Path) -> None:
    """Article 10.4: a copy of the running instance is restored elsewhere, and the log in it verifies."""
    taken = world.lgsp("backup", "make", str(tmp_path / "copy"), "--plain-keys", "--data", str(world.data))
    assert taken["ok"] and taken["size"] > 0
    place = tmp_path / "new"
    restored = world.lgsp("restore", "from", str(tmp_path / "copy"), "--data", str(place))
    assert restored["ok"] and restored["checked"]["entries"] == taken["size"] and restored["doors"] == "closed"
    vkey = str(place / "log" / "log.vkey")
    verified = world.lgsp("audit", "verify", "--data", str(place), "--vkey", vkey)
    assert verified["ok"] and verified["size"] > 0, "that it was restored stands in the log"

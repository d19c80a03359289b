"""`lgsp audit search|journey|reindex|reconcile` and `lgsp client reconcile` against a running gateway, whose keeper
fills the index.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.wire.jsontext import write_json
from examples.story import World
from gateway.audit.search.index import Indexer
from gateway.journal.database import open_engine
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from security.grants.windows import VIETNAM
from tests import commandline

pytestmark = pytest.mark.server
REPORTS = "/field-report/v1/requests"
YESTERDAY = (datetime.fromtimestamp(time.time(), VIETNAM) - timedelta(days=1)).date().isoformat()


@pytest.fixture(scope="module")
def sent(world: World) -> dict[str, str]:
    """A message, its repeat, and one that is refused; by the ids of message and transfers."""
    id, report = f"PA-{uuid.uuid4()}", write_json(messages.field_report(area="01273"))
    first, again = (world.rest("phan-anh").call("POST", REPORTS, report, id) for _ in range(2))
    assert first.ok and again.ok
    refused = world.rest("thuc-phan").call("POST", REPORTS, report, f"{id}-x")
    assert refused.problem is not None
    opened = ("audit", "search", "--message", id, "--data", str(world.data))  # or it would come between two listings
    world.wait("its handling", lambda: any(each["kind"].startswith("handling") for each in lgsp(*opened)["entries"]))
    return {"message": id, "transfer": first.headers["lgsp-transfer"], "refused": refused.headers["lgsp-transfer"]}


def lgsp(*words: str) -> dict[str, Any]:
    """The command in this process: each of its own would take a second to start."""
    done = commandline.lgsp(*words, "--json")
    told: dict[str, Any] = json.loads(done.out)
    assert told["ok"] is (done.code == 0) and done.code in (0, 1, 2), done
    return told


def search(world: World, *words: str) -> list[dict[str, Any]]:
    told = lgsp("audit", "search", *words, "--data", str(world.data))
    assert told["ok"] and not told["disagree"], told
    return list(told["entries"])


def of_exchange(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those of the report's handling, which the keeper opens meanwhile."""
    return [each for each in entries if not each["kind"].startswith("handling")]


def kinds(entries: list[dict[str, Any]]) -> list[str]:
    return [each["kind"] for each in of_exchange(entries)]


def test_search_and_journey(world: World, sent: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    found = search(world, "--message", sent["message"], "--order", "oldest")
    while kinds(found) != ["intent", "outcome", "repeat"]:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
        found = search(world, "--message", sent["message"], "--order", "oldest")
    found = of_exchange(found)
    assert {each["about"] for each in found} == {sent["transfer"]} and [each["index"] for each in found] == sorted(
        each["index"] for each in found
    )
    assert (
        found[1]["agency"] == found[0]["agency"]
        and found[1]["grant"] == found[0]["grant"]
        and found[1]["outcome"] == "ok"
    )
    denied = ("--system", "thuc-phan", "--outcome", "refused", "--denied", "--limit", "5")
    refused = search(world, *denied)
    while sent["refused"] not in {
        each["transfer"] for each in refused
    }:  # it may get its index later than the repeat before it
        assert time.monotonic() < deadline, refused
        time.sleep(0.3)
        refused = search(world, *denied)
    assert search(world, *denied, "--raw") == refused
    assert {each["outcome"] for each in search(world, "--denied", "--limit", "1000")} == {"refused"}
    assert lgsp("audit", "search", "--denied", "--outcome", "ok", "--data", str(world.data))["error"]["code"] == (
        "denied-otherwise"
    )
    assert lgsp("audit", "search", "--role", "owner", "--data", str(world.data))["error"]["code"] == "role-alone"
    provided = search(world, "--agency", "H14.3", "--role", "provider", "--message", sent["message"])
    assert kinds(provided) == ["intent", "outcome", "repeat"] or kinds(provided) == ["repeat", "outcome", "intent"]
    assert {"agency": "H14.3", "role": "provider"} in provided[0]["parties"]
    assert search(world, "--agency", "H14.3", "--role", "reader", "--message", sent["message"]) == []
    by_message = ("audit", "journey", sent["message"], "--system", "phan-anh", "--data", str(world.data))
    (journey,) = lgsp(*by_message)["journeys"]
    while any(step.get("index") is None for step in journey["steps"]):  # the newest entry gets its index a moment later
        assert time.monotonic() < deadline, journey
        time.sleep(0.3)
        (journey,) = lgsp(*by_message)["journeys"]
    assert journey == lgsp("audit", "journey", sent["transfer"], "--data", str(world.data))["journeys"][0]
    assert kinds(journey["steps"]) == ["intent", "outcome", "repeat"]
    assert journey["state"]["state"] == "answered" and set(journey["state"]["receipt"]) == {"intent", "outcome"}
    assert {"request", "answer"} <= {part["part"] for part in journey["vault"]}
    missing = lgsp("audit", "journey", "no-such", "--data", str(world.data))
    assert missing["error"]["code"] == "no-such-transfer"


@pytest.mark.full
def test_for_people_and_as_a_table(world: World, sent: dict[str, str]) -> None:
    command = [
        *world.command,
        "audit",
        "search",
        "--transfer",
        sent["transfer"],
        "--limit",
        "1",
        "--data",
        str(world.data),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    (line,) = done.stdout.splitlines()
    assert "phan-anh" in line and sent["transfer"] in line and "next: --cursor " in done.stderr
    cursor = done.stderr.split("--cursor ")[1].strip()
    table = subprocess.run(
        [*command, "--cursor", cursor, "--csv"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["about"] == sent["transfer"] and row["index"] != line.split()[0].lstrip("#")
    deadline = time.monotonic() + 60
    while not (noted := [each for each in _raw(world, "export") if "search" in each["facts"]]):
        assert time.monotonic() < deadline, "the note of the export is not sequenced"
        time.sleep(0.2)
    assert noted[0]["facts"] == {"search": {"transfer": sent["transfer"]}, "entries": 1}
    other = lgsp("audit", "search", "--cursor", cursor, "--data", str(world.data))
    assert other["error"]["code"] == "audit.bad-cursor"
    assert lgsp("audit", "search", "--csv", "--data", str(world.data))["error"]["code"] == "usage"
    assert lgsp("audit", "search", "--from", "gestern", "--data", str(world.data))["error"]["code"] == "no-time"


def _raw(world: World, kind: str) -> list[dict[str, Any]]:
    found = search(world, "--kind", kind)
    return list(lgsp("audit", "show", *[each["transfer"] for each in found], "--data", str(world.data))["entries"])


def test_the_keeper_fills_the_index_and_a_person_makes_it_anew(
    world: World, instance: Settings, sent: dict[str, str]
) -> None:
    indexer = Indexer(open_engine(instance.database_url), None)
    deadline = time.monotonic() + 60
    while indexer.waiting():
        assert time.monotonic() < deadline, "the keeper does not index"
        time.sleep(0.3)
    before = search(world, "--message", sent["message"])
    made = lgsp("audit", "reindex", "--data", str(world.data))
    assert made["ok"] and made["entries"] > 3
    assert search(world, "--message", sent["message"]) == before


def test_reconcile_from_a_file_and_by_the_kit(world: World, tmp_path: Path) -> None:
    table = tmp_path / "counts.csv"
    table.write_text("system,contract,operation,direction,accepted\nphan-anh,field-report/v1,createRequest,sent,0\n")
    agency = world.identity("phan-anh").agency
    words = ["audit", "reconcile", str(table), "--agency", agency, "--data", str(world.data)]
    told = lgsp(*words, "--day", YESTERDAY)
    assert told["ok"] and told["lines"][0]["verdict"] == "equal", told
    assert lgsp(*words)["error"]["code"] == "reconciliation.invalid"  # a table does not name its day
    assert lgsp(*words, "--day", "2999-01-01")["error"]["code"] == "reconciliation.day-open"
    who = ["--identity", str(world.identities / "phan-anh"), "--state", str(tmp_path / "state"), "--day", YESTERDAY]
    assert {**lgsp("client", "reconcile", str(table), *who)} == told
    table.write_text(table.read_text().replace(",0\n", ",2\n"))
    done = subprocess.run(
        [*world.command, "client", "reconcile", str(table), *who],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "theirs 2, ours 0" in done.stdout and "differs" in done.stdout
    stated = tmp_path / "counts.json"
    stated.write_text(
        json.dumps(
            {
                "day": YESTERDAY,
                "counts": [{"system": "y-te", "contract": "c", "operation": "o", "direction": "sent", "accepted": 1}],
            }
        )
    )
    assert lgsp("client", "reconcile", str(stated), *who)["error"]["code"] == "reconciliation.not-yours"

"""Article 10: guidance, watching and judging, and the keeping of data."""

from __future__ import annotations

import csv
import hashlib
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from adapters.opening import ConnectionProbe, Peers
from examples.story.exchange import ALERTS, INDICATOR
from examples.story.world import World
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.sandbox.standins import messages
from gateway.scorecards.scoring import weights
from gateway.settings import Settings
from gateway.watch import alarms
from gateway.watch.late import LateData
from gateway.watch.probing import Probing
from gateway.watch.watching import Watching
from security.grants.windows import VIETNAM
from tests.delivery.posting import Post
from tests.delivery.posting import post as post
from tests.obligations.calls import ALERT, accepted, event_of, granted, log, outside, published, sample, today
from tests.obligations.persons import Visitor

pytestmark = pytest.mark.server


@pytest.mark.obligation("10.1")
def test_an_outsider_begins_with_a_published_sample(world: World) -> None:
    """Article 10.1: contract and samples need no account; a published sample, given its own identifier, is accepted."""
    assert ALERTS in {each["name"] for each in published(world, "/contracts")}
    alert = sample(world, ALERTS, "Alert") | {"identifier": f"MAU-{uuid.uuid4()}"}
    accepted(world.rest("quan-trac").call("POST", ALERT, alert))


@pytest.mark.obligation("10.1")
def test_guides_are_open_and_either_side_finds_its_suite(world: World, instance: Settings) -> None:
    """Article 10.1: the guides need no account, by role and in both languages; each role has its conformance suite."""
    anybody = Visitor(instance.desk, outside(world))
    for language, title in (("vi", "Tài liệu"), ("en", "Documentation")):
        assert title in anybody.page(f"/docs/{language}")
        assert "message.invalid" in anybody.page(f"/docs/{language}/errors")
    for role in ("provider", "caller"):
        suite = world.lgsp("conform", "suite", ALERTS, "--role", role, "--data", str(world.data))
        assert suite["ok"] and ALERTS in str(suite)


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
    for _ in range(weights().least["validity"]):  # fewer are not judged
        accepted(client.call("POST", ALERT, messages.fire_alarm()))
    world.refusal("judged", "message.invalid", client.call("POST", ALERT, bad), status=422)
    every = [each for each in log(instance) if each.get("caller", {}).get("system") == "bao-chay"]
    ours = [
        each for each in every if datetime.fromisoformat(each["at"]).astimezone(VIETNAM).date().isoformat() == today()
    ]
    taken = sum(each["kind"] == "intent" for each in ours)
    beginnings, statuses = weights().invalid
    refusals = [each for each in ours if each["kind"] == "refusal" and each["failure"].split(".")[0] in beginnings]
    refused = sum(each.get("count", 1) for each in refusals if each["status"] in statuses)
    part = validity(world, "bao-chay")
    assert part["judged"] and (part["numerator"], part["denominator"]) == (taken, taken + refused) and refused


@pytest.mark.obligation("10.2 (second half)")
def test_an_extract_is_masked_by_the_grant_and_logged(world: World, instance: Settings, tmp_path: Path) -> None:
    """Article 10.2 (second half): a ward takes a range of a feed as a table, without the field that its grant hides."""
    values = sample(world, INDICATOR, "IndicatorValues")
    values["values"] = [
        {**values["values"][0], "note": f"{uuid.uuid4()}"} | {"responsible": {"name": "Lương Thị Bích Ngọc"}}
    ]
    sent = accepted(world.rest("so-lieu").call("POST", f"/{INDICATOR}/values", values))
    event_of(world, sent, INDICATOR)
    table, identity = tmp_path / "trich.csv", str(world.identities / "thuc-phan")
    terms: dict[str, Any] = {"contract": INDICATOR, "operations": ["feed"], "fields": ["*", "!values.responsible"]}
    with granted(world, instance, agency="H14.21", **terms) as grant:
        taken = world.lgsp("client", "feed-export", INDICATOR, str(table), "--identity", identity)
        assert taken["ok"], taken
    with table.open(encoding="utf-8-sig", newline="") as file:
        (row,) = (each for each in csv.DictReader(file) if each["id"] == sent)
    (value,) = json.loads(row["data.values"])
    assert value["note"] == values["values"][0]["note"] and value["responsible"] == {"absent": "not-permitted"}
    readings = [each["facts"] for each in log(instance) if each.get("what", "").startswith("feed-read")]
    assert (grant, INDICATOR) in {(each.get("grant"), each["contract"]) for each in readings}


@pytest.mark.obligation("10.5")
def test_a_report_has_the_figures_of_its_entry_in_the_log(world: World, instance: Settings, tmp_path: Path) -> None:
    """Article 10.5: a report's figures are in the log by their digest, and each copy of it has the same bytes."""
    accepted(world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm()))
    day, data = today(), ("--data", str(world.data))
    made = world.lgsp("report", "make", "--from", day, "--until", day, *data)
    (entry,) = (each for each in log(instance) if each["transfer"] == made["report"])
    assert entry["facts"]["sha256"] == made["sha256"] and entry["what"] == "report"
    copies: dict[str, set[bytes]] = {form: set() for form in ("json", "pdf", "docx", "xlsx")}
    for form, written in copies.items():
        for number in range(2):
            file = tmp_path / f"{number}.{form}"
            world.lgsp("report", "show", made["report"], "--format", form, "--out", str(file), *data)
            written.add(file.read_bytes())
    assert {len(each) for each in copies.values()} == {1}
    (figures,) = copies["json"]
    assert hashlib.sha256(figures).hexdigest() == made["sha256"]


@pytest.mark.obligation("10.3")
async def test_a_system_that_is_killed_raises_an_alarm_to_its_contact(post: Post) -> None:
    """Article 10.3: a system that takes no connections raises one alarm in three minutes, logged and mailed."""
    post.clock[0] = noon = datetime(2026, 11, 27, 12, tzinfo=VIETNAM).timestamp()
    parts: dict[str, Any] = {"engine": post.engine, "lock": lock_of(post.engine), "registry": post.registry}
    parts["clock"] = lambda: post.clock[0]
    probing = Probing(**parts, probe=ConnectionProbe(Peers(post.tls)), hold=120.0)
    late = LateData(lambda: post.clock[0])
    watching = Watching(**parts, queue_seconds=600.0, late=late, mails=True)
    await post.provider.stop()
    for _ in range(4):
        post.clock[0] += 60
        await probing.run_once(post.lease)
        await watching.run_once(post.lease)
    with post.engine.connect() as connection:
        (alarm,) = (each for each in alarms.raised(connection) if each.system == "truong-ha")
        mails = connection.scalars(select(tables.mail.c.system)).all()
        noted = connection.scalars(
            select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "alarm")
        ).all()
    assert alarm.raised is not None and alarm.raised - noon <= 180 and "truong-ha" in mails
    assert "truong-ha" in {json.loads(bytes(entry))["facts"]["provider"] for entry in noted}


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

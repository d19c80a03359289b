"""The whole gateway killed with signal 9 in the middle of many calls, and started again: nothing lost, nothing twice,
nothing unnamed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings, running, world_of
from examples.story.exchange import ALERTS, REPORTS, read_feed
from gateway.cli.run import ensure_instance
from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.stored import rows

pytestmark = pytest.mark.server

CALLS = 400


def start(settings: Settings) -> subprocess.Popen[str]:
    """The instance in a process group of its own, so that all of it can be killed at once."""
    command = [
        sys.executable,
        "-m",
        "gateway",
        "up",
        "--json",
        "--data",
        str(settings.data),
        "--without",
        "traffic",
        "--without",
        "truong-ha",
    ]
    log = (settings.data / "kill.log").open("wb")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line and json.loads(line)["ok"], (settings.data / "kill.log").read_text("utf-8", "replace")
    return process


def descendants(pid: int) -> list[int]:
    """The process and all its children, found in /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def kill_all(process: subprocess.Popen[str]) -> None:
    everything = descendants(process.pid)
    for one in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: nobody may react to another's death
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, one)
    process.wait(60)


async def submit(
    identities: Path, acknowledged: dict[str, str], dispatched: dict[str, str], read: set[int], kill_at: asyncio.Event
) -> None:
    """Alerts and reports from many connections, once the centre has read a first one; what was acknowledged is
    remembered by transfer."""
    fire, reports = (RestClient(Identity.load(identities / name)) for name in ("bao-chay", "phan-anh"))
    async with AsyncRestClient(fire, connections=8) as alerts, AsyncRestClient(reports, connections=8) as dispatch:
        await asyncio.gather(alerts.token(), dispatch.token())

        async def one(number: int) -> None:
            try:
                if number % 2:
                    identifier = f"KILL-{uuid.uuid4()}"
                    answer = await alerts.call(
                        "POST", "/incident-alert/v1/alerts", messages.fire_alarm(identifier=identifier)
                    )
                    if answer.ok:
                        acknowledged[identifier] = answer.json()["transfer"]
                else:
                    answer = await dispatch.call(
                        "POST", "/field-report/v1/requests", messages.field_report(area="01273")
                    )
                    if answer.ok:
                        dispatched[answer.headers["lgsp-transfer"]] = str(answer.status)
            except (ClientError, OSError, asyncio.CancelledError):
                return
            if len(acknowledged) + len(dispatched) >= CALLS // 8:
                kill_at.set()

        await one(1)
        while not read:
            await asyncio.sleep(0.02)
        await asyncio.gather(*(one(number) for number in range(CALLS)))


async def read_on(identities: Path, read: set[int]) -> None:
    """The centre, which reads the feed page by page until the gateway is gone; `read` gets the offsets."""
    client, after = RestClient(Identity.load(identities / "dieu-hanh")), ""
    async with AsyncRestClient(client, connections=1) as centre:
        try:
            while True:
                answer = await centre.call("GET", f"/feeds/{ALERTS}?limit=5" + (f"&after={after}" if after else ""))
                page = answer.json()
                read |= {int(event["sequence"]) for event in page["events"]}
                after = page["next"]
                await asyncio.sleep(0.01)
        except (ClientError, OSError, KeyError):
            return


async def submit_and_kill(
    settings: Settings, process: subprocess.Popen[str]
) -> tuple[dict[str, str], dict[str, str], set[int]]:
    acknowledged: dict[str, str] = {}
    dispatched: dict[str, str] = {}
    read: set[int] = set()
    kill_at = asyncio.Event()
    calls = asyncio.create_task(submit(settings.identities, acknowledged, dispatched, read, kill_at))
    reading = asyncio.create_task(read_on(settings.identities, read))
    async with asyncio.timeout(60):
        await kill_at.wait()
    await asyncio.to_thread(kill_all, process)
    await asyncio.gather(calls, reading)
    return acknowledged, dispatched, read


def test_killed_in_the_middle(place: Path) -> None:
    settings = demo_settings(place)
    ensure_instance(settings, say_progress=False)
    process = start(settings)
    try:
        acknowledged, dispatched, read = asyncio.run(submit_and_kill(settings, process))
    finally:
        if process.poll() is None:
            process.kill()
    assert len(acknowledged) + len(dispatched) < CALLS, "the kill came too late to prove anything"
    # What the centre had read when all was killed lies within the range that an entry gave before.
    logged = "select entry from {} where phase = 'feed-read'"
    entries = [row for table in ("log_entry", "log_pending") for row in rows(settings, logged.format(table))]
    ranges = [json.loads(entry)["facts"] for (entry,) in entries]
    assert read and all(any(each["from"] <= offset <= each["to"] for each in ranges) for offset in read), ranges
    forwarding = {transfer for (transfer,) in rows(settings, "select id from transfer where state = 'forwarding'")}
    print("acknowledged", len(acknowledged), "dispatched", len(dispatched), "in flight", len(forwarding))

    with running(settings):
        world = world_of(settings)
        events = world.wait("all acknowledged alerts in the feed", lambda: _complete(world, acknowledged))
        counts = Counter(event["data"]["identifier"] for event in events)
        assert not {name: count for name, count in counts.items() if count != 1}, "each appears once"

        # What the agency received was logged as an intent before it left, and nothing was carried out twice.
        world.wait(
            "what was in flight is settled",
            lambda: not rows(settings, "select id from transfer where state in ('forwarding', 'queued')"),
            120.0,
        )
        # An outcome is on disk before it has its index: the log is read once the keeper has sequenced all of it.
        world.wait(
            "everything written has its place in log and feed",
            lambda: not rows(settings, "select id from log_pending union all select id from feed_pending"),
        )
        seen = world.seen("do-thi")
        intents = {transfer for (transfer,) in rows(settings, "select transfer from log_entry where phase = 'intent'")}
        assert {item["transfer"] for item in seen["transfers"]} <= intents
        assert seen["records"] == len({item["transfer"] for item in seen["transfers"]})

        # What was in flight is in doubt, each by name; since the operation is idempotent it was then sent again.
        doubts = {transfer for (transfer,) in rows(settings, "select transfer from log_entry where phase = 'in-doubt'")}
        assert doubts == forwarding
        finished = {
            transfer for (transfer,) in rows(settings, "select transfer from log_entry where phase = 'outcome'")
        }
        assert doubts | set(dispatched) | set(acknowledged.values()) <= finished

        # The business key of each alert was written with it: none without its event, none lost, none used twice.
        keyed = rows(settings, "select transfer, state, changed from feed_key where contract = 'incident-alert/v1'")
        fed = rows(settings, "select transfer from feed_event where contract = 'incident-alert/v1'")
        assert Counter(transfer for transfer, _, _ in keyed) == Counter(transfer for (transfer,) in fed)
        assert {(state, changed == transfer) for transfer, state, changed in keyed} == {("live", True)}

        # Each report that was handled, before the kill or after, is told in the feed of reports once.
        answered = rows(settings, "select id from transfer where pattern = 'dispatch' and state = 'answered'")
        told = read_feed(world, REPORTS)
        assert {event["type"].rpartition(":")[2] for event in told} == {"handled"}
        assert Counter(event["id"] for event in told) == Counter(transfer for (transfer,) in answered)
        assert {transfer for transfer, status in dispatched.items() if status == "200"} <= {each["id"] for each in told}
        assert doubts <= {each["id"] for each in told} and all(
            set(each["data"]) == {"request", "answer"} for each in told
        )

        # Each message that was taken in is handled: once, whenever the keeper was killed.
        query = "select transfer from feed_event where contract in ('incident-alert/v1', 'field-report/v1')"
        messages_in = [transfer for (transfer,) in rows(settings, query)]
        world.wait(
            "each message has a handling",
            lambda: len(rows(settings, "select transfer from handling")) >= len(messages_in),
        )
        handled = [transfer for (transfer,) in rows(settings, "select transfer from handling")]
        assert Counter(handled) == Counter(messages_in) and set(acknowledged.values()) <= set(handled)

        verified = world.lgsp(
            "audit",
            "verify",
            "--data",
            str(settings.data),
            "--vkey",
            str(settings.identities / "bao-chay" / "log.vkey"),
        )
        assert verified["ok"], verified


def _complete(world: Any, acknowledged: dict[str, str]) -> list[dict[str, Any]] | None:
    events = read_feed(world, ALERTS)
    return events if set(acknowledged) <= {event["data"]["identifier"] for event in events} else None

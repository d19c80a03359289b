"""One part of the instance killed, stopped, slowed down, lied to, under load: nothing that was acknowledged is lost,
all of it goes on."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from bench.demo import demo_settings, world_of
from examples.story.exchange import ALERTS, QUESTION, read_feed
from examples.story.world import World
from gateway.cli.run import ensure_instance
from gateway.client import AsyncClient, Identity
from gateway.processes.supervisor import RELOADED
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.attacks.raw import Told, connect, head, of, read_one
from tests.faults.load import ALERT, Load, all_in_feed, child, children, descriptors_at_rest, gone, until
from tests.faults.test_kill import start
from tests.faults.webhooks import following
from tests.size import FULL
from tests.stored import rows

pytestmark = [pytest.mark.full, pytest.mark.server]

SOME = 200 if FULL else 40
SLOWEST = 10.0  # events a second of a receiver that lies, on a slow machine
VALUES = messages.indicator_question(**QUESTION)


class Instance:
    """May be started anew; what was started is ended."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[str] = start(settings)
        self.world: World = world_of(settings)

    @property
    def pid(self) -> int:
        return self.process.pid

    def restart(self) -> None:
        self.end()
        self.process = start(self.settings)
        self.world = world_of(self.settings)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    settings = replace(
        demo_settings(tmp_path_factory.mktemp("faults") / "data"),
        body_seconds=2.0,
        provider_seconds=8.0,
        stream_seconds=2.0,
        push_networks="127.0.0.0/8",
    )
    ensure_instance(settings, say_progress=False)
    made = Instance(settings)
    yield made
    made.end()


def problem(answer: Any) -> tuple[int, str]:
    assert answer.problem is not None, answer.body[:300]
    return answer.status, answer.problem["code"]


def test_a_door_is_killed(one: Instance) -> None:
    with Load(one.settings) as load:
        load.wait(SOME)
        victim = child(one.pid, "door")
        os.kill(victim, signal.SIGKILL)
        load.wait(SOME)
        until(
            "a new door",
            lambda: sum("door" in words for words in children(one.pid).values()) == one.settings.door_count,
        )
    assert victim not in children(one.pid)
    counts = all_in_feed(one.world, load.acknowledged)
    assert set(counts.values()) == {1}
    assert set(load.others) <= {"journal.unavailable", "journal.fenced", "journal.busy"}


def test_a_stream_goes_on_when_its_door_is_killed(one: Instance) -> None:
    seen: list[str] = []
    stop = threading.Event()

    async def follow() -> None:
        client = AsyncClient(Identity.load(one.settings.identities / "dieu-hanh"), state=one.settings.data / "follower")
        async with client, aclosing(client.stream("incident-alert/v1")) as events:
            async for _, event in events:
                seen.append(event["data"]["identifier"])
                if stop.is_set():
                    return

    reader = threading.Thread(target=lambda: asyncio.run(follow()), daemon=True)
    reader.start()
    with Load(one.settings) as load:
        for _ in range(2):
            load.wait(SOME)
            os.kill(child(one.pid, "door"), signal.SIGKILL)
        load.wait(SOME)
    until("all that was acknowledged in the stream", lambda: set(load.acknowledged) <= set(seen))
    stop.set()
    with Load(one.settings) as last:
        last.wait(1)
        reader.join(60)
    stood = [event["data"]["identifier"] for event in read_feed(one.world, ALERTS)]
    assert seen == stood[: len(seen)], "nothing is missing, nothing comes twice, in the order of the feed"


def test_the_keeper_is_killed(one: Instance) -> None:
    with Load(one.settings) as load:
        load.wait(SOME)
        os.kill(child(one.pid, "keeper"), signal.SIGKILL)
        load.wait(SOME)
        report = one.world.rest("phan-anh").call(
            "POST", "/field-report/v1/requests", messages.field_report(area="01273")
        )
        assert report.status in (200, 202)
    assert not load.others and not load.unanswered, "doors need no keeper to take messages"
    assert set(all_in_feed(one.world, load.acknowledged, 30.0).values()) == {1}


def test_the_keeper_is_killed_while_it_pushes_a_feed_to_a_receiver_that_lies(one: Instance) -> None:
    """The load is slower than the receiver takes: unpaced, it hands in ten times as much as a receiver takes that
    refuses every fifth delivery of twenty, and what waits grows with the kills."""
    kills = 30 if FULL else 2
    with following(one.settings, "dieu-hanh", ALERTS) as receiver:
        with Load(one.settings, connections=2, pause=0.1) as load:
            for _ in range(kills):
                receiver.wait(1)
                os.kill(child(one.pid, "keeper"), signal.SIGKILL)
            load.wait(SOME)
        sent = set(load.acknowledged.values())
        patience = 60.0 + len(sent) / SLOWEST
        until("each acknowledged message at the receiver", lambda: sent <= set(receiver.events), patience)
        print(
            f"the keeper killed {kills} times: {len(sent)} messages acknowledged, {len(load.others)} refused, "
            f"{len(load.unanswered)} unanswered; {len(receiver.events)} events at the receiver, {receiver.again} again"
        )
        offsets = list(receiver.events.values())
        assert offsets == sorted(offsets), "in the order of the feed"
        assert receiver.again, "some came twice, under one id"


def test_the_desk_is_killed(one: Instance) -> None:
    def status() -> bool:
        try:
            with urlopen(f"{one.settings.desk}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    os.kill(child(one.pid, "desk"), signal.SIGKILL)
    assert one.world.rest("y-te").call("GET", VALUES).ok, "the doors do not need it"
    until("a new desk", status)


def test_the_fork_server_is_killed(one: Instance) -> None:
    """What it forked lives on, and what has to be started next is started."""
    before = children(one.pid)
    server, victim = child(one.pid, "forkserver"), child(one.pid, "door")
    os.kill(server, signal.SIGKILL)
    until("its end", lambda: gone(server), 15)
    assert one.world.rest("y-te").call("GET", VALUES).ok
    os.kill(victim, signal.SIGKILL)
    until("its end", lambda: victim not in children(one.pid), 15)
    until(
        "a new door",
        lambda: sum("door" in words for words in children(one.pid).values()) == one.settings.door_count,
        60,
    )
    after = children(one.pid)
    assert child(one.pid, "forkserver") != server
    assert {*before} - {server, victim} <= {*after}, "nobody else was started anew"
    assert one.world.rest("y-te").call("GET", VALUES).ok


def test_a_door_cannot_be_started_for_a_while(one: Instance) -> None:
    """The limit of open files is met: it is said, the others go on, and the door is there when there is room again."""
    open_ones, victim = descriptors_at_rest(one.pid), child(one.pid, "door")
    soft, hard = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (3, hard))  # a number freed below the limit would be given again
    log = one.settings.data / "kill.log"
    try:
        os.kill(victim, signal.SIGKILL)
        until(
            "the word of it",
            lambda: re.search(r"door-\d could not be started: Too many open files", log.read_text("utf-8", "replace")),
            30,
        )
        assert one.process.poll() is None and victim not in children(one.pid)
    finally:
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (soft, hard))
    until(
        "a new door",
        lambda: sum("door" in words for words in children(one.pid).values()) == one.settings.door_count,
        60,
    )
    until("no descriptor lost", lambda: descriptors_at_rest(one.pid) <= open_ones, 30)
    assert one.world.rest("y-te").call("GET", VALUES).ok


def test_a_reload_whose_end_cannot_be_noted(one: Instance) -> None:
    """As on a full disk: the note of it is nothing that an instance should end for."""
    taken, log = one.settings.run / f".{RELOADED}", one.settings.data / "kill.log"
    taken.mkdir()
    before = children(one.pid)
    one.process.send_signal(signal.SIGHUP)
    until(
        "the word of it", lambda: "what became of the reload cannot be noted" in log.read_text("utf-8", "replace"), 120
    )
    taken.rmdir()
    assert one.process.poll() is None and child(one.pid, "door") not in before
    assert one.world.rest("y-te").call("GET", VALUES).ok


def test_told_to_stop_while_the_fork_server_hangs(one: Instance) -> None:
    os.kill(child(one.pid, "forkserver"), signal.SIGSTOP)
    os.kill(child(one.pid, "door"), signal.SIGKILL)
    time.sleep(0.5)  # the supervisor asks it for a new one by now
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(60) == 0
    one.restart()
    assert one.world.rest("y-te").call("GET", VALUES).ok


def test_a_body_that_does_not_come(one: Instance) -> None:
    """Slowly, or not at all: told after the time for bodies, and the connection ends."""
    identity = one.world.identity("bao-chay")
    for address, code in (
        (ALERT, b"body.too-slow"),
        ("/soap/incident-alert/v1", b"body.too-slow"),
        ("/oauth/token", b"body.too-slow"),
    ):
        with connect(identity) as sock:
            began = time.monotonic()
            sock.sendall(head("POST", address, [("content-length", "1000"), ("content-type", "application/json")]))
            sock.settimeout(0.3)
            told = None
            while told is None and time.monotonic() - began < 60 * one.settings.body_seconds:
                sock.sendall(b" ")
                try:
                    told, _ = read_one(sock)
                except TimeoutError:
                    continue
            assert told is not None and code in told.body and told.headers["connection"] == "close"
            assert told.status == (500 if "soap" in address else 408)
            assert time.monotonic() - began >= one.settings.body_seconds
    assert one.world.rest("y-te").call("GET", VALUES).ok


@pytest.mark.parametrize(
    ("kind", "status", "codes"),
    [
        ("wrong-status", 502, {"provider.fault"}),
        ("malformed", 502, {"provider.bad-answer"}),
        ("bad-signature", 502, {"provider.bad-signature"}),
        ("close", 502, {"provider.dropped"}),
        ("slow", 504, {"provider.timeout"}),
    ],
)
def test_a_provider_does_wrong(one: Instance, kind: str, status: int, codes: set[str]) -> None:
    one.world.fault(
        "kinh-te", kind, seconds=20.0, count=2 if kind == "close" else 1
    )  # a dropped question is asked once more at once
    got, code = problem(one.world.rest("y-te").call("GET", VALUES))
    assert got == status and code in codes
    answer = one.world.rest("y-te").call("GET", VALUES)
    assert answer.ok, "the next one is well again"


def test_a_suspended_agency_is_refused_on_its_live_connection(one: Instance, tmp_path: Path) -> None:
    document = yaml.safe_load(resources.files("gateway.sandbox").joinpath("province.yaml").read_bytes())
    client = one.world.rest("y-te")
    assert client.call("GET", VALUES).ok
    with connect(client.identity) as sock:
        sock.sendall(of(client.prepare("GET", VALUES)))
        assert (told := read_one(sock)[0]) is not None and told.status == 200
        for state, status in (("suspended", 403), ("active", 200)):
            for agency in document["agencies"]:
                if agency["code"] == client.identity.agency:
                    agency["state"] = state
            file = tmp_path / f"{state}.yaml"
            file.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
            assert one.world.lgsp("registry", "apply", str(file), "--data", str(one.settings.data))["changes"]

            def asked(status: int = status) -> Told | None:
                sock.sendall(of(client.prepare("GET", VALUES)))
                told = read_one(sock)[0]
                assert told is not None
                return told if told.status == status else None

            told = until(f"{status} on the live connection", asked)
            assert told.code == ("channel.suspended" if state == "suspended" else "")


def test_a_door_told_to_stop_waits_for_a_slow_provider(tmp_path: Path) -> None:
    """As long as a provider may take: the caller gets the answer, and no transfer is left in doubt."""
    settings = replace(demo_settings(tmp_path / "data"), provider_seconds=20.0)
    ensure_instance(settings, say_progress=False)
    slow = Instance(settings)
    try:
        client = slow.world.rest("y-te")
        client.token()
        slow.world.fault("kinh-te", "slow", seconds=15.0)  # it is told to stop within them
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.call, "GET", VALUES)
            until("the call on its way", lambda: rows(settings, "select id from transfer where state = 'forwarding'"))
            for number, words in children(slow.pid).items():
                if "door" in words:
                    os.kill(number, signal.SIGTERM)
            assert answer.result(60).ok
        assert not rows(settings, "select transfer from log_entry where phase = 'in-doubt'")
    finally:
        slow.end()


def test_told_to_stop_under_load(one: Instance) -> None:
    """Whatever was taken in was answered; whoever was not answered was not taken in."""
    with Load(one.settings) as load:
        load.wait(SOME)
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(60)
        taken = {
            name for (name,) in rows(one.settings, "select id from transfer where contract like 'incident-alert%'")
        }
        time.sleep(0.3)
    assert set(load.acknowledged.values()) <= taken
    assert not load.others
    mine = {
        transfer
        for (transfer,) in rows(
            one.settings, "select id from transfer where state not in ('accepted', 'answered', 'failed', 'dead')"
        )
    }
    assert not mine, "nothing is left open"
    one.restart()
    counts = all_in_feed(one.world, load.acknowledged)
    assert set(counts.values()) == {1}
    assert not [name for name in load.unanswered if name in counts], "taken in, and the caller never heard of it"


def test_replayed_across_a_restart_that_was_a_crash(one: Instance) -> None:
    """The supervisor killed: everything it started ends. Started again, it knows what it had seen."""
    client = one.world.rest("bao-chay")
    message_id, message = str(uuid.uuid4()), messages.fire_alarm()
    prepared = client.prepare("POST", ALERT, message, message_id=message_id)
    first = client.send(prepared)
    assert first.ok
    family = [one.pid, *children(one.pid)]
    one.process.kill()
    one.process.wait()
    until("all children end", lambda: all(gone(pid) for pid in family))
    one.restart()
    client = one.world.rest("bao-chay")
    assert problem(client.send(prepared)) == (409, "message.replayed")
    again = client.call("POST", ALERT, message, message_id=message_id)
    assert again.ok and again.body == first.body
    other = client.call("POST", ALERT, {**message, "ghiChu": "khác"}, message_id=message_id)
    assert problem(other) == (409, "message.other-body")
    verified = one.world.lgsp(
        "audit",
        "verify",
        "--data",
        str(one.settings.data),
        "--vkey",
        str(one.settings.identities / "bao-chay" / "log.vkey"),
    )
    assert verified["ok"], verified

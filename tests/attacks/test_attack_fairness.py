"""One registered agency sends whatever costs most, on eight connections; another one on the same door hardly
notices."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import pytest
from lxml import etree

from examples.story.world import World
from gateway.doors.http.costs import LARGE
from gateway.sandbox.standins import messages
from tests.attacks.conftest import BODY_SECONDS, Judge
from tests.attacks.hostile import CONNECTIONS
from tests.attacks.raw import connect, of, read_one
from tests.attacks.test_attack_http import ALERTS
from tests.faults.load import until
from tests.size import FULL

pytestmark = [pytest.mark.full, pytest.mark.server]

MEGABYTES = 3.0
WINDOWS, SECONDS = (8, 10.0) if FULL else (3, 2.0)
TIMES = 5.0  # what others may notice: their slow calls take so many times as long as alone
ROUNDS = 3  # at most: a machine that was busy with something else is measured again
FLOOR = 0.02  # seconds: shorter ones are the machine's own noise
REASONS = {
    "body.encryption-profile",
    "body.too-costly",
    "body.too-slow",
    "limit.agency",
    "limit.cost",
    "message.invalid",
    "message.not-json",
}


class Hostile:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def count(self) -> int:
        """How many answers came."""
        self.say("count")
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def end(self) -> list[tuple[str, str, int, str]]:
        """Each body that was sent: its name, the code and status of the answer, and its transfer."""
        out, _ = self._process.communicate(timeout=120)
        return [tuple(json.loads(line)) for line in out.splitlines()]


@contextmanager
def hostile(world: World) -> Iterator[Hostile]:
    words = [str(world.identities), str(MEGABYTES), str(BODY_SECONDS)]
    command = [sys.executable, "-m", "tests.attacks.hostile", *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield Hostile(process)
    finally:
        process.kill()
        process.wait()


class Honest:
    """Alerts of one agency, one after the other on one connection a window: a door ends one that is idle."""

    def __init__(self, world: World) -> None:
        self._identity, self._client = world.identity("bao-chay"), world.rest("bao-chay")
        self._client.token()

    def _call(self, sock: socket.socket) -> float:
        data = of(self._client.prepare("POST", ALERTS, messages.fire_alarm()))
        began = time.perf_counter()
        sock.sendall(data)
        told, _ = read_one(sock)
        assert told is not None and told.status == 200, told
        return time.perf_counter() - began

    def window(self, seconds: float) -> list[float]:
        times: list[float] = []
        end = time.monotonic() + seconds
        with connect(self._identity) as sock:
            self._call(sock)  # the first one of a connection is another matter
            while not times or time.monotonic() < end:
                times.append(self._call(sock))
        return times


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def fair(alone: float, beside: float) -> bool:
    return beside <= TIMES * max(FLOOR, alone)


@pytest.mark.attack("limits")
def test_eight_hostile_connections_of_one_agency(narrow: World) -> None:
    honest = Honest(narrow)
    honest.window(1.0)
    rounds: list[tuple[float, float]] = []  # slow calls alone and beside the others
    with hostile(narrow) as others:
        while len(rounds) < ROUNDS and not (rounds and fair(*rounds[-1])):
            alone: list[float] = []
            beside: list[float] = []
            for _ in range(WINDOWS):
                alone += honest.window(SECONDS)
                others.say("go")
                begun = others.count() + CONNECTIONS
                until("the others are at it", lambda: others.count() >= begun, 120)  # noqa: B023
                beside += honest.window(SECONDS)
                others.say("rest")
                time.sleep(2.5)  # what is under way ends by its deadline
            rounds.append((p99(alone), p99(beside)))
        told = others.end()
    counted = Counter((name, code) for name, code, _, _ in told)
    print("alone and beside", rounds, counted)
    assert len(told) >= CONNECTIONS, counted
    assert all(status >= 400 and transfer for _, _, status, transfer in told), counted
    judge = Judge(narrow)
    judge.told = {transfer: (code, status) for _, code, status, transfer in told}
    logged = judge.log()
    for (
        name,
        code,
        _,
        transfer,
    ) in told:  # what is said of an encrypted body is encrypted, so that the log alone can be asked
        (reason,) = logged[transfer]
        assert reason in REASONS and (code == reason or not code and name == "encrypted junk"), (name, code, reason)
    found = narrow.lgsp(
        "audit",
        "search",
        "--agency",
        "H14.2",
        "--kind",
        "refusal",
        "--limit",
        "1000",
        "--order",
        "oldest",
        "--data",
        str(narrow.data),
    )
    assert {each["transfer"] for each in found["entries"]} >= set(list(judge.told)[:100])
    assert fair(*rounds[-1]), (rounds, counted)


def test_large_messages_are_taken(world: World) -> None:
    """Honest ones, by REST and by SOAP: read elsewhere, answered the same."""
    message = messages.fire_alarm()
    message["chiTiet"] = [
        {**message["chiTiet"][0], "noiDung": "Đám cháy lan sang khu dân cư. " * 200} for _ in range(20)
    ]
    client = world.rest("bao-chay")
    assert client.call("POST", ALERTS, message).status == 200
    refused = client.call("POST", ALERTS, {**message, "la": "x" * 70_000})
    assert refused.problem is not None and refused.problem["code"] == "message.invalid" and refused.verified
    envelope = etree.fromstring(messages.cap_alert())
    info = envelope.find(f"{{{messages.CAP}}}info")
    text = envelope.find(f"{{{messages.CAP}}}info/{{{messages.CAP}}}description")
    assert info is not None and text is not None
    text.text = "Mưa rất to. " * 300
    for _ in range(18):
        info.addnext(deepcopy(info))
    assert len(etree.tostring(envelope)) > LARGE
    assert world.soap("canh-bao").call("incident-alert/v1", "submitAlert", envelope).ok

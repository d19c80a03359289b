"""A second machine, live: it joins into an empty folder, is called, gets later keys, is drained, and removed."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from bench.demo import demo_settings, running
from bench.ports import free_ports
from gateway.cli.run import ensure_instance
from gateway.keys.keyring import Keyring
from gateway.settings import WHOLE, Settings, load
from gateway.settings.running import is_running
from tests import commandline
from tests.faults.load import Load, until
from tests.journal.databases import fresh_url
from tests.machines.joining import invited, joined, shared_vault, sharing
from tests.size import FULL

pytestmark = [pytest.mark.full, pytest.mark.server]
REASON = ("--reason", "tried in a test")
ROOT = Path(__file__).resolve().parents[2]
EVERY, DRAFTED = (1, 24) if FULL else (3, 18)
# A program that ends itself by signal 9 before its step number sys.argv[1]: a change in the folder sys.argv[2], a
# connection, or the first wait. With "draft" it ends before the folder is declared whole too, with "whole" the steps
# after that are counted alone. What follows are the words of the command.
KILLED_AT = """
import os, sys
from gateway.cli import main
from gateway.settings import WHOLE
left, folder, stage, waited = int(sys.argv[1]), sys.argv[2], sys.argv[3], False
sys.argv[1:] = sys.argv[4:]
counts = stage == "draft" or os.path.exists(os.path.join(folder, WHOLE))
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod")
def step(event, args):
    global left, waited, counts
    first = event == "time.sleep" and not waited
    waited = waited or first
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if first or event == "socket.connect" or (event in CHANGES or writes) and folder in str(args[0]):
        left -= counts
        declared = event == "os.rename" and str(args[1]).endswith(WHOLE)
        if not left or declared and stage == "draft":
            os.kill(os.getpid(), 9)
        counts = counts or declared
sys.addaudithook(step)
main()
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    place = tmp_path_factory.mktemp("machines")
    settings = replace(demo_settings(place / "first"), database=fresh_url("postgresql", place), doors=1, machine="one")
    settings = replace(settings, database_seconds=30.0, drain_seconds=2.0)  # of a machine that is busy with other tests
    ensure_instance(settings, say_progress=False)
    with running(settings) as up:
        yield up


@pytest.fixture(scope="module")
def second(first: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running(joined(first, tmp_path_factory.mktemp("further"), "two")) as up:
        yield up


def lgsp(settings: Settings, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        commandline.forked(*words, "--data", str(settings.data), "--json", seconds=500).out
    )
    return found


def listed(settings: Settings) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in lgsp(settings, "machine", "list")["machines"]}


def ready(settings: Settings) -> tuple[int, str]:
    """Status and answer of /readyz."""
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE  # only the status is asked
    try:
        with urllib.request.urlopen(f"{settings.base}/readyz", timeout=60, context=insecure) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as refused:
        return int(refused.code), refused.read().decode()


def signing(settings: Settings) -> bytes:
    return Keyring(settings).current("sign").pem()


def test_it_has_the_keys_and_is_called(first: Settings, second: Settings) -> None:
    assert signing(second) == signing(first)
    assert not (second.authority / "root.key").exists()
    with Load(second, connections=1) as load:
        load.wait(3)
    until("both beat", lambda: all(each["processes"] for each in listed(first).values()))
    found = listed(first)
    assert {name: each["state"] for name, each in found.items()} == {"one": "active", "two": "active"}
    assert set(found["two"]["processes"]) >= {"door", "keeper", "files"}
    assert not any(each["behind"] for each in found.values())


def test_a_second_use_of_the_invitation_is_told_in_its_words(first: Settings, second: Settings, tmp_path: Path) -> None:
    used = second.data.parent / "two.json"
    again = json.loads(commandline.forked("machine", "join", str(used), "--data", str(tmp_path / "x"), "--json").out)
    assert again["error"]["code"] == "machine.invitation-used", again
    assert not [*(tmp_path / "x").iterdir()], "nothing is left of it"


def test_keys_that_are_rotated_reach_it_and_no_call_is_refused(first: Settings, second: Settings) -> None:
    before = signing(first)
    with Load(first, connections=1) as here, Load(second, connections=1) as there:
        for load in (here, there):
            load.wait(2)
        rotated = lgsp(first, "keys", "rotate", "sign", "client")
        assert rotated["ok"], rotated
        assert signing(first) != before
        until("the other has them", lambda: signing(second) == signing(first), 120)
        until("nobody is behind", lambda: not any(each["behind"] for each in listed(first).values()), 120)
        for load in (here, there):
            load.wait(20, 120)
    assert not here.others and not there.others, (here.others, there.others)
    assert not here.unanswered and not there.unanswered


def test_a_join_that_was_killed_at_any_step_goes_on(first: Settings, tmp_path: Path) -> None:
    """By signal 9 before a step (`KILLED_AT`), always a later one: in the draft, then in what is declared whole."""
    place, (exchange, desk) = tmp_path / "three", map(str, free_ports(2))
    shared_vault(first, first.data.parent / "vault")
    invited(first, "three", tmp_path / "three.json")
    words = ["machine", "join", str(tmp_path / "three.json"), "--data", str(place), "--json"]
    words += ["--exchange-port", exchange, "--desk-port", desk]

    def join(step: int, stage: str) -> int:
        line = [sys.executable, "-c", KILLED_AT, str(step), str(place), stage, *words]
        ended = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert ended.returncode == -SIGKILL or json.loads(ended.stdout)["machine"] == "three", ended
        return ended.returncode

    for step in range(1, DRAFTED, EVERY):
        assert join(step, "draft") == -SIGKILL and not (place / WHOLE).exists()
    step = 1
    while join(step, "whole"):
        step += 1
    assert step > 2
    assert join(10**6, "whole") == 0, "it has joined already"
    said = commandline.forked("machine", "join", str(tmp_path / "three.json"), "--data", str(place)).out
    assert f"lgsp up --data {place} · lgsp machine list --data {place}" in said, said
    third = load(place, {})
    assert not list(place.glob(".*")) and signing(third) == signing(first), "nothing is left of the attempts"
    with running(sharing(first, third)):
        until("it beats", lambda: listed(first)["three"]["processes"])
    assert lgsp(first, "machine", "remove", "three", *REASON)["ok"]


def test_drained_and_taken_back(first: Settings, second: Settings) -> None:
    with Load(second, connections=1) as load:
        load.wait(2)
        assert lgsp(first, "machine", "drain", "two", *REASON)["ok"]
        until("callers are told", lambda: load.others.get("machine.draining"))
        until("it says so", lambda: ready(second)[0] == 503)
        assert "machine.draining" in ready(second)[1]
        assert set(load.others) == {"machine.draining"}, load.others
        assert ready(first)[0] == 200
        assert lgsp(first, "machine", "drain", "two", "--end", *REASON)["ok"]
        load.wait(3)
    until("it is ready again", lambda: ready(second)[0] == 200)


def test_removed(first: Settings, second: Settings) -> None:
    told = lgsp(first, "machine", "remove", "two", *REASON)
    assert told["ok"] and "ca renew" in told["next"][0] and "keys rotate" in told["next"][1], told
    until("it has stopped", lambda: not is_running(second.data), 120)
    until("it says why", lambda: "machine.removed" in (second.data / "demo.log").read_text("utf-8"))
    began = time.monotonic()
    again = lgsp(second, "up")
    assert again["error"]["code"] == "machine.removed", again
    print(f"refused after {time.monotonic() - began:.1f} s")
    assert not listed(first)["two"]["processes"]
    assert lgsp(first, "machine", "remove", "one", *REASON)["error"]["code"] == "machine.last"
    with Load(first, connections=1) as load:
        load.wait(2)
    found = lgsp(first, "machine", "drain", "two", *REASON)
    assert found["error"]["code"] == "machine.other-state"

"""A contract published again and again while calls run, by the command line, in real processes: no call lost, none of
two versions."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings, running, world_of
from examples.story.exchange import ALERTS, QUESTION, read_feed
from examples.story.world import World
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.registry.seals.sealing import Seal
from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.officers import sign_waiting
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.callers import Callers
from tests.faults.load import until
from tests.following import everywhere
from tests.registry.editions import NAME, begin_at_first, edition, mark, operation, unplaced, written
from tests.registry.making import WHOLE
from tests.stored import rows

pytestmark = [pytest.mark.full, pytest.mark.server]

TIMES = 5
PAUSE = 0.02  # seconds between the calls of one caller: those of other tests share the machine
QUERY = messages.indicator_question(**QUESTION)
_ECONOMY = "    formats: {indicator/v1: kinh-te-json}\n"
_CENTRE = "  - id: dieu-hanh\n"


@dataclass
class Move:
    """A version: when its command began, and a moment at which all doors were known to work with it."""

    start: float
    version: int
    done: float = float("inf")


@dataclass(frozen=True)
class Seen:
    """A call: when it began and ended, by whom, and the marks in its answer; each version has one more, each mark a
    value of its own."""

    start: float
    end: float
    who: str
    transfer: str
    marks: tuple[str, ...]


class Calls(Callers):
    """Calls without a pause, by REST and SOAP, of a system that follows the newest and of one that stays with 1.0."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self.wrong: list[Any] = []
        self._settings = settings
        self.threads = [
            threading.Thread(target=asyncio.run, args=(self._rest(name),), daemon=True)
            for name in ("y-te", "dieu-hanh")
        ]
        self.threads.append(threading.Thread(target=self._soap, args=("y-te",), daemon=True))

    async def _rest(self, name: str) -> None:
        client = RestClient(Identity.load(self._settings.identities / name))
        async with AsyncRestClient(client, connections=3, timeout=90) as caller:

            async def one() -> None:
                while not self.stop.is_set():
                    start = time.time()
                    try:
                        answer = await caller.call("GET", QUERY)
                        assert answer.ok and answer.receipt is not None, answer.problem
                        found = {key: value for key, value in answer.json().items() if key.startswith("mark")}
                        self._note(start, name, answer.receipt.transfer, found)
                    except Exception as trouble:
                        self.wrong.append((name, trouble))
                    await asyncio.sleep(PAUSE)

            await asyncio.gather(one(), one(), one())

    def _soap(self, name: str) -> None:
        client = SoapClient(Identity.load(self._settings.identities / name), timeout=90.0)
        while not self.stop.is_set():
            start = time.time()
            try:
                answer = client.call(NAME, "getValue", messages.indicator_body(**QUESTION))
                assert answer.ok and answer.body is not None and answer.receipt is not None, answer.fault
                children = {each.tag.rpartition("}")[2]: each.text for each in answer.body}
                self._note(
                    start,
                    name,
                    answer.receipt.transfer,
                    {key: text for key, text in children.items() if key.startswith("mark")},
                )
            except Exception as trouble:
                self.wrong.append((name, trouble))
            time.sleep(PAUSE)

    def _note(self, start: float, who: str, transfer: str, found: dict[str, Any]) -> None:
        assert all(found[name] == name.removeprefix("mark") for name in found), found
        self.seen.append(Seen(start, time.time(), who, transfer, tuple(sorted(found))))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = replace(demo_settings(tmp_path_factory.mktemp("publish") / "data"), provider_seconds=40.0, doors=2)
    ensure_instance(settings, say_progress=False)
    sign = partial(sign_waiting, settings=settings, now=time.time())
    begin_at_first(open_engine(settings.database_url), sign, Seal.of(settings))
    with running(settings):
        made = world_of(settings)
        made.remembered["settings"] = settings
        yield made


def test_publishing_while_calls_run(world: World, tmp_path: Path) -> None:
    settings: Settings = world.remembered["settings"]
    bundles = [edition(f"1.{version}.0", *map(mark, range(1, version + 1))) for version in range(TIMES + 1)]
    digests = {bundle.digest: version for version, bundle in enumerate(bundles)}
    document = WHOLE.replace(_ECONOMY, "    formats: {indicator/v1: {format: kinh-te-json, version: newest}}\n")
    document = document.replace(_CENTRE, _CENTRE + '    formats: {indicator/v1: {format: canonical, version: "1.0"}}\n')
    (tmp_path / "province.yaml").write_text(document, "utf-8")
    assert world.lgsp("registry", "apply", str(tmp_path / "province.yaml"), "--data", str(settings.data))["ok"]
    moves = [Move(0.0, 0)]
    with Calls(settings) as calls:
        until("first calls", lambda: len(calls.seen) > 10)
        for version, bundle in enumerate(bundles[1:], start=1):
            folder = written(bundle.files, tmp_path / f"1.{version}" / "v1")
            start = time.time()
            done = world.lgsp("contract", "publish", str(folder), "--data", str(settings.data))
            assert done["ok"] and done["moved"] and done["version"] == f"1.{version}.0" and done["level"] == "minor", (
                done
            )
            assert done["pinned"] == {"dieu-hanh": "1.0"}
            moves.append(Move(start, version))
            if version % 2:
                everywhere(settings)
                moves[-1].done = time.time()
            else:
                time.sleep(0.3)  # the next follows before the doors are done
        start = time.time()
        assert (
            world.lgsp("contract", "publish", NAME, "--rollback", "--data", str(settings.data))["version"]
            == f"1.{TIMES - 1}.0"
        )
        moves.append(Move(start, TIMES - 1))
        everywhere(settings)
        moves[-1].done = time.time()
        time.sleep(0.5)
    assert calls.wrong == []
    assert len(calls.seen) > 100
    logged = intents(settings)
    for call in calls.seen:
        version = digests[logged[call.transfer]]
        if call.who == "dieu-hanh":
            assert call.marks == ()
        else:
            assert call.marks == tuple(sorted(f"mark{number}" for number in range(1, version + 1))), (call, version)
        assert version in in_force(moves, call), (call, version, moves)
    seen = {digests[logged[call.transfer]] for call in calls.seen}
    assert {0, *(each.version for each in moves if each.done < float("inf"))} <= seen <= set(digests.values())
    # The log tells of each move, with both bundles.
    told = [entry for entry in entries(settings) if entry.get("what") == "contract"]
    assert [(each["facts"]["how"], digests[each["facts"]["bundle"]]) for each in told] == [
        *(("published", version) for version in range(1, TIMES + 1)),
        ("rolled back", TIMES - 1),
    ]
    shown = world.lgsp("contract", "show", NAME, "--data", str(settings.data))
    assert [each["version"] for each in shown["versions"] if each["in_force"]] == [f"1.{TIMES - 1}.0"]
    assert [each["pinned"] for each in shown["versions"]] == [["dieu-hanh"], *([[]] * TIMES)]
    verified = world.lgsp("audit", "verify", "--data", str(settings.data))
    assert verified["ok"], str(verified)


def test_who_is_pinned_over_the_wire(world: World, tmp_path: Path) -> None:
    """A sender held to the version it was built to, and a reader of the feed who is spared what came later."""
    settings: Settings = world.remembered["settings"]
    more = edition(
        "1.3.0",
        unplaced("Alert", "confirmedBy"),
        operation("withdrawAlert", "submitAlert", "/withdrawals"),
        contract="incident-alert",
    )
    assert (
        world.lgsp("contract", "publish", str(written(more.files, tmp_path / "v1")), "--data", str(settings.data))[
            "level"
        ]
        == "minor"
    )
    sample = json.loads(more.files["samples/canonical/Alert.chay-rung-nguyen-binh.json"])
    sender = world.rest("quan-trac")
    told = {**sample, "identifier": f"QT-{uuid.uuid4()}", "confirmedBy": "Ban chỉ huy"}
    world.wait("the doors know the new field", lambda: sender.call("POST", "/incident-alert/v1/alerts", told).ok)
    assert event(world, told["identifier"]) == told
    document = WHOLE
    for name in ("quan-trac", "dieu-hanh"):
        mark = f"  - id: {name}\n"
        document = document.replace(
            mark, f'{mark}    formats: {{incident-alert/v1: {{format: canonical, version: "1.2"}}}}\n'
        )
    (tmp_path / "province.yaml").write_text(document, "utf-8")
    assert world.lgsp("registry", "apply", str(tmp_path / "province.yaml"), "--data", str(settings.data))["ok"]
    shown = world.lgsp("registry", "show", "--data", str(settings.data))
    assert {each["id"]: each["versions"] for each in shown["systems"]}["quan-trac"] == {"incident-alert/v1": "1.2"}
    everywhere(settings)
    refused = sender.call("POST", "/incident-alert/v1/alerts", {**told, "identifier": "QT-2"})
    assert refused.problem is not None and refused.problem["code"] == "message.invalid"
    assert [(each["here"], each["rule"]) for each in refused.problem["findings"]] == [("confirmedBy", "unknown")]
    assert sender.call("POST", "/incident-alert/v1/alerts", {**sample, "identifier": "QT-3"}).ok
    newer = sender.call("POST", "/incident-alert/v1/withdrawals", {**sample, "identifier": "QT-4"})
    assert newer.problem is not None and newer.problem["code"] == "operation.newer"
    assert event(world, told["identifier"]) == {name: value for name, value in told.items() if name != "confirmedBy"}


def event(world: World, identifier: str) -> Any:
    """The data of one alert in the feed, as the centre reads it."""

    def found() -> Any:
        return next(
            (each["data"] for each in read_feed(world, ALERTS) if each["data"]["identifier"] == identifier), None
        )

    return world.wait(f"{identifier} in the feed", found)


def in_force(moves: list[Move], call: Seen) -> set[int]:
    """What a call may have met: each version from the start of its command until all doors are known to work with the
    next, or one after it."""
    gone = [min(later.done for later in moves[place + 1 :] or [Move(0.0, 0)]) for place in range(len(moves))]
    return {
        move.version for move, done in zip(moves, gone, strict=True) if move.start <= call.end and call.start <= done
    }


def entries(settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(entry) for (entry,) in rows(settings, "SELECT entry FROM log_entry ORDER BY idx")]


def intents(settings: Settings) -> dict[str, str]:
    """Transfer -> the bundle that the log names; once everything has its index."""
    until = time.time() + 120
    while rows(settings, "SELECT count(*) FROM log_pending")[0][0] and time.time() < until:
        time.sleep(0.1)
    return {entry["transfer"]: entry["bundle"] for entry in entries(settings) if entry["kind"] == "intent"}

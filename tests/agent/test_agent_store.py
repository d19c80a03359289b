"""What the agent keeps in its state folder: queue, key, signatures that were used, documents."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Ours, Theirs
from gateway.agent.caller import Caller
from gateway.agent.config import Address, CallerSide, QueueBounds
from gateway.agent.directory import Directory
from gateway.agent.listener import Body, Head
from gateway.agent.queue import pause
from gateway.agent.secret import LocalSecret
from gateway.agent.store import LONGEST_PAUSE, Message, Store, Taken, hold, seal_key


@given(st.integers(1, 1000), st.none() | st.integers(0, 10_000), st.integers())
def test_waits_grow_within_bounds(tries: int, after: int | None, seed: int) -> None:
    seconds = pause(tries, after, random.Random(seed))
    assert 0.2 <= seconds <= max(120.0, min(after or 0, 600)) and seconds >= min(after or 0, 600)


def _store(folder: Path) -> Store:
    return Store(folder / "agent.db", seal_key(folder / "agent.key"))


def _message(store: Store, name: str, lane: str = "a/v1 submit", body: bytes = b"{}") -> Message:
    return Message(store.take_number(), name, lane, {"face": "rest"}, body, 1.0)


def test_a_lane_goes_on_only_when_its_first_has_ended(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for name, lane in (("1", "a"), ("2", "a"), ("3", "b")):
        store.put(_message(store, name, lane, f"thư {name}".encode()), QueueBounds())
    assert [(each.id, each.body.decode()) for each in store.due(10.0, 8)] == [("1", "thư 1"), ("3", "thư 3")]
    store.later(store.due(10.0, 8)[0].number, 20.0, "gateway away")
    assert [each.id for each in store.due(10.0, 8)] == ["3"], "its second may not overtake it"
    store.hurry()
    store.ended(store.due(10.0, 8)[0].number, "dead", 11.0, why="message.invalid")
    assert [each.id for each in store.due(10.0, 8)] == ["2", "3"]
    store.close()
    again = _store(tmp_path)
    assert (
        again.counts() == {"queued": 2, "sent": 0, "dead": 1, "in_doubt": 0}
        and again.waits("a")
        and not again.waits("c")
    )
    assert again.take_number() == 4
    again.close()


def test_the_bounds_and_the_repeats_of_the_queue(tmp_path: Path) -> None:
    store, bounds = _store(tmp_path), QueueBounds(messages=2, bytes=10)
    first = _message(store, "1", body=b"12345")
    assert store.put(first, bounds) == store.put(first, bounds) == "queued"
    with pytest.raises(Theirs, match="agent.other-body"):
        store.put(_message(store, "1", body=b"54321"), bounds)
    with pytest.raises(Ours, match="agent.queue-full") as full:
        store.put(_message(store, "2", body=b"123456"), bounds)
    assert full.value.retry_after
    store.put(_message(store, "2", body=b"1"), bounds)
    with pytest.raises(Ours, match="agent.queue-full"):
        store.put(_message(store, "3", body=b""), bounds)
    store.ended(first.number, "dead", 2.0)
    with pytest.raises(Ours, match="agent.queue-full"):
        store.put(_message(store, "3", body=b""), bounds)  # a dead letter is still kept
    assert store.put(first, bounds) == "queued" and store.counts()["dead"] == 0, "its repeat wakes it"
    store.ended(first.number, "sent", 3.0)
    assert store.put(_message(store, "3", body=b""), bounds) == "queued" and store.put(first, bounds) == "sent"
    store.prune(3.0 + 8 * 86400)
    assert store.counts()["sent"] == 0
    store.close()


OTHER = """
import pathlib, sys
from gateway.agent.store import Taken, hold
try:
    hold(pathlib.Path(sys.argv[1]))
    print("held")
except Taken:
    print("taken")
"""


def test_one_agent_a_state_folder_and_a_key_for_its_owner(tmp_path: Path) -> None:
    lock = hold(tmp_path)
    assert os.name != "posix" or (tmp_path / "agent.lock").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Taken):
        hold(tmp_path)
    command = [sys.executable, "-c", OTHER, str(tmp_path)]  # a try of this process must not end the lock
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "taken\n"
    lock.close()
    (tmp_path / "agent.lock").chmod(0o644)  # as an older release made it
    hold(tmp_path).close()
    assert os.name != "posix" or (tmp_path / "agent.lock").stat().st_mode & 0o777 == 0o600
    seal_key(tmp_path / "agent.key")
    (tmp_path / "agent.key").chmod(0o644)
    with pytest.raises(Theirs, match="agent.configuration"):
        seal_key(tmp_path / "agent.key")


def test_the_agents_key_is_made_once_and_whole(tmp_path: Path) -> None:
    """`run` and `queue` may start at the same moment, and either may be killed while it writes."""
    (tmp_path / "agent.key.0.part").write_bytes(b"half")  # left by one that was
    with ThreadPoolExecutor(8) as many:
        made = set(many.map(lambda _: seal_key(tmp_path / "agent.key"), range(16)))
    assert len(made) == 1 and len(made.pop()) == 32
    assert {each.name for each in tmp_path.iterdir()} == {"agent.key", "agent.key.0.part"}


def test_a_signature_is_used_up_and_a_message_is_handed_over_once(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.begin("m", b"x", b"k1", 100.0, 1.0, again=False) is None
    for key, code in ((b"k1", "agent.replayed"), (b"k2", "agent.in-doubt")):
        with pytest.raises((Theirs, Ours), match=code):
            store.begin("m", b"x", key, 100.0, 1.0, again=False)
    assert store.begin("m", b"x", b"k3", 100.0, 1.0, again=True) is None
    with pytest.raises(Theirs, match="agent.other-body"):
        store.begin("m", b"y", b"k4", 100.0, 1.0, again=True)
    assert store.settle("m") and not store.settle("m")
    assert store.begin(None, b"", b"k5", 50.0, 1.0, again=False) is None
    assert store.begin(None, b"", b"k5", 2000.0, 1000.0, again=False) is None, (
        "a signature that expired long ago need not be remembered: it is refused as expired"
    )
    store.close()


def test_a_clock_that_is_put_back_makes_no_signature_new_and_holds_up_no_lane(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.begin(None, b"", b"k1", 60.0, 1.0, again=False) is None
    assert store.begin(None, b"", b"k2", 400.0, 300.0, again=False) is None  # the clock ran ahead, and is put back
    with pytest.raises(Theirs, match="agent.replayed"):
        store.begin(None, b"", b"k1", 60.0, 2.0, again=False)
    message = _message(store, "m")
    store.put(message, QueueBounds())
    store.later(message.number, 50_000_000.0 + LONGEST_PAUSE, "away")
    assert not store.due(50_000_000.0, 8), "it waits for its time"
    assert [each.id for each in store.due(100.0, 8)] == ["m"], "no pause is that long"
    store.close()


async def test_a_document_is_kept_under_one_name(tmp_path: Path) -> None:
    """Documents are given to whoever is on the host, secret or not: other spellings of an address must not fill the
    disk."""

    class Gateway:
        async def send(self, method: str, url: str, headers: object, body: object) -> Any:
            return type("Raw", (), {"status": 200, "body": b"{}"})

        async def close(self) -> None: ...

    side = CallerSide(Address("127.0.0.1", 1), ("incident-alert/v1",), 1.0, QueueBounds())
    directory = Directory(Gateway(), "https://lgsp.example", tmp_path / "documents", side.contracts)
    caller = Caller(side, LocalSecret("x" * 32), "https://lgsp.example", None, directory, None, None)  # type: ignore[arg-type]

    async def nothing() -> bytes:
        raise AssertionError("no body is read")

    at, soap = "/contracts/incident-alert/v1", "/soap/incident-alert/v1"
    for target in (
        at,
        f"{at}?lang=en",
        f"{at}?{'x' * 9000}",
        f"{at}/openapi.json",
        f"{soap}?xsd=a",
        f"{soap}?XSD=b",
        f"{soap}?wsdl",
    ):
        assert (await caller.handle(Head("GET", target, {}, None), cast(Body, nothing))).status == 200
    kept = {unquote(each.name) for each in (tmp_path / "documents").iterdir()}
    assert kept == {at, f"{at}/openapi.json", f"{soap}?xsd", f"{soap}?wsdl"}
    for target in (f"{at}/", f"{at}//", f"{at}/%6fpenapi.json", f"{at}/../v1", f"{at}/%2e%2e/%2e%2e/keys", f"/{at}"):
        with pytest.raises(Theirs, match="agent.secret"):  # no document, so the secret is asked for
            await caller.handle(Head("GET", target, {}, None), cast(Body, nothing))
    assert len(list((tmp_path / "documents").iterdir())) == len(kept)

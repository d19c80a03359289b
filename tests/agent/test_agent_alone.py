"""The agent stands alone: what it loads is what its lock holds, nothing of a database server and nothing of Unix; its configuration and its secret."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Failure, Ours, Theirs
from gateway.agent import listener
from gateway.agent.caller import Caller
from gateway.agent.config import Address, CallerSide, QueueBounds, load
from gateway.agent.directory import Directory
from gateway.agent.listener import Head, Reply
from gateway.agent.queue import pause
from gateway.agent.secret import LocalSecret
from gateway.agent.setup import make
from gateway.agent.store import LONGEST_PAUSE, Message, Store, Taken, hold, seal_key
from gateway.client.identities.identity import write_private
from gateway.sandbox.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.M)


def pins(name: str) -> dict[str, str]:
    return {found[1].lower(): found[2] for found in PIN.finditer((ROOT / name).read_text("utf-8"))}


def test_the_agents_lock_is_part_of_the_lock_and_holds_what_is_declared() -> None:
    whole, slim = pins("requirements.lock"), pins("requirements-agent.lock")
    assert slim.items() <= whole.items() and len(slim) < len(whole) / 2
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["agent"]
    assert {re.match(r"[a-z0-9-]+", each)[0] for each in declared} <= set(slim)  # type: ignore[index]
    text = (ROOT / "requirements-agent.lock").read_text("utf-8")
    assert "://" not in text and text.count("--hash=sha256:") > len(slim)


def test_it_starts_where_nothing_else_is_installed(tmp_path: Path) -> None:
    slim = {each.replace("_", "-") for each in pins("requirements-agent.lock")}
    others = sorted(
        module
        for module, of in packages_distributions().items()
        if not any(each.lower().replace("_", "-") in slim | {"lgsp"} for each in of)
    )
    assert {"sqlalchemy", "psycopg", "uvicorn", "alembic", "connexion", "zeep"} <= set(others)
    code = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({others!r}))  # importing any of these fails
import gateway.agent, gateway.cli.agent
for found in pkgutil.iter_modules(gateway.agent.__path__, "gateway.agent."):
    importlib.import_module(found.name)
from gateway.cli import main
sys.argv[1:] = ["agent", "init", {str(tmp_path / "agent")!r}, "--json"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


def test_no_module_of_it_calls_what_only_unix_has() -> None:
    only_unix = {
        "fcntl",
        "pwd",
        "grp",
        "resource",
        "termios",
        "uvloop",
        "add_signal_handler",
        "fork",
        "chmod",
        "getuid",
        "O_DIRECTORY",
    }
    for file in (ROOT / "gateway" / "agent").glob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        names = {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)}
        names |= {
            each.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for each in node.names
        }
        assert not names & only_unix, file.name


# --- configuration and secret -----------------------------------------------------------------------------------------


def test_what_init_writes_can_be_read_and_is_not_overwritten(tmp_path: Path) -> None:
    config, secret = make(tmp_path / "agent", ("incident-alert/v1", "indicator/v1"))
    made = load(config)
    assert (
        made.caller is not None
        and made.caller.contracts == ("incident-alert/v1", "indicator/v1")
        and made.caller.listen.loopback
    )
    assert made.identity == config.parent / "identity" and made.provider is None
    assert secret.stat().st_mode & 0o777 == 0o600
    LocalSecret.read(secret)
    with pytest.raises(FileExistsError):
        make(tmp_path / "agent", ())
    commented = "\n".join(
        line.replace("# ", "", 1) if re.match(r"# (provider:|  )", line) else line
        for line in config.read_text().splitlines()
    )
    config.write_text(commented, "utf-8")
    assert load(config).provider is not None, "the commented part is a configuration too"


GOOD = "identity: i\nsecret: s\ncaller: {listen: '127.0.0.1:8181', contracts: [incident-alert/v1]}\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "agent.yaml"),
        ("- a", "agent.yaml"),
        ("a: [", "agent.yaml"),
        ("[" * 3000, "agent.yaml"),
        ("identity: 2026-02-30\n", "agent.yaml"),
        ("calls: " + "9" * 5000, "agent.yaml"),
        ("identity: i\nsecret: s\n", "agent.yaml"),
        (GOOD + "identiti: x\n", "identiti"),
        (GOOD.replace("identity: i\n", ""), "identity"),
        (GOOD.replace("127.0.0.1", "0.0.0.0"), "listen"),
        (GOOD.replace("127.0.0.1", "10.0.0.5"), "listen"),
        (GOOD.replace("127.0.0.1", "tram.example"), "listen"),
        (GOOD.replace("8181", "0"), "listen"),
        (GOOD.replace("[incident-alert/v1]", "[]"), "contracts"),
        (GOOD.replace("incident-alert/v1", "../x"), "contracts"),
        (GOOD + "body_limit: -1\n", "body_limit"),
        (GOOD + "language: fr\n", "language"),
        (GOOD + "connect: here\n", "connect"),
        (GOOD + "provider: {listen: '0.0.0.0:1', system: 'ftp://x', kind: rest}\n", "system"),
        (GOOD + "provider: {listen: '0.0.0.0:1', system: 'http://x', kind: files}\n", "kind"),
        (GOOD + "provider: {listen: '0.0.0.0:1', base: 'https://x/nhan', system: 'http://x', kind: rest}\n", "base"),
        (GOOD + "provider: {listen: '0.0.0.0:1', base: 'http://x', system: 'http://x', kind: rest}\n", "base"),
        (GOOD + "provider: {listen: '0.0.0.0:1', system: 'http://x', kind: rest, knows_ids: 1}\n", "knows_ids"),
    ],
)
def test_a_wrong_configuration_is_named_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "agent.yaml").write_text(text, "utf-8")
    with pytest.raises(Theirs) as wrong:
        load(tmp_path / "agent.yaml")
    assert wrong.value.code == "agent.configuration" and str(wrong.value.facts["where"]).endswith(where)


def test_beyond_the_host_only_if_told(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text(
        GOOD.replace("127.0.0.1", "0.0.0.0").replace("{", "{beyond_loopback: true, "), "utf-8"
    )
    made = load(tmp_path / "agent.yaml")
    assert made.caller is not None and not made.caller.listen.loopback


@pytest.mark.parametrize(
    ("text", "mode"),
    [("a" * 15, 0o600), ("a b" * 10, 0o600), ("mật" * 10, 0o600), ("", 0o600), ("a" * 32, 0o640), ("a" * 32, 0o604)],
)
def test_a_weak_or_open_secret_is_not_used(tmp_path: Path, text: str, mode: int) -> None:
    write_private(tmp_path / "secret", text.encode())
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(Theirs, match="agent.configuration"):
        LocalSecret.read(tmp_path / "secret")


@given(st.text(max_size=60))
def test_only_the_secret_is_the_secret(shown: str) -> None:
    secret = LocalSecret("s" * 20)
    basic = base64.b64encode(f"ai:{shown}".encode("utf-8", "replace")).decode()
    for headers in ({"lgsp-agent-secret": shown}, {"authorization": f"Basic {basic}"}, {"authorization": shown}, {}):
        with pytest.raises(Theirs, match="agent.secret"):
            secret.check(headers)
    secret.check({"authorization": "basic " + base64.b64encode(b"ai:" + b"s" * 20).decode()})
    secret.check(secret.headers())


# --- the listener -------------------------------------------------------------------------------------------------------


class _Slow:
    """A handler that waits until it is told."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def handle(self, head: Head, read: Callable[[], Awaitable[bytes]]) -> Reply:
        body = await read()
        await self.go.wait()
        return Reply(200, {}, body)

    def refuse(self, head: Head, failure: Failure) -> Reply:
        return Reply(failure.status, {"code": failure.code}, b"")


async def _asked(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return answer


async def test_calls_beyond_the_bound_are_turned_away_and_a_head_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.3)
    slow, port = _Slow(), free_port()
    served = listener.Listener(slow, limit=100, seconds=5.0, calls=1)
    await served.open(Address("127.0.0.1", port))
    call = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    first = asyncio.create_task(_asked(port, call))
    await asyncio.sleep(0.1)
    assert b" 503 " in (busy := await _asked(port, call)) and b"agent.busy" in busy
    slow.go.set()
    assert b" 200 " in await first
    assert await _asked(port, b"POST / HTTP/1.1\r\nHost: a\r\nLgsp-Agent-Sec") == b""
    wrong = await _asked(port, b"POST / HTTP/1.1\r\nLgsp-Agent-Secret: bi-mat\r\nX\x00: a\r\n\r\n")
    assert b" 400 " in wrong.splitlines()[0] and "bi-mat" not in caplog.text
    again = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"
        + b"x" * 101
        + b"\r\n0\r\n\r\n"
    )
    assert b"agent.body-too-large" in await _asked(port, again)
    await served.close(1.0)


async def test_a_listener_that_closes_answers_what_it_took_and_waits_for_no_idle_connection() -> None:
    slow, port = _Slow(), free_port()
    served = listener.Listener(slow, limit=100, seconds=5.0, calls=9)
    await served.open(Address("127.0.0.1", port))
    call = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    idle, idle_out = await asyncio.open_connection("127.0.0.1", port)
    slow.go.set()
    idle_out.write(call)
    assert b" 200 " in await idle.readline()
    slow.go.clear()
    busy, busy_out = await asyncio.open_connection("127.0.0.1", port)
    busy_out.write(call)
    await asyncio.sleep(0.1)
    closing = asyncio.create_task(served.close(60.0))
    await asyncio.wait_for(idle.read(), 60)
    assert not closing.done()
    slow.go.set()
    assert b" 200 " in await busy.readline()
    await asyncio.wait_for(closing, 60)
    for writer in (idle_out, busy_out):
        writer.close()


# --- the store ----------------------------------------------------------------------------------------------------------


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


def test_one_agent_a_state_folder_and_a_key_for_its_owner(tmp_path: Path) -> None:
    lock = hold(tmp_path)
    with pytest.raises(Taken):
        hold(tmp_path)
    lock.close()
    hold(tmp_path).close()
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
    """Documents are given to whoever is on the host, secret or not: other spellings of an address must not fill the disk."""

    class Gateway:
        async def send(self, method: str, url: str, headers: object, body: object) -> Any:
            return type("Raw", (), {"status": 200, "body": b"{}"})

        async def close(self) -> None: ...

    side = CallerSide(Address("127.0.0.1", 1), ("incident-alert/v1",), 1.0, QueueBounds())
    directory = Directory(Gateway(), "https://lgsp.example", tmp_path / "documents", side.contracts)  # type: ignore[arg-type]
    caller = Caller(side, LocalSecret("x" * 32), "https://lgsp.example", None, directory, None)  # type: ignore[arg-type]

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
        assert (await caller.handle(Head("GET", target, {}, None), nothing)).status == 200
    kept = {unquote(each.name) for each in (tmp_path / "documents").iterdir()}
    assert kept == {at, f"{at}/openapi.json", f"{soap}?xsd", f"{soap}?wsdl"}
    for target in (f"{at}/", f"{at}//", f"{at}/%6fpenapi.json", f"{at}/../v1", f"{at}/%2e%2e/%2e%2e/keys", f"/{at}"):
        with pytest.raises(Theirs, match="agent.secret"):  # no document, so the secret is asked for
            await caller.handle(Head("GET", target, {}, None), nothing)
    assert len(list((tmp_path / "documents").iterdir())) == len(kept)


def test_no_page_in_a_browser_uses_a_password_that_somebody_typed() -> None:
    """A browser that knows the password of Basic sends it with whatever a page of a stranger has it ask for."""
    secret = LocalSecret("x" * 32)
    basic = {"authorization": secret.headers()["authorization"]}
    for good in ({}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin"}):
        secret.check(basic | good)
    for page in (
        {"origin": "https://la.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        with pytest.raises(Theirs, match="agent.secret"):
            secret.check(basic | page)
        secret.check(
            {"lgsp-agent-secret": "x" * 32} | page
        )  # no page can have that sent without the agent's leave, which it does not give

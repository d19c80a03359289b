"""The agent stands alone: what it loads is what its lock holds, nothing of a database server and nothing of Unix; its
configuration and its secret."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ports import free_port
from contracts.base.errors import Failure, Theirs
from gateway.agent import listener
from gateway.agent.config import Address, load
from gateway.agent.listener import Head, Reply
from gateway.agent.secret import LocalSecret
from gateway.agent.setup import make
from gateway.client.identities.identity import write_private

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


# --- the listener -----------------------------------------------------------------------------------------------------


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

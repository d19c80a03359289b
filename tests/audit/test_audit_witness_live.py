"""An instance that takes nothing unless outsiders vouch for its log: its witness is stopped, and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lgsp_test_stamping import Authority, verified_by_openssl

from examples import messages
from examples.clients.identity import Identity
from examples.clients.rest import RestClient
from gateway.commands.demo import demo_settings, free_ports, running
from gateway.commands.run import ensure_instance
from gateway.keyring import Keyring
from gateway.settings import Settings, save
from gateway.witness.state import Folder
from security.cosignature import CosignerKey, quorum

pytestmark = pytest.mark.server
ALERT = "/incident-alert/v1/alerts"


def witness(folder: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gateway", "witness", "run", "--data", str(folder), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None and process.stdout.readline()
    return process


def wait(what: Callable[[], bool], seconds: float = 25.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def lgsp(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data", str(settings.data), "--json"], capture_output=True, text=True
    )
    return done.returncode, json.loads(done.stdout)


def test_nothing_new_is_taken_while_nobody_vouches(tmp_path: Path) -> None:
    folder, [port] = Folder(tmp_path / "witness"), free_ports(1)
    key = folder.make_key("witness.example/so-noi-vu")
    with Authority(tmp_path / "tsa") as authority:
        settings = replace(
            demo_settings(tmp_path / "data"),
            witnesses=f"http://127.0.0.1:{port} {key.text()}",
            witness_policy="closed",
            witness_seconds=3.0,
            stamp_url=authority.url,
            stamp_anchors=str(authority.anchors),
            stamp_policy="flagged",
            doors=1,
        )
        ensure_instance(settings, say_progress=False)
        save(settings)
        folder.add_log(Keyring(settings).log_vkey.read_text("ascii"))
        process = witness(folder.path, port)
        try:
            with running(settings, frozenset({"traffic", "truong-ha"})):
                _closes_and_opens(settings, folder, port, key, process, authority, tmp_path)
        finally:
            process.kill()
            process.wait()


def _closes_and_opens(
    settings: Settings, folder: Folder, port: int, key: CosignerKey, process: subprocess.Popen[str], authority: Authority, tmp_path: Path
) -> None:
    client = RestClient(Identity.load(settings.identities / "bao-chay"))

    def call() -> Any:
        return client.call("POST", ALERT, messages.fire_alarm())

    def shown() -> str:
        with urllib.request.urlopen(f"{settings.desk}/audit/checkpoint") as answer:
            return str(answer.read().decode())

    def status() -> dict[str, Any]:
        with urllib.request.urlopen(f"{settings.desk}/api/status") as answer:
            found: dict[str, Any] = json.load(answer)
        return {each["kind"]: each for each in found["vouchers"]}

    wait(lambda: bool(call().ok))
    wait(lambda: key.name in shown())
    assert quorum(shown(), [key], 1)
    process.kill()
    process.wait()
    begun = time.monotonic()
    refused: Any = None
    taken = 0
    while refused is None:
        answer = call()
        refused, taken = (None, taken + 1) if answer.ok else (answer, taken)
        assert time.monotonic() - begun < 20
        time.sleep(0.1)
    assert refused.status == 503 and refused.problem["code"] == "audit.unwitnessed" and refused.problem["branch"] == "ours"
    assert int(refused.headers["retry-after"]) > 0 and taken > 0, "it goes on for a while, and then it does not"
    wait(lambda: not status()["witnesses"]["ok"])
    assert "witness.lacking" in {each["code"] for each in lgsp(settings, "doctor")[1]["findings"]}
    with urllib.request.urlopen(f"{settings.desk}/console?lang=vi") as page:
        assert "thiếu quá lâu" in page.read().decode()
    again = witness(folder.path, port)
    try:
        wait(lambda: bool(call().ok))
        wait(lambda: status()["witnesses"]["ok"] and key.name in shown())
        assert status()["stamps"]["ok"] and status()["stamps"]["size"] > 0
        keys = ["--witness", key.text(), "--stamp-anchors", str(authority.anchors), "--vkey", str(Keyring(settings).log_vkey)]
        code, found = lgsp(settings, "audit", "verify", *keys)
        assert code == 0 and found["outside"]["checked"]["cosigned checkpoints"] >= 1 and found["outside"]["checked"]["time-stamps"] >= 1
        code, found = lgsp(settings, "audit", "stamps", "--export", str(tmp_path / "stamp"))
        assert code == 0 and verified_by_openssl(
            tmp_path / "stamp" / "checkpoint.tsr", authority.anchors, "-data", str(tmp_path / "stamp" / "checkpoint")
        )
    finally:
        again.kill()
        again.wait()

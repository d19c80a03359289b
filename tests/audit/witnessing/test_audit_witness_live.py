"""An instance that takes nothing unless outsiders confirm its log: its witness is stopped, and started again."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings, running
from bench.ports import free_port
from gateway.cli.run import ensure_instance
from gateway.cli.tree import app
from gateway.doctor import examine
from gateway.keys.keyring import Keyring
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox import live
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from gateway.settings.saving import save
from gateway.witness.state import Folder
from security.transparency.cosignature import CosignerKey, quorum
from tests.audit.stamping import Authority, verified_by_openssl
from tests.size import FULL
from tests.witness.process import started

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not FULL,
        reason="starts an instance of its own; each part is tried without one, all of it with LGSP_TEST_SIZE=full",
    ),
]
ALERT = "/incident-alert/v1/alerts"


def witness(folder: Path, port: int) -> subprocess.Popen[str]:
    return started(folder, f"127.0.0.1:{port}")[0]


def wait(what: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


Lgsp = Callable[..., dict[str, Any]]


@pytest.fixture
def lgsp(capsys: pytest.CaptureFixture[str]) -> Lgsp:
    """A command of the command line, in this process; it must end well."""

    def call(settings: Settings, *arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app([*arguments, "--data", str(settings.data), "--json"], standalone_mode=False)
        said = capsys.readouterr().out
        assert end.value.code == 0, said
        found: dict[str, Any] = json.loads(said)
        return found

    return call


def test_nothing_new_is_taken_while_nobody_witnesses(tmp_path: Path, lgsp: Lgsp) -> None:
    folder, port = Folder(tmp_path / "witness"), free_port()
    key = folder.make_key("witness.example/so-noi-vu")
    with Authority(tmp_path / "tsa") as authority:
        settings = replace(
            demo_settings(tmp_path / "data"),
            witnesses=f"http://127.0.0.1:{port} {key.text()}",
            witness_policy="closed",
            witness_seconds=2.0,
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
            with running(settings, frozenset({*live.STANDINS, *live.AGENTS, live.TRAFFIC_NAME})):
                _closes_and_opens(settings, folder, port, key, process, authority)
                _is_checked(settings, key, authority, tmp_path / "stamp", lgsp)
        finally:
            process.kill()
            process.wait()


def _closes_and_opens(
    settings: Settings,
    folder: Folder,
    port: int,
    key: CosignerKey,
    process: subprocess.Popen[str],
    authority: Authority,
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
        assert time.monotonic() - begun < 60
        time.sleep(0.1)
    assert (
        refused.status == 503 and refused.problem["code"] == "audit.unwitnessed" and refused.problem["branch"] == "ours"
    )
    assert int(refused.headers["retry-after"]) > 0 and taken > 0, "it goes on for a while, and then it does not"
    wait(lambda: not status()["witnesses"]["ok"])
    assert "witness.lacking" in {each.kind.code for each in examine(settings, time.time)}
    with urllib.request.urlopen(f"{settings.desk}/console/status?lang=vi") as page:
        assert "thiếu quá lâu" in page.read().decode()
    again = witness(folder.path, port)
    try:
        wait(lambda: bool(call().ok))
        wait(lambda: status()["witnesses"]["ok"] and key.name in shown())
        assert status()["stamps"]["ok"] and status()["stamps"]["size"] > 0
    finally:
        again.kill()
        again.wait()


def _is_checked(settings: Settings, key: CosignerKey, authority: Authority, folder: Path, lgsp: Lgsp) -> None:
    keys = [
        "--witness",
        key.text(),
        "--stamp-anchors",
        str(authority.anchors),
        "--vkey",
        str(Keyring(settings).log_vkey),
    ]
    found = lgsp(settings, "audit", "verify", *keys)
    assert found["outside"]["checked"]["cosigned checkpoints"] >= 1 and found["outside"]["checked"]["time-stamps"] >= 1
    made = lgsp(settings, "audit", "stamp", "--now")
    assert made["stamped"] and not lgsp(settings, "audit", "stamp")["stamped"], "without --now only when it is due"
    assert lgsp(settings, "audit", "stamps")["stamps"][0]["size"] == made["size"]
    files = lgsp(settings, "audit", "stamps", "--export", str(folder))["files"]
    assert verified_by_openssl(Path(files["checkpoint.tsr"]), authority.anchors, "-data", files["checkpoint"])
    assert verified_by_openssl(Path(files["checkpoint.tsr"]), authority.anchors, "-queryfile", files["checkpoint.tsq"])

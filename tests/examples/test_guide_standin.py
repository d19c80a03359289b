"""The stand-in recipe of `docs/integrate.md` as printed: the gateway calls the stand-in that the reader started."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bench.demo import running
from bench.ports import free_ports
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox import live
from gateway.settings import Settings

GUIDE = Path(__file__).parents[2] / "docs" / "integrate.md"


def _printed() -> list[str]:
    """The first commands of the section, one for each terminal."""
    section = GUIDE.read_text("utf-8").partition("## 4. If your system is called")[2].partition("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()][:3]


def test_the_printed_port_is_where_the_gateway_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "next_free", lambda port: port)
    _, standin, _ = _printed()
    assert f"--port {live.choose_endpoints(Settings(Path()))['kinh-te'].rpartition(':')[2]} " in standin


@pytest.mark.full
@pytest.mark.server
def test_the_gateway_calls_the_stand_in_of_the_recipe(tmp_path: Path) -> None:
    up, standin, question = (shlex.split(line) for line in _printed())
    assert up[:2] == ["./lgsp", "up"] and up[2] == "--without"
    exchange, desk = free_ports(2)
    settings = Settings(tmp_path / "lgsp-data", exchange_port=exchange, desk_port=desk, doors=1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LGSP_")}

    def words(line: list[str]) -> list[str]:
        return [sys.executable, *line[1:]]

    with running(settings, frozenset({"traffic", *up[3:]})):
        port = live.endpoints(settings)["kinh-te"].rpartition(":")[2]
        own = [port if each == "8455" else each for each in words(standin)]
        # the circuit is broken before the stand-in runs, as by the sandbox's own traffic
        client = RestClient(Identity.load(settings.identities / "y-te"))
        assert {client.call("GET", question[-1]).status for _ in range(7)} <= {502, 503}
        with subprocess.Popen(own, cwd=tmp_path, env=environment) as beside:
            try:
                until, took = time.monotonic() + 60, 0.0
                while True:
                    began = time.monotonic()
                    ended = subprocess.run(
                        words(question), cwd=tmp_path, env=environment, capture_output=True, text=True
                    )
                    took = time.monotonic() - began
                    if ended.returncode == 0 or time.monotonic() > until:
                        break
                    time.sleep(0.5)
                assert ended.returncode == 0 and took >= 5, ended
                context = Identity.load(settings.identities / "kinh-te").client_context()
                with urllib.request.urlopen(f"https://localhost:{port}/_seen", context=context, timeout=30) as seen:
                    assert json.load(seen)["calls"] >= 1
            finally:
                beside.send_signal(signal.SIGTERM)

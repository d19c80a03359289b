"""A live instance that writes JSON: every line is an object, and a refusal joins the audit log by its transfer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest

from bench.demo import demo_settings, world_of
from gateway.cli.run import ensure_instance
from gateway.sandbox.standins import messages
from tests.faults.load import ALERT, Load, child
from tests.faults.test_kill import start

pytestmark = pytest.mark.server
TRACE = "0af7651916cd43dd8448eb211c80319c"
SENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=b"}


@pytest.mark.full
def test_every_line_is_an_object_and_joins_the_log(tmp_path: Path) -> None:
    settings = replace(demo_settings(tmp_path / "data"), log_format="json")
    ensure_instance(settings, say_progress=False)
    process = start(settings)
    try:
        world = world_of(settings)
        with Load(settings) as load:
            load.wait(30)
            client = world.rest("bao-chay")
            refused = client.call("POST", ALERT, {"no": "alert"}, headers=SENT)
            unknown = client.call("POST", ALERT, messages.fire_alarm(), token="not a token", headers=SENT)
            taken = client.call("POST", ALERT, messages.fire_alarm(), headers=SENT)
            os.kill(child(process.pid, "door"), signal.SIGKILL)
            load.wait(30)
        assert taken.ok and refused.problem is not None and unknown.problem is not None
        with urlopen(f"{settings.desk}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        shown = _shown(settings.data, str(refused.problem["transfer"]))
    finally:
        process.terminate()
        process.wait(60)
    lines = (settings.data / "kill.log").read_text("utf-8").splitlines()
    # Agents are programs of their own; the last line is what `up` says to whoever stopped it.
    told = [json.loads(line) for line in lines[:-1] if " lgsp.agent " not in line]
    assert "Stopped" in lines[-1]
    assert all({"time", "level", "logger", "process", "machine", "message"} <= each.keys() for each in told)
    assert any(each["process"] == "supervisor" and "door" in each["message"] for each in told), "it tells of the death"
    (line,) = [each for each in told if each.get("transfer") == refused.problem["transfer"]]
    assert line["code"] == refused.problem["code"] and line["trace"] == TRACE and line["system"] == "bao-chay"
    assert refused.problem["code"] in shown
    code = f'reason="{refused.problem["code"]}"'
    for part in ("lgsp_call_seconds_count{", 'result="answered"', code, 'process="keeper-0"'):
        assert part in metrics


def _shown(data: Path, transfer: str) -> str:
    command = [sys.executable, "-m", "gateway", "audit", "show", transfer, "--json", "--data", str(data)]
    end = time.monotonic() + 60
    while True:  # the keeper sequences it a moment later
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 or time.monotonic() > end:
            return done.stdout
        time.sleep(0.5)

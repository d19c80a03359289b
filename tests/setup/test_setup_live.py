"""From an unpacked release to the first accepted calls of a production instance with several systems and grants: five
commands on the host, counted.

The system's own commands run on its machine, and so count apart.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.ports import free_ports
from tests import commandline
from tests.setup.provinces import GRANTS, OFFICERS, OPERATOR, SYSTEM, SYSTEMS, answers

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "contracts/catalogue/indicator/v1/samples/canonical/IndicatorValues.hai-chi-tieu.json"
MOST = 5


@pytest.mark.server
def test_five_commands_lead_from_a_release_to_the_first_accepted_call_of_each_system(tmp_path: Path) -> None:
    exchange, desk = free_ports(2)
    base, data, hers = f"https://127.0.0.1:{exchange}", tmp_path / "data", tmp_path / "hers"
    file = answers(tmp_path, base, host="127.0.0.1", desk_port=desk, doors=1)
    typed: list[str] = []

    def host(*words: str) -> dict[str, object]:
        typed.append(" ".join(words))
        told = commandline.lgsp(*words, "--data", str(data), "--json")
        assert told.code == 0, told
        answer: dict[str, object] = json.loads(told.out)
        return answer

    def there(*words: str) -> dict[str, object]:
        told = commandline.lgsp(*words, "--json")
        assert told.code == 0, told
        answer: dict[str, object] = json.loads(told.out)
        return answer

    for each in SYSTEMS:  # at each system: its requests are sent to the operator
        there("client", "keygen", each, "--out", str(hers / each))
    host("setup", str(file))
    typed.append("up")
    command = [sys.executable, "-m", "gateway", "up", "--data", str(data), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}) as up:
        try:
            assert up.stdout is not None and json.loads(up.stdout.readline())["ok"]
            operator = ("--as", OPERATOR, "--key", str(tmp_path / f"{OPERATOR}.key"))
            host("enrol", *SYSTEMS, "--requests", str(hers), "--out", str(tmp_path / "out"), *operator)
            for each in OFFICERS:
                host("access", "approve", *GRANTS, "--officer", each, "--key", str(tmp_path / f"{each}.key"))
            for year, each in enumerate(SYSTEMS, 2023):
                there("client", "install", str(hers / each), "--trust", str(tmp_path / "out" / each))
                _accepted(hers / each, year, tmp_path / f"{each}.json")
            assert len(typed) <= MOST, typed
            found = json.loads(commandline.lgsp("doctor", "--data", str(data), "--json").out)
            grave = {each["code"] for each in found["findings"] if each["grave"]}
            assert grave == {"base.local"}, "of a test on the loopback"
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
    assert up.returncode == 0


def _accepted(identity: Path, year: int, body: Path) -> None:
    figures = json.loads(SAMPLE.read_text("utf-8"))
    for each in figures["values"]:  # a figure is of one agency: each system hands in its own
        each["period"] = each["period"].replace("2026", str(year))
    body.write_text(json.dumps(figures), "utf-8")
    words = ("client", "call", "--identity", str(identity), "POST", "/indicator/v1/values", "--body", str(body))
    until = time.monotonic() + 30
    told = commandline.lgsp(*words, "--json")
    while told.code != 0 and time.monotonic() < until:
        time.sleep(0.2)  # doors see an approval within two seconds
        told = commandline.lgsp(*words, "--json")
    assert told.code == 0, told


@pytest.mark.server
def test_up_names_what_was_not_ready_in_time(tmp_path: Path) -> None:
    exchange, desk = free_ports(2)
    file = answers(tmp_path, f"https://127.0.0.1:{exchange}", host="127.0.0.1", desk_port=desk, doors=1)
    data = ("--data", str(tmp_path / "data"))
    assert commandline.lgsp("setup", str(file), *data).code == 0
    command = [sys.executable, "-m", "gateway", "up", *data, "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LGSP_READY_SECONDS": "0.001"}
    up = subprocess.run(command, capture_output=True, env=environment, timeout=300)
    what = json.loads(up.stdout)["error"]["what"]
    assert up.returncode == 3 and "not ready after 0.001 s: " in what and "keeper" in what, what


def test_requests_of_two_systems_are_answered_all_or_none(tmp_path: Path) -> None:
    data, requests = tmp_path / "data", tmp_path / "requests"
    assert commandline.lgsp("setup", str(answers(tmp_path)), "--data", str(data)).code == 0
    for each in (SYSTEM, "la"):
        assert commandline.lgsp("client", "keygen", each, "--out", str(requests / each)).code == 0
    operator = ("--as", OPERATOR, "--key", str(tmp_path / f"{OPERATOR}.key"), "--data", str(data), "--json")
    words = ("enrol", SYSTEM, "la", "--requests", str(requests), "--out", str(tmp_path / "out"), *operator)
    told = commandline.lgsp(*words)
    assert told.code == 2 and json.loads(told.out)["error"]["code"] == "registry.unknown", told
    shown = json.loads(commandline.lgsp("registry", "keys", "--data", str(data), "--json").out)
    assert shown["keys"] == []
    empty = commandline.lgsp("enrol", SYSTEM, "--requests", str(tmp_path), "--out", str(tmp_path / "o"), *operator)
    assert json.loads(empty.out)["error"]["code"] == "no-requests"


def test_the_requests_of_one_system_lie_in_the_folder_or_in_one_by_its_id(tmp_path: Path) -> None:
    data, requests = tmp_path / "data", tmp_path / "requests"
    assert commandline.lgsp("setup", str(answers(tmp_path)), "--data", str(data)).code == 0
    assert commandline.lgsp("client", "keygen", SYSTEM, "--out", str(requests / SYSTEM)).code == 0
    operator = ("--as", OPERATOR, "--key", str(tmp_path / f"{OPERATOR}.key"), "--data", str(data))
    for number, place in enumerate((requests, requests / SYSTEM)):
        words = ("enrol", SYSTEM, "--requests", str(place), "--out", str(tmp_path / f"out-{number}"))
        told = commandline.lgsp(*words, *operator)
        assert told.code == 0 and (tmp_path / f"out-{number}" / SYSTEM / "tls.crt").is_file(), told
    file = requests / SYSTEM / "tls.csr"
    for content, said in ((b"", "is empty / "), (b"a request", "is no PEM file / ")):
        file.write_bytes(content)
        for command in (
            f"enrol {SYSTEM} --requests {requests} --out {tmp_path / 'out-2'}",
            f"registry enrol {SYSTEM} --use tls --request {file}",
        ):
            told = commandline.lgsp(*command.split(), *operator)
            assert told.code == 2 and f"{file} {said}" in told.err and "subjectAltName" not in told.err, told

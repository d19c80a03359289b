"""The page of the client kit (docs/client.md, and in Vietnamese): its commands run as they stand there, its Python too,
and its table names what there is."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from itertools import islice
from pathlib import Path

import pytest

import gateway.client
from contracts.wire.jsontext import write_json
from examples.story import World
from gateway.client import Client, Identity
from gateway.sandbox.standins import messages

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"en": ROOT / "docs" / "client.md", "vi": ROOT / "docs" / "vi" / "client.md"}
PLACE = "lgsp-data/identities"


@pytest.fixture
def page() -> str:
    """As it stands, but for the message's id, which is good for one message."""
    return PAGES["en"].read_text("utf-8").replace("PA-2026-0117", str(uuid.uuid4()))


def test_both_pages_show_the_same_commands_and_names() -> None:
    pages = [path.read_text("utf-8") for path in PAGES.values()]
    assert len({tuple(sorted(re.findall(r"`([A-Z][A-Za-z]+)`", each))) for each in pages}) == 1
    commands = [
        [line.split("#")[0].split()[:3] for line in each.splitlines() if line.startswith(("lgsp ", "python "))]
        for each in pages
    ]
    assert commands[0] == commands[1] and len(commands[0]) >= 9
    python = [re.sub(r" *#.*", "", each.partition("```python")[2].partition("```")[0]) for each in pages]
    assert python[0] == python[1] and "with Client" in python[0]
    for name in re.findall(r"^\| `([A-Z]\w+)`", pages[0], re.M):
        assert hasattr(gateway.client, name), name
    for link in re.findall(r"\]\((?:\.\./)+(examples/[^)]+)\)", "".join(pages)):
        assert (ROOT / link).is_file(), link


def _first_line(command: list[str], folder: Path, environment: dict[str, str]) -> bytes:
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
    return line


@pytest.mark.full
@pytest.mark.server
def test_the_commands_run_as_they_stand_there(page: str, world: World, tmp_path: Path) -> None:
    block = next(each for each in re.findall(r"```sh\n(.*?)```", page, re.S) if "lgsp client call" in each)
    (tmp_path / "lgsp-data").mkdir()
    (tmp_path / PLACE).symlink_to(world.identities, target_is_directory=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    transfer = ""
    for line in block.splitlines():
        words, _, target = line.partition(">")
        command = shlex.split(words, comments=True)
        command = [transfer if word in ("TRANSFER", "MÃ-GIAO-DỊCH") else word for word in command]
        told = command[1:3] == ["client", "call"] and command[3] == "GET"
        command = (
            [sys.executable, "-m", "gateway", *command[1:]] if command[0] == "lgsp" else [sys.executable, *command[1:]]
        )
        if "--follow" in command:  # without an end
            assert b'"specversion"' in _first_line(command, tmp_path, environment), line
            continue
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stderr.decode())
        if target:
            (tmp_path / target.strip()).write_bytes(done.stdout)
        if told:
            transfer = re.findall(r"transfer (\S+)", done.stderr.decode())[0]
    assert len(list(tmp_path.rglob("*.tlog-proof"))) == 2


@pytest.mark.server
def test_the_python_runs_as_it_stands_there(
    page: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = next(each for each in re.findall(r"```python\n(.*?)```", page, re.S) if "with Client" in each)
    (tmp_path / "lgsp-data").mkdir()
    (tmp_path / PLACE).symlink_to(world.identities, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    # three systems stand in one sample: each call is made by the one that may
    code = code.replace('client.soap("incident-alert/v1"', 'others["canh-bao"].soap("incident-alert/v1"').replace(
        "client.pages", 'others["dieu-hanh"].pages'
    )
    code = code.replace("client.prove", 'others["canh-bao"].prove').replace("client.state", 'others["dieu-hanh"].state')
    code, found = re.subn(r"client\.stream\((.*)\):", r'islice(others["dieu-hanh"].stream(\1), 1):', code)
    assert found == 1  # it has no end
    others = {
        name: Client(Identity.load(world.identities / name), state=tmp_path / name)
        for name in ("canh-bao", "dieu-hanh")
    }
    try:
        exec(
            compile(code, "docs/client.md", "exec"),
            {
                "report": write_json(messages.field_report(area="01273")),
                "alert_xml": messages.cap_alert(),
                "kept": None,
                "others": others,
                "islice": islice,
            },
        )
    finally:
        for each in others.values():
            each.close()

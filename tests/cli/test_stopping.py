"""Ctrl-C, SIGTERM and a reader that goes away, on commands in processes of their own."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.ports import free_ports
from gateway.cli.common import stopping
from gateway.sandbox.instance import make_instance
from gateway.settings import DRAFT, Settings, load

LGSP = (sys.executable, "-m", "gateway")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load(tmp_path_factory.mktemp("stopped") / "data", environment={})
    make_instance(settings, {}, time.time(), province=False)
    return settings


def start(*words: str, **settings: object) -> subprocess.Popen[str]:
    environment = os.environ | {name: str(value) for name, value in settings.items()}
    return subprocess.Popen([*LGSP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        ("audit verify --checkpoint {pipe} --data {data} --json", signal.SIGINT, 130),
        ("audit verify --checkpoint {pipe} --data {data}", signal.SIGTERM, 143),
        ("restore {data} --data {new} --checkpoint {pipe}", signal.SIGTERM, 143),
    ],
)
def test_a_command_that_is_stopped_says_what_stands(
    instance: Settings, tmp_path: Path, words: str, number: int, code: int
) -> None:
    pipe = tmp_path / "pipe"  # whoever reads it waits until the test lets go
    os.mkfifo(pipe)
    process = start(*words.format(pipe=pipe, data=instance.data, new=tmp_path / "new").split())
    held = _written_to(pipe, process)
    try:
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
    finally:
        os.close(held)
    assert process.returncode == code and "Traceback" not in err, err
    said = json.loads(out)["error"]["what"] + json.loads(out)["error"]["next"] if "--json" in words else err
    assert signal.Signals(number).name in said and "đã dừng" in said and "un it again" in said and "hạy lại" in said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pipe"]


def _sleeps(pid: int) -> bool:
    """Seen to, five times in a row."""
    for _ in range(5):
        time.sleep(0.1)
        if Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "S":
            return False
    return True


def _written_to(pipe: Path, process: subprocess.Popen[str]) -> int:
    """Open for writing once the process waits for what it would read there: a signal that comes just before it reads is
    heeded only after."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            held = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as nobody_yet:
            assert nobody_yet.errno == errno.ENXIO
            time.sleep(0.02)
            continue
        while not _sleeps(process.pid) and process.poll() is None:
            pass
        return held
    raise AssertionError(process.communicate())


def test_an_instance_that_was_being_made_is_not_left_half_made(tmp_path: Path) -> None:
    exchange, desk = free_ports(2)  # others may have an instance at the usual ones
    process = start("up", "--data", str(tmp_path / "data"), LGSP_EXCHANGE_PORT=exchange, LGSP_DESK_PORT=desk)
    deadline = time.monotonic() + 60
    while not (tmp_path / "data" / DRAFT).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in err and "lgsp up" in err, err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_ends_well_with_a_last_line_for_programs(instance: Settings, tmp_path: Path, number: int) -> None:
    process = start("audit", "watch", "--json", "--every", "60", "--data", str(instance.data), "--state", str(tmp_path))
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "unreachable"
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    last = json.loads(out.splitlines()[-1])
    assert process.returncode == 0 and last["ok"] is True and last["new"] == 0 and err == ""


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [
        ("--help", ""),
        ("ca show --data {data}", "1"),
        ("registry show --json --data {data}", ""),
        ("contract show nothing/v1 --json --data {data}", "1"),
    ],
)
def test_a_reader_that_goes_away_ends_it_quietly(instance: Settings, words: str, unbuffered: str) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [*LGSP, *words.format(data=instance.data).split()]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, timeout=300, env=environment)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "words",
    [
        "--version",
        "ca show --data {data}",
        "ca show --json --data {data}",
        "contract show nothing/v1 --json --data {data}",
    ],
)
def test_an_output_that_is_full_or_closed_is_no_trace(instance: Settings, words: str) -> None:
    command = shlex.join([*LGSP, *words.format(data=instance.data).split()])
    full = subprocess.run(["bash", "-c", f"{command} > /dev/full"], stderr=subprocess.PIPE, text=True, timeout=300)
    assert full.returncode == 3 and "Traceback" not in full.stderr and "No space left" in full.stderr
    closed = subprocess.run(["bash", "-c", f"{command} >&-"], stderr=subprocess.PIPE, text=True, timeout=300)
    assert (closed.returncode, closed.stderr) == (2 if "nothing" in words else 0, "")


def test_whoever_started_it_may_have_signals_ignored() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from gateway.cli.common import "
        "stopping; stopping.heed(['x']); print(repr(signal.getsignal(2)), signal.getsignal(15))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300).stdout
    assert "SIG_IGN" in said and "_stop" in said


def test_what_stands_is_told_of_commands_that_there_are() -> None:
    import typer

    from gateway.cli.tree import app

    for name, words in stopping._STANDS.items():
        command = typer.main.get_command(app)
        for word in name.split():
            command = command.commands[word]  # type: ignore[attr-defined]
        assert words.en != words.vi
        options = {option for parameter in command.params for option in parameter.opts}
        named = set(re.findall("--[a-z-]+", words.en))
        assert named <= options, f"{name} has no {named - options}"
    assert "--out" in stopping.stands(["client", "join", "https://sandbox.example"])[1].en
    assert "--after" in stopping.stands(["client", "feed", "incident-alert/v1", "--follow"])[1].en
    assert "--id" not in stopping.stands(["client", "transfers"])[1].en
    assert stopping.stands(["vault", "hold", "add", "x", "--json"])[0] == "vault hold add"
    assert (
        stopping.stands(["backup", "/srv/x"])[0] == "backup"
        and stopping.stands(["audit", "show", "x"])[0] == "audit show"
    )
    assert (
        stopping.stands(["backup", "check", "/srv/x"])[0] == "backup check"
        and stopping.stands(["restore", "confirm"])[0] == "restore confirm"
    )
    address = "postgresql+psycopg://lgsp:secret@db/lgsp"
    assert stopping.stands(["move", address])[0] == "move"
    assert stopping.stands(["vault", "move", address])[0] == "vault move"
    assert stopping.stands(["move", "--data", "x", address])[0] == "move"

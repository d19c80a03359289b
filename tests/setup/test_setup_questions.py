"""What `lgsp setup` asks at a terminal: wrong answers are told at once, and what was typed is kept."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests import commandline
from tests.journal.databases import fresh_url
from tests.setup.provinces import GRANTS, answers, changed

ROOT = Path(__file__).resolve().parents[2]
FIRST = ("LGSP của tỉnh", "https://trao-doi.tinh.example", "")
ONE = ("can-bo-1", "H14.5", "Sở Khoa học và Công nghệ", "Cán bộ an toàn", "can-bo-1.pub")
TWO = ("can-bo-2", "H14.6", "Công an tỉnh", "Cán bộ an ninh mạng", "can-bo-2.pub")
OPERATES = ("van-hanh", "H14.0", "", "Tổ vận hành", "van-hanh.pub")


def _typed(
    folder: Path, given: tuple[str, ...], *, interrupted_at: int = 0, by: signal.Signals = signal.SIGINT
) -> tuple[int, str, str]:
    """What `lgsp setup` at a terminal in this folder ends with, says and asks. `interrupted_at`: where it asks for the
    agency of this person, by a signal: that of Ctrl-C, or of a terminal that was closed."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "gateway", "setup", "--data", "data"]
    environment, told = {**os.environ, "PYTHONPATH": str(ROOT)}, folder / "told"
    with (
        told.open("w") as file,
        subprocess.Popen(
            command, stdin=slave, stdout=subprocess.PIPE, stderr=file, cwd=folder, env=environment
        ) as asked,
    ):
        os.close(slave)
        os.write(master, "".join(f"{each}\n" for each in given).encode())
        until = time.monotonic() + 120
        while interrupted_at and told.read_text("utf-8").count("Code of the agency") < interrupted_at:
            assert asked.poll() is None and time.monotonic() < until, told.read_text("utf-8")
            time.sleep(0.1)
        if interrupted_at:
            asked.send_signal(by)
        try:
            out = asked.communicate(timeout=120)[0].decode()
        except subprocess.TimeoutExpired:
            asked.kill()
            raise
        finally:
            os.close(master)
    return asked.returncode, out, told.read_text("utf-8")


@pytest.mark.sampled("offline*")
@pytest.mark.parametrize(("medium", "grave"), [("offline", "nothing grave"), ("", "doctor: keys.root-online")])
def test_the_questions_are_asked_at_a_terminal(tmp_path: Path, medium: str, grave: str) -> None:
    """The one about secrets asks where the root's key goes; whoever names no place is told what is left to do."""
    answers(tmp_path)
    code, out, err = _typed(tmp_path, (*FIRST, "secret", medium, *ONE, *TWO, "", *OPERATES, "", "registry.yaml", ""))
    assert code == 0 and out.count("/console/link/") == 3 and grave in out, (out, err)
    assert (tmp_path / (medium or "data/ca") / "root.key").exists()
    assert "Nobody operates" not in out and not (tmp_path / "lgsp-setup.yaml").exists()
    assert ("on the file system of the instance" in out) is bool(medium), "a folder beside the data is no medium"
    waiting = json.loads(commandline.lgsp("access", "list", "--data", str(tmp_path / "data"), "--json").out)
    assert set(GRANTS) <= {each["id"] for each in waiting["grants"]}, waiting


@pytest.mark.full
def test_a_wrong_answer_is_told_at_once_and_asked_again(tmp_path: Path) -> None:
    """Each in its place: no other question is asked twice."""
    answers(tmp_path)
    (tmp_path / "short").write_text("abc", "ascii")
    code, out, err = _typed(
        tmp_path,
        (
            *("LGSP", "xxxx", "http://tinh.example", FIRST[1], "nothing", "", "short", "secret"),
            *("/nowhere/medium", "offline"),
            *("Cán bộ", "can-bo-1", "h14", *ONE[1:4], "can-bo-1.key", "none.pub", "can-bo-1.pub"),
            *("can-bo-1", *TWO[:4], "can-bo-1.pub", "registry.yaml", "can-bo-2.pub"),
            *("", *OPERATES, "", "none.yaml", "", "db1", ""),
        ),
    )
    assert code == 0, (out, err)
    for said in (
        "public_base: expected https://NAME", "desk_base: expected", "short: ", "/nowhere/medium is no folder",
        "id: expected lowercase", "agency: expected a code", "is a private key", "none.pub cannot be read",
        "another person has it", "none.yaml cannot be read", "database: expected postgresql://",
    ):  # fmt: skip
        assert said in err, (said, err)


@pytest.mark.full
def test_what_was_typed_is_kept_where_setup_does_not_end(tmp_path: Path) -> None:
    """By Ctrl-C, and where an answer turns out wrong at the end; the file goes on from there."""
    answers(tmp_path)
    code, out, err = _typed(tmp_path, (*FIRST, "secret", "offline", *ONE, "can-bo-2"), interrupted_at=2)
    assert code == 130 and "lgsp setup lgsp-setup.yaml" in err and not (tmp_path / "data").exists(), (code, out, err)
    kept = yaml.safe_load((tmp_path / "lgsp-setup.yaml").read_text("utf-8"))
    assert kept["officers"][0]["name"] == "Cán bộ an toàn" and kept["officers"][1] == {"id": "can-bo-2"}, kept
    code, *_ = _typed(tmp_path, (*FIRST, "secret", "offline", "can-bo-1"), interrupted_at=1, by=signal.SIGHUP)
    assert code == 129 and "can-bo-1" in (tmp_path / "lgsp-setup-2.yaml").read_text("utf-8")
    (tmp_path / "lgsp-setup-2.yaml").unlink()
    url = fresh_url("sqlite", tmp_path).replace("sqlite:///", "sqlite:////nowhere")
    code, out, err = _typed(tmp_path, (*FIRST, "secret", "", *ONE, *TWO, "", *OPERATES, "", "", url))
    assert code != 0 and "lgsp setup lgsp-setup-2.yaml" in err, (out, err)
    assert (tmp_path / "lgsp-setup-2.yaml").stat().st_mode & 0o077 == 0, "an address has a password"
    changed(tmp_path / "lgsp-setup-2.yaml", database=url.replace("/nowhere", ""))
    told = commandline.lgsp("setup", str(tmp_path / "lgsp-setup-2.yaml"), "--data", str(tmp_path / "data"))
    assert told.code == 0, told


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    told = commandline.lgsp("setup", "--data", str(tmp_path / "data"), "--json")
    assert (told.code, json.loads(told.out)["error"]["code"]) == (2, "no-answers")
    assert not (tmp_path / "data").exists()

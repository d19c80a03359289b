"""The command line's answers to what people get wrong: a documented exit code, and one JSON object where `--json` asks for it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.commands.run import _alone
from gateway.sandbox.instance import FolderTaken, make_instance, readdress
from gateway.settings import Settings, load
from gateway.supervisor import NotStarted


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load(tmp_path_factory.mktemp("commands") / "data", environment={})
    make_instance(settings, dict.fromkeys(("do-thi", "kinh-te", "mot-cua", "truong-ha"), "https://localhost:1"), time.time(), province=True)
    return settings


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        ("audit verify --vkey nonsense", 2, "bad-key"),
        ("audit verify --checkpoint /missing", 2, "no-file"),
        ("audit export /proc/missing", 2, "no-folder"),
        ("audit show", 2, "usage"),
        ("feed read nothing/v1", 1, "feed.unknown"),
        ("feed read field-report/v1", 1, "feed.unknown"),
        ("feed read incident-alert/v1 --limit 0", 2, "usage"),
        ("registry apply /tmp", 2, "no-file"),
    ],
)
def test_mistakes_are_told_in_one_object(sandbox: Settings, words: str, exit_code: int, code: str) -> None:
    command = [sys.executable, "-m", "gateway", *words.split(), "--data", str(sandbox.data), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["ok"], told["error"]["code"]) == (exit_code, False, code)
    assert told["error"]["next"] and "Traceback" not in ended.stderr


def test_one_up_a_data_folder(sandbox: Settings) -> None:
    sandbox.run.mkdir(exist_ok=True)
    folder = os.open(sandbox.run, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(NotStarted, match="running already"), _alone(sandbox):
            raise AssertionError("a second one came in")
    finally:
        os.close(folder)
    with _alone(sandbox):
        pass


def test_identities_follow_the_port(sandbox: Settings) -> None:
    moved = load(sandbox.data, environment={"LGSP_EXCHANGE_PORT": "9553"})
    readdress(moved)
    files = sorted(Path(sandbox.identities).glob("*/system.json"))
    assert len(files) >= 12 and {json.loads(each.read_text("utf-8"))["gateway"] for each in files} == {"https://localhost:9553"}
    readdress(sandbox)
    assert json.loads(files[0].read_text("utf-8"))["gateway"] == sandbox.base


def test_settings_may_lie_where_an_instance_is_to_be_made(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    (place / "settings.yaml").write_text("# của tỉnh\nkind: production\norigin: tinh.example/lgsp\n", "utf-8")
    for words in ("doctor", "ca show", "registry show"):
        command = [sys.executable, "-m", "gateway", *words.split(), "--data", str(place), "--json"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (2, "no-instance")
    settings = load(place, environment={})
    make_instance(settings, {}, time.time(), province=False)
    made = load(place, environment={})
    assert made.is_made and made == settings and (made.authority / "anchors.pem").exists()
    with pytest.raises(FolderTaken, match="data: ca, "):
        make_instance(settings, {}, time.time(), province=False)


def test_no_instance_is_made_beside_what_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "thư riêng.txt").write_text("của người khác", "utf-8")
    command = [sys.executable, "-m", "gateway", "up", "--data", str(tmp_path), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["error"]["code"]) == (2, "folder-taken") and "thư riêng.txt" in told["error"]["what"]
    assert [each.name for each in tmp_path.iterdir()] == ["thư riêng.txt"]

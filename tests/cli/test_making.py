"""Where an instance is made: beside its settings, in the very folder that is given, and never over anything of
others."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.ports import free_ports
from gateway.cli import run
from gateway.sandbox.instance import FolderTaken, make_instance
from gateway.settings import DRAFT, WHOLE, load
from tests import commandline


@pytest.mark.full
def test_settings_may_lie_where_an_instance_is_to_be_made(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    (place / "settings.yaml").write_text("# của tỉnh\nkind: production\norigin: tinh.example/lgsp\n", "utf-8")
    for words in ("doctor", "ca show", "registry show"):
        command = [sys.executable, "-m", "gateway", *words.split(), "--data", str(place), "--json"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (2, "no-instance")
    settings = load(place, environment={})
    make_instance(settings, {}, time.time(), province=False)
    made = load(place, environment={})
    assert made.is_made and made == settings and (made.authority / "anchors.pem").exists()
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", "registry", "show", "--data", str(place)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "lgsp registry apply" in shown.stdout and "Chưa đăng ký ai" in shown.stdout
    with pytest.raises(FolderTaken, match="data: ca, "):
        make_instance(settings, {}, time.time(), province=False)


def test_an_instance_is_made_in_the_very_folder_and_once_whole_moves_there_in_any_case(tmp_path: Path) -> None:
    """The place may be where a disk begins, or all that its owner may write to. What a kill left half built is thrown
    away; what was whole goes on."""
    place = tmp_path / "data"
    (place / "lost+found").mkdir(parents=True)
    (place / "settings.yaml").write_text("kind: production\norigin: tinh.example/lgsp\n", "utf-8")
    (place / DRAFT / "keys").mkdir(parents=True)
    settings, folder = load(place, environment={}), place.stat().st_ino
    made_before = settings.is_made
    make_instance(settings, {}, time.time(), province=False)
    assert (
        settings.is_made
        and not made_before
        and place.stat().st_ino == folder
        and {each.name for each in tmp_path.iterdir()} == {"data"}
    )
    names, root = {each.name for each in place.iterdir()}, (place / "ca" / "root.crt").read_bytes()
    assert names >= {"lost+found", "settings.yaml", "ca", "keys", "lgsp.db"} and not names & {DRAFT, WHOLE}
    for moved in ("settings.yaml", "keys", "ca"):  # killed while it moved: at any of them
        (place / WHOLE).mkdir(exist_ok=True)
        (place / moved).rename(place / WHOLE / moved)
        assert not settings.is_made
    make_instance(settings, {}, time.time(), province=False)
    assert (
        settings.is_made
        and {each.name for each in place.iterdir()} == names
        and (place / "ca" / "root.crt").read_bytes() == root
    )


def test_no_instance_is_made_beside_what_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "thư riêng.txt").write_text("của người khác", "utf-8")
    command = [sys.executable, "-m", "gateway", "up", "--data", str(tmp_path), "--json"]
    exchange, desk = free_ports(2)
    ports = {"LGSP_EXCHANGE_PORT": str(exchange), "LGSP_DESK_PORT": str(desk)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | ports)
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["error"]["code"]) == (2, "folder-taken") and "thư riêng.txt" in told["error"]["what"]
    assert [each.name for each in tmp_path.iterdir()] == ["thư riêng.txt"]


def test_a_port_that_is_taken_at_the_first_start_leaves_no_instance_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = dict(zip(("EXCHANGE", "DESK", "METRICS", "EDGE"), free_ports(4), strict=True))
    for name, port in ports.items():
        monkeypatch.setenv(f"LGSP_{name}_PORT", str(port))
    for name, port in ports.items():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            ended = commandline.lgsp("up", "--data", str(tmp_path / "data"), "--json")
        error = json.loads(ended.out)["error"]
        assert (ended.code, error["code"]) == (3, "not-started") and f"127.0.0.1:{port}" in error["what"]
        assert f"`{name.lower()}_port` (LGSP_{name}_PORT)" in error["next"] and not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_names_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, port in zip(("EXCHANGE", "DESK"), free_ports(2), strict=True):
        monkeypatch.setenv(f"LGSP_{name}_PORT", str(port))
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "data", Path("/proc/lgsp-data")):
        ended = commandline.lgsp("up", "--data", str(place), "--json")
        error = json.loads(ended.out)["error"]
        assert (ended.code, error["code"]) == (2, "folder-unwritable")
        assert str(place) in error["what"] and "--data" in error["next"] and "LGSP_DATA" in error["next"]


def test_up_joins_by_an_invitation_or_makes_nothing(tmp_path: Path) -> None:
    """Where containers start: without an instance `up --join` never makes one."""
    place = tmp_path / "data"
    words = ("up", "--data", str(place), "--json", "--join")
    for file, content, expected in (
        ("none", None, (3, "not-joined")),
        ("", None, (3, "not-joined")),  # a folder without one of this machine's name
        ("unreadable", b"{}", (2, "machine.invitation")),
    ):
        if content is not None:
            (tmp_path / file).write_bytes(content)
        ended = commandline.lgsp(*words, str(tmp_path / file))
        assert (ended.code, json.loads(ended.out)["error"]["code"]) == expected, ended
        assert not place.exists() or not load(place, environment={}).is_made


def test_a_machine_that_joined_a_sandbox_names_no_identities_that_it_has_not(tmp_path: Path) -> None:
    settings = load(tmp_path, environment={})
    assert settings.kind == "sandbox" and "identities" not in run.addresses(settings)
    assert "on the machine where the sandbox was made" in run._to_try(settings)
    assert "first call" not in run._to_try(settings)
    settings.identities.mkdir()
    assert run.addresses(settings)["identities"] == str(settings.identities) and "first call" in run._to_try(settings)

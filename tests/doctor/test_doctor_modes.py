"""The doctor names whatever of an instance others can get at, with the commands that mend it; what is shared on purpose
is none of it."""

from __future__ import annotations

import secrets
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.doctor import examine
from gateway.journal.taken_up import FOLDER, Register
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("modes")
    (folder / "secret").write_bytes(secrets.token_bytes(32))
    (folder / "secret").chmod(0o600)
    made = Settings(folder / "data", kind="production", secret_file=str(folder / "secret"))
    make_instance(made, {}, time.time(), province=False)
    return made


@pytest.fixture
def settings(sound: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy with all that comes into being while it runs."""
    shutil.copytree(sound.data, tmp_path / "data")
    made = replace(sound, data=tmp_path / "data", edge_socket=str(tmp_path / "edge.sock"))
    for name in ("log/checkpoint", "log/cosigned"):
        (made.data / name).touch(0o600)
    made.run.mkdir(mode=0o700)
    Register(made.run / FOLDER, "door-1", "door")
    (made.drop_root / "so-lieu" / "accepted").mkdir(parents=True)
    for path in (made.drop_root, made.drop_root / "so-lieu", made.drop_root / "so-lieu" / "accepted"):
        path.chmod(0o770)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(made.edge_socket)
    Path(made.edge_socket).chmod(0o600)
    held = sqlite3.connect(made.data / "lgsp.db")  # whoever closes it last would take the files beside it away
    held.execute("SELECT 1 FROM instance").fetchall()
    yield made
    held.close()


def named(settings: Settings) -> str:
    return "".join(each.facts["paths"] for each in examine(settings, time.time) if each.kind.code == "files.open")


@pytest.mark.attack("data that others can read")
@pytest.mark.parametrize(
    ("place", "mode"),
    [
        (".", 0o755),
        (".", 0o750),
        ("lgsp.db", 0o644),
        ("lgsp.db", 0o640),
        ("lgsp.db-wal", 0o644),
        ("lgsp.db-shm", 0o604),
        ("log", 0o755),
        ("log/checkpoint", 0o644),
        ("log/cosigned", 0o622),
        ("run", 0o755),
        (f"run/{FOLDER}", 0o711),
        (f"run/{FOLDER}/door-1", 0o644),
        ("drops/so-lieu", 0o775),
        ("drops/so-lieu/accepted", 0o777),
        ("../edge.sock", 0o666),
    ],
)
def test_what_others_can_get_at_is_named_and_the_commands_mend_it(place: str, mode: int, settings: Settings) -> None:
    assert not named(settings)
    path = settings.data / place
    path.chmod(mode)
    (finding,) = [each for each in examine(settings, time.time) if each.kind.code == "files.open"]
    assert finding.kind.grave and finding.facts["paths"] == str(path).replace("data/../", "")
    for language in ("vi", "en"):
        assert finding.facts["commands"] in finding.kind.next.say(language, finding.facts)
    subprocess.run(["sh", "-c", finding.facts["commands"]], check=True)
    assert not named(settings)


def test_what_is_shared_on_purpose_is_not_named(settings: Settings) -> None:
    settings.data.chmod(0o711)  # so that the accounts of systems reach their folders
    Path(settings.edge_socket).chmod(0o660)
    assert not named(replace(settings, edge_socket_group="www-data"))
    shutil.rmtree(settings.drop_root)
    assert named(replace(settings, edge_socket_group="www-data")) == str(settings.data), (
        "without drop folders nobody has to pass"
    )


def test_a_folder_with_blanks_in_its_name(settings: Settings, tmp_path: Path) -> None:
    moved = replace(settings, data=tmp_path / "dữ liệu; $(x)", edge_socket="")
    settings.data.rename(moved.data)
    (moved.data / "lgsp.db").chmod(0o666)
    (finding,) = [each for each in examine(moved, time.time) if each.kind.code == "files.open"]
    subprocess.run(["sh", "-c", finding.facts["commands"]], check=True)
    assert not named(moved)

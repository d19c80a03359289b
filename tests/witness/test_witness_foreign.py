"""A foreign witness, litewitness (Debian package litetlog), is asked what ours is asked, and says the same.

It names its key as we do. Its release in Debian ends the connection when it comes to store a checkpoint (its SQLite
driver panics), which is past all checks: so a dropped connection stands where ours cosigns, and what it holds is set in
its database.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from bench.ports import free_port
from gateway.witness.judge import Judge
from gateway.witness.state import Folder
from security.transparency.cosignature import CosignerKey

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        shutil.which("litewitness") is None or shutil.which("ssh-agent") is None,
        reason="litetlog or openssh-client (Debian) is not there",
    ),
]
NAME = "w.example/lite"
Ask = Callable[[bytes], tuple[int, str]]


@pytest.fixture
def lite(tmp_path: Path, log: Any) -> Iterator[tuple[Ask, Path]]:
    tools = {
        name: str(shutil.which(name)) for name in ("litewitness", "witnessctl", "ssh-agent", "ssh-add", "ssh-keygen")
    }
    base, socket, key = tmp_path / "w.db", tmp_path / "s", tmp_path / "k"
    subprocess.run([tools["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for more in (["add-log", "-origin", log.name], ["add-key", "-origin", log.name, "-key", log.vkey]):
        subprocess.run([tools["witnessctl"], more[0], "-db", str(base), *more[1:]], check=True, capture_output=True)
    port = free_port()
    agent = subprocess.Popen([tools["ssh-agent"], "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    said = (tmp_path / "said").open("w+b")
    witness: subprocess.Popen[bytes] | None = None
    try:
        until = time.monotonic() + 60
        while not socket.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        environment = {
            **os.environ,
            "SSH_AUTH_SOCK": str(socket),
            "GODEBUG": "httpmuxgo121=0",
        }  # else its router knows no methods
        subprocess.run([tools["ssh-add"], "-q", str(key)], check=True, env=environment)
        mark = subprocess.run(
            [tools["ssh-keygen"], "-lf", f"{key}.pub"], check=True, capture_output=True, text=True
        ).stdout.split()[1]
        command = [
            tools["litewitness"],
            "-db",
            str(base),
            "-ssh-agent",
            str(socket),
            "-name",
            NAME,
            "-key",
            mark,
            "-listen",
            f"127.0.0.1:{port}",
        ]
        witness = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        while b"listening" not in (tmp_path / "said").read_bytes():
            assert time.monotonic() < until and witness.poll() is None
            time.sleep(0.02)

        def ask(body: bytes) -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request("POST", "/add-checkpoint", body)
                answer = connection.getresponse()
                text = answer.read().decode()
                return answer.status, text if answer.headers["content-type"] == "text/x.tlog.size" else ""
            except http.client.RemoteDisconnected:
                return 200, ""
            finally:
                connection.close()

        yield ask, tmp_path
    finally:
        for process in (witness, agent):
            if process is not None:
                process.terminate()
                process.wait(60)
        said.close()


def test_ours_says_what_a_foreign_one_says(lite: tuple[Ask, Path], log: Any) -> None:
    theirs, place = lite
    key = CosignerKey.make(NAME, load_ssh_public_key((place / "k.pub").read_bytes()))  # type: ignore[arg-type]
    assert re.search(rb"vkey=(\S+)", (place / "said").read_bytes())[1].decode() == key.text()  # type: ignore[index]
    folder = Folder(place / "ours")
    folder.make_key("w.example/ours")
    folder.add_log(log.vkey)
    judge = Judge(folder, time.time)

    def ours(body: bytes) -> tuple[int, str]:
        said = judge.add_checkpoint(body)
        return said.status, said.body if said.kind == "text/x.tlog.size" else ""

    other, stranger, impostor = log.fork(), type(log)("log.example/other"), type(log)(log.name)
    good = log.ask(0, 5)
    # What is asked, and the status of theirs where that release is laxer or older than the specification that ours
    # follows.
    before: list[tuple[bytes, int | None]] = [
        (stranger.ask(0, 5), 403),  # 404 by now
        (impostor.ask(0, 5), None),
        (b"", None),
        (b"hello", None),
        (good.replace(b"old 0", b"old x"), None),
        (good.replace(b"old 0", b"old 00"), 200),  # no leading zeroes
        (good.replace(b"old 0\n", b""), None),
        (good[:-1], 500),  # each line ends with a newline
        (log.ask(3, 5), None),
        (log.ask(9, 5, []), None),
        (log.ask(0, 5, [bytes(32)]), 200),  # from nothing the proof is empty
    ]
    for body, differs in before:
        mine, foreign = ours(body), theirs(body)
        assert foreign == ((differs, "") if differs is not None else mine), body[:80]
        assert 400 <= mine[0] < 500
    assert theirs(good) == ours(good) == (200, "")  # here theirs stores, and ends the connection
    with sqlite3.connect(place / "w.db") as base:
        kind = base.execute("SELECT typeof(tree_hash) FROM log").fetchone()[0]
        root: Any = log.tree.root(5)
        base.execute(
            "UPDATE log SET tree_size = 5, tree_hash = ?",
            (base64.b64encode(root).decode() if kind == "text" else root,),
        )
    after: list[tuple[Any, int | None]] = [
        (log.ask(0, 9), None),
        (log.ask(0, 4), None),
        (log.ask(4, 9), None),
        (other.ask(5, 9), None),
        (log.ask(5, 9, []), None),
    ]
    after += [(log.ask(5, 9, [bytes(32)] * 4), None), (log.ask(5, 4, []), None), (other.ask(5, 5), 422)]  # 409 by now
    for body, differs in [*after, (log.ask(5, 9), None)]:
        mine, foreign = ours(body), theirs(body)
        assert foreign == ((differs, "") if differs is not None else mine), body[:80]
    assert ours(log.ask(5, 9)) == (409, "9\n"), "the last one was cosigned"

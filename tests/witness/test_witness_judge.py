"""What a witness answers (C2SP tlog-witness): every status of the specification, and nothing that ever goes back."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.witness.judge import Judge
from gateway.witness.server import Server
from gateway.witness.state import BadFolder, Folder
from security.transparency.checkpoint import Checkpoint, NoteError, split_note
from security.transparency.cosignature import MAX_REQUEST, AddCheckpoint, answered

NOW = 1_795_500_000.5


@pytest.fixture
def folder(tmp_path: Path, log: Any) -> Folder:
    made = Folder(tmp_path / "witness")
    made.make_key("w.example/so-ke-hoach")
    made.add_log(log.vkey)
    return made


@pytest.fixture
def judge(folder: Folder) -> Judge:
    return Judge(folder, lambda: NOW)


def say(judge: Judge, body: bytes) -> tuple[int, str, str]:
    said = judge.add_checkpoint(body)
    return said.status, said.kind, said.body


def size_held(judge: Judge, log: Any) -> int:
    held = judge._folder.read(log.name)
    assert held is not None
    return 0 if held.checkpoint is None else held.checkpoint.size


def test_it_goes_forward(judge: Judge, log: Any) -> None:
    for old, size in ((0, 0), (0, 7), (7, 7), (7, 300), (300, 300)):
        said = judge.add_checkpoint(log.ask(old, size))
        assert said.status == 200
        assert answered(split_note(log.note(size))[0], said.body, judge.key)[1] == int(NOW)
        assert size_held(judge, log) == size


def test_it_never_goes_back(judge: Judge, log: Any, folder: Folder) -> None:
    assert say(judge, log.ask(0, 200))[0] == 200
    for again in (judge, Judge(Folder(folder.path), lambda: NOW)):  # the same, and after a restart
        assert say(again, log.ask(0, 300)) == (409, "text/x.tlog.size", "200\n")
        assert say(again, log.ask(0, 100)) == (409, "text/x.tlog.size", "200\n")
        assert say(again, log.ask(100, 100)) == (409, "text/x.tlog.size", "200\n")
        assert say(again, log.ask(200, 199, []))[0] == 400, "an old size above the checkpoint's"
        assert size_held(again, log) == 200


def test_a_fork_is_refused_and_kept_as_evidence(judge: Judge, log: Any, folder: Folder) -> None:
    other = log.fork()
    assert say(judge, log.ask(0, 200))[0] == 200
    assert say(judge, other.ask(200, 200)) == (409, "text/x.tlog.size", "200\n"), "two roots of one size"
    assert say(judge, other.ask(200, 300))[0] == 422
    assert say(judge, log.ask(200, 300, []))[0] == 422
    assert size_held(judge, log) == 200
    kept = [AddCheckpoint.from_text(each.read_text("utf-8")).note for each in folder.objections()]
    assert sorted(kept) == sorted([log.note(200), other.note(200), other.note(300), log.note(300)])


def test_a_fork_is_not_crowded_out(judge: Judge, log: Any, folder: Folder) -> None:
    assert say(judge, log.ask(0, 20))[0] == 200
    for size in range(21, 226):
        assert say(judge, log.ask(20, size, []))[0] == 422
    assert say(judge, log.fork().ask(20, 20))[0] == 409
    kept = {AddCheckpoint.from_text(each.read_text("utf-8")).note for each in folder.objections()}
    assert len(kept) == 202 and {log.note(20), log.fork().note(20), log.note(21), log.note(225)} <= kept


def test_strangers(judge: Judge, log: Any) -> None:
    stranger = type(log)("log.example/other")
    assert say(judge, stranger.ask(0, 5))[0] == 404
    impostor = type(log)(log.name, Ed25519PrivateKey.generate())
    assert say(judge, impostor.ask(0, 5))[0] == 403
    signed = log.note(5).replace("\n5\n", "\n6\n")
    assert say(judge, AddCheckpoint(0, (), signed).text().encode())[0] == 403
    assert say(judge, b"old 0\n\n" + b"\xff\xfe")[0] == 400
    assert say(judge, b"hello")[0] == 400
    assert say(judge, log.ask(0, 5, [bytes(32)]))[0] == 422, "from nothing there is nothing to prove"
    assert size_held(judge, log) == 0
    both = log.note(5) + stranger.note(5).rpartition("\n\n")[2]
    assert say(judge, AddCheckpoint(0, (), both).text().encode())[0] == 200, "further signatures are passed over"


def test_a_log_may_change_its_key_and_is_never_begun_anew(judge: Judge, log: Any, folder: Folder) -> None:
    assert say(judge, log.ask(0, 200))[0] == 200
    successor = type(log)(log.name, Ed25519PrivateKey.generate())
    assert say(judge, successor.ask(200, 300))[0] == 403
    folder.add_log(successor.vkey)
    folder.add_log(log.vkey)
    assert size_held(judge, log) == 200
    assert say(judge, successor.ask(200, 300))[0] == 200


def test_its_times_never_go_back(folder: Folder, log: Any) -> None:
    clock = [NOW]
    judge = Judge(folder, lambda: clock[0])
    times = []
    for size in (1, 2, 3):
        said = judge.add_checkpoint(log.ask(size - 1, size))
        times.append(answered(split_note(log.note(size))[0], said.body, judge.key)[1])
        clock[0] -= 3600.0
    assert times == [int(NOW)] * 3


def test_of_many_at_once_one_goes_first(judge: Judge, log: Any) -> None:
    """The race of the specification: two that go on from one size, and only one is cosigned."""
    assert say(judge, log.ask(0, 100))[0] == 200
    said: list[int] = []
    threads = [
        threading.Thread(target=lambda size=size: said.append(say(judge, log.ask(100, size))[0]))
        for size in range(101, 113)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(said) == [200] + [409] * 11


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=12))
def test_whatever_is_asked_it_cosigned_one_history(
    tmp_path: Path, log: Any, steps: list[tuple[int, int, bool]]
) -> None:
    other = log.fork()
    folder = Folder(tmp_path / os.urandom(8).hex())
    folder.make_key("w.example/x")
    folder.add_log(log.vkey)
    cosigned: list[Checkpoint] = []
    for old, size, forked in steps:
        asked = other if forked else log
        body = asked.ask(old, size)
        if Judge(folder, lambda: NOW).add_checkpoint(body).status == 200:  # a new judge each time: nothing is in memory
            cosigned.append(Checkpoint.from_text(split_note(asked.note(size))[0]))
    assert [each.size for each in cosigned] == sorted(each.size for each in cosigned)
    true = [log if all(each.root == log.tree.root(each.size) for each in cosigned) else other]
    assert all(each.root == true[0].tree.root(each.size) for each in cosigned)


# --- the folder -------------------------------------------------------------------------------------------------------


def test_the_key_is_for_its_owner_alone(folder: Folder) -> None:
    assert stat.S_IMODE(folder.key_file.stat().st_mode) == 0o600
    with pytest.raises(BadFolder, match="keeps its key"):
        folder.make_key("w.example/so-ke-hoach")
    folder.key_file.chmod(0o640)
    with pytest.raises(BadFolder, match="0600"):
        folder.key()


def test_a_damaged_state_is_no_unknown_log(judge: Judge, log: Any, folder: Folder) -> None:
    assert say(judge, log.ask(0, 200))[0] == 200
    [file] = (folder.path / "logs").glob("*.json")
    whole = json.loads(file.read_text())
    for damage in (
        "",
        "{}",
        json.dumps(whole | {"note": "x"}),
        json.dumps(whole | {"origin": "other"}),
        file.read_text()[:-40],
    ):
        file.write_text(damage)
        with pytest.raises(BadFolder):
            judge.add_checkpoint(log.ask(0, 5))
        with pytest.raises(BadFolder):
            folder.add_log(log.vkey)
        with pytest.raises(BadFolder):
            folder.all()


@pytest.mark.parametrize("name", ["../../evil", "a/../b", ".hidden", "x" * 300])
def test_the_name_of_a_log_leads_nowhere_else(folder: Folder, log: Any, name: str, tmp_path: Path) -> None:
    before = sorted(str(each) for each in tmp_path.rglob("*"))
    odd = type(log)(name, leaves=3)
    try:
        folder.add_log(odd.vkey)
    except NoteError:
        assert sorted(str(each) for each in tmp_path.rglob("*")) == before
    made = list(tmp_path.rglob("*.json"))
    assert all(each.parent == folder.path / "logs" for each in made)
    said = Judge(folder, lambda: NOW).add_checkpoint(odd.ask(0, 2))
    assert said.status in (200, 404)


# --- HTTP -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(judge: Judge) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = Server(judge)
    port = asyncio.run_coroutine_threadsafe(server.open("127.0.0.1", 0), loop).result(60)
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_the_interface(running: str, log: Any, folder: Folder) -> None:
    async with aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, body: Any = None) -> tuple[int, str, str]:
            async with session.request(method, running + path, data=body) as answer:
                return answer.status, answer.content_type, await answer.text()

        assert (await ask("POST", "/add-checkpoint", log.ask(0, 5)))[:2] == (200, "text/plain")
        assert await ask("POST", "/add-checkpoint", log.ask(0, 9)) == (409, "text/x.tlog.size", "5\n")
        assert (await ask("GET", "/add-checkpoint"))[0] == 405
        assert (await ask("POST", "/"))[0] == 404
        assert (await ask("POST", "/add-checkpoint", b"x" * (MAX_REQUEST + 1)))[0] == 413

        async def parts() -> Any:
            for _ in range(MAX_REQUEST // 1000 + 2):
                yield b"x" * 1000

        assert (await ask("POST", "/add-checkpoint", parts()))[0] == 413
        [file] = (folder.path / "logs").glob("*.json")
        file.write_text("broken")
        assert (await ask("POST", "/add-checkpoint", log.ask(5, 9)))[0] == 500

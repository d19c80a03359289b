"""The register of calls in hand: what it holds after a death, handed in once, bounded, clean, and cheap."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from contracts.base.ids import new_id
from gateway.doors.http.taken_up import TRANSFER, TakenUp
from gateway.journal.append import append
from gateway.journal.database import lock_of, migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.taken_up import NOWHERE, SLOTS, Call, Left, Register, left_behind
from gateway.keeper import recovery
from gateway.transfer import entries
from tests.cost import seconds

PATH = "/incident-alert/v1/alerts"


def engine_in(folder: Path) -> Engine:
    engine = open_engine(f"sqlite:///{folder / 'lgsp.db'}")
    migrate(engine)
    return engine


def killed_with(folder: Path, *paths: str, transfer: str | None = None) -> list[str]:
    """A process that takes calls up and is killed; their ids."""
    ids = [transfer or new_id() for _ in paths]
    child = os.fork()
    if not child:
        try:
            register = Register(folder, f"door-{new_id()}", "door")
            for id, path in zip(ids, paths, strict=True):
                register.take(Call(id, time.time(), "192.0.2.7", "thumbprint", "POST", path, 500))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return ids


def logged(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [
            json.loads(raw)
            for raw in connection.execute(
                select(tables.log_pending.c.entry).order_by(tables.log_pending.c.id)
            ).scalars()
        ]


@pytest.mark.attack("a door that dies names nobody")
def test_what_a_killed_process_had_in_hand_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where recovery dies before it has removed the register."""
    engine, folder = engine_in(tmp_path), tmp_path / "taken-up"
    ids = killed_with(folder, PATH, "/oauth/token")

    class Dies(Exception):
        pass

    def dies(_left: Left) -> None:
        raise Dies

    with monkeypatch.context() as patch:
        patch.setattr(Left, "remove", dies)
        with pytest.raises(Dies):
            recovery.hand_in(engine, lock_of(engine), folder, time.time())
    assert recovery.hand_in(engine, lock_of(engine), folder, time.time()) == 0
    assert not list(folder.iterdir())
    told = logged(engine)
    assert [each["transfer"] for each in told] == ids
    assert [(each["what"], each["facts"]["path"], each["facts"]["size"]) for each in told] == [
        ("taken-up", PATH, 500),
        ("taken-up", "/oauth/token", 500),
    ]


def test_a_call_that_the_log_knows_is_not_told_again(tmp_path: Path) -> None:
    engine, folder = engine_in(tmp_path), tmp_path / "taken-up"
    (known,) = killed_with(folder, PATH)
    with writing(engine) as connection:
        append(connection, [entries.note("refusal", {}, time.time(), about=known)])
    assert recovery.hand_in(engine, lock_of(engine), folder, time.time()) == 0
    assert len(logged(engine)) == 1 and not list(folder.iterdir())


def test_a_living_process_keeps_its_register(tmp_path: Path) -> None:
    register = Register(tmp_path, "door-1", "door")
    slot = register.take(Call("t", 1.0, "", "", "GET", "/", None))
    assert not list(left_behind(tmp_path))
    register.done(slot)
    register.close()
    assert not list(tmp_path.iterdir())


def test_hostile_text_is_bounded_and_clean(tmp_path: Path) -> None:
    engine, folder = engine_in(tmp_path), tmp_path / "taken-up"
    killed_with(folder, "/a\nb\x1b[31m\u202e" + "é" * 5_000, "/p/079123456789/x", "\ud800/")
    recovery.hand_in(engine, lock_of(engine), folder, time.time())
    first, second, third = (each["facts"]["path"] for each in logged(engine))
    assert first.startswith("/a\\u000ab\\u001b[31m\\u202eé") and len(first) < 400
    assert second == "/p/…/x" and third == "?/"


@pytest.mark.parametrize(
    "damage",
    [b"", b"lgsp taken-up 1\n", b"\0" * 600_000, b"lgsp taken-up 1\n    []\n" + b"\0" * 600_000],
    ids=["empty", "short", "zeros", "no header"],
)
def test_a_register_that_is_none_stops_nobody(tmp_path: Path, damage: bytes) -> None:
    engine, folder = engine_in(tmp_path), tmp_path / "taken-up"
    killed_with(folder, PATH)
    (folder / "door-0").write_bytes(damage)
    assert recovery.hand_in(engine, lock_of(engine), folder, time.time()) == 1
    assert not list(folder.iterdir())


def test_more_calls_than_slots_are_counted(tmp_path: Path) -> None:
    engine, folder = engine_in(tmp_path), tmp_path / "taken-up"
    killed_with(folder, *[PATH] * (SLOTS + 3))
    assert recovery.hand_in(engine, lock_of(engine), folder, time.time()) == SLOTS + 1
    assert logged(engine)[-1]["facts"] == {
        "process": logged(engine)[-1]["facts"]["process"],
        "kind": "door",
        "failure": "process.died",
        "calls": SLOTS,
        "untold": 3,
    }


def test_a_folder_that_cannot_be_written_ends_no_door(tmp_path: Path) -> None:
    (tmp_path / "taken-up").write_text("in the way")
    register = Register(tmp_path / "taken-up", "door-1", "door")
    register.done(register.take(Call("t", 1.0, "", "", "GET", "/", None)))
    register.close()


class _Journal:
    fenced = False


def _scope(path: str = PATH) -> dict[str, Any]:
    return {
        "path": path,
        "method": "POST",
        "headers": [(b"content-length", b"12")],
        "client": ("192.0.2.7", 1),
        "extensions": {},
    }


def test_calls_of_a_fenced_door_stay_noted(tmp_path: Path) -> None:
    """It could write no entry of them: whoever recovers does."""
    journal: Any = _Journal()
    register = Register(tmp_path, "door-1", "door")
    taken, scope = TakenUp(register, journal), _scope()
    taken.leave(taken.enter(scope, 1.0))
    journal.fenced = True
    late = _scope()
    taken.leave(taken.enter(late, 2.0))
    assert taken.enter(_scope("/healthz"), 3.0) == NOWHERE
    register.close()
    (left,) = left_behind(tmp_path)
    assert [call.transfer for call in left.calls] == [late[TRANSFER]]


def test_noting_a_call_costs_next_to_nothing(tmp_path: Path) -> None:
    """Held against one SHA-256 of 64 KB, of which a call needs several."""
    import hashlib

    register = Register(tmp_path, "door-1", "door")
    taken, scope, data = TakenUp(register), _scope(), b"x" * 65_536

    def many(call: Callable[[], object]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(2_000):
                call()

        return calls

    noting = many(lambda: taken.leave(taken.enter(scope, 1.0)))
    noting()
    assert seconds(noting) < seconds(many(lambda: hashlib.sha256(data).digest()))
    register.close()

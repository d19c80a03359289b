"""Files of large bodies under way: what is read is what was written, nothing is in clear, and there is a limit."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from contracts.base.errors import Ours
from gateway.vault import scratch
from gateway.vault.scratch import CHUNK, Room, Scratch

LARGE = 50 * CHUNK


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(scratch, "RESERVE", 0)
    return Room(tmp_path / "bodies", LARGE)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_a_file(room: Room, seed: int) -> None:
    """Against a file in memory, step by step."""
    chance, file, plain = random.Random(seed), room.open("a"), io.BytesIO()
    for _ in range(200):
        act = chance.choice(("write", "write", "read", "cut"))
        size = plain.getbuffer().nbytes
        if act == "write" and size < LARGE // 3:
            data = os.urandom(chance.choice((0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK)))
            assert file.seek(0, 2) == plain.seek(0, 2)
            assert file.write(data) == plain.write(data)
        elif act == "read":
            at, length = chance.randint(0, size), chance.choice((-1, 0, 1, CHUNK, 2 * CHUNK + 5))
            file.seek(at), plain.seek(at)
            assert file.read(length) == plain.read(length)
        elif act == "cut":
            at = chance.randint(size // 2, size)
            file.seek(at), plain.seek(at)
            assert file.truncate() == plain.truncate() == file.size
    file.close()
    assert room.used == {}


def test_nothing_is_in_clear_and_nothing_has_a_name(room: Room) -> None:
    file = room.open("a")
    file.write(b"secret" * CHUNK)
    assert os.listdir(room.folder) == []
    raw = os.pread(file._descriptor, 10 * CHUNK, 0)
    assert len(raw) > CHUNK and b"secret" not in raw


@pytest.mark.parametrize("how", ["flipped", "moved", "put back"])
def test_what_was_changed_does_not_open(room: Room, how: str) -> None:
    file = room.open("a")
    file.write(b"a" * CHUNK + b"b" * CHUNK + b"c")
    size = CHUNK + scratch.TAG
    first = os.pread(file._descriptor, size, 0)
    if how == "put back":
        file.seek(0)
        file.truncate()
        file.write(b"d" * CHUNK)
        os.pwrite(file._descriptor, first, 0)
    else:
        changed = bytes([first[0] ^ 1]) + first[1:] if how == "flipped" else os.pread(file._descriptor, size, size)
        os.pwrite(file._descriptor, changed, 0)
    file.seek(0)
    with pytest.raises(Ours) as caught:
        file.read(10)
    assert caught.value.code == "vault.broken"


def test_a_thread_that_goes_on_after_the_end_touches_no_other_file(room: Room, tmp_path: Path) -> None:
    """A call was cancelled while its body was being written: the descriptor is another file's by then."""
    file = room.open("a")
    file.write(b"a" * CHUNK)
    file.close()
    with (tmp_path / "other").open("w+b") as other:
        for act in (lambda: file.write(b"b" * CHUNK), lambda: (file.seek(0), file.read(1)), file.truncate):
            with pytest.raises(ValueError, match="closed"):
                act()
        assert other.read() == b""
    file.close()
    assert room.used == {}


def test_an_owner_has_a_share_and_the_room_a_limit(room: Room) -> None:
    first, second, third = room.open("a"), room.open("b"), room.open("c")
    first.write(b"x" * (LARGE // 2))
    _full(first)
    second.write(b"x" * (LARGE // 4))
    for each in (first, second):
        _full(each)
    third.write(b"x" * (LARGE // 8))  # however much two others have
    _full(third)
    with pytest.raises(Ours):
        room.open("c", 1)
    first.close()
    third.write(b"x")


def test_a_disk_that_would_be_full(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "RESERVE", 1 << 62)
    with pytest.raises(Ours) as caught:
        room.open("a", 1)
    assert caught.value.code == "body.no-room" and caught.value.status == 503 and caught.value.retry_after


def _full(file: Scratch) -> None:
    with pytest.raises(Ours) as caught:
        file.write(b"x")
    assert caught.value.code == "body.no-room"

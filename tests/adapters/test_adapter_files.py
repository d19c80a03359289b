"""A drop folder: settled files only, each in one place, names made safe, links not followed; one process holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.files import Claimed, Folder, TooLarge, safe_name
from contracts.base.ids import new_id

SETTLE = 2.0


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def folder(tmp_path: Path, now: list[float]) -> Iterator[Folder]:
    made = Folder(tmp_path / "so-lieu", SETTLE, lambda: now[0])
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "so-lieu"


def test_a_file_is_taken_up_once_it_has_stayed_the_same(folder: Folder, place: Path, now: list[float]) -> None:
    (place / "a.csv").write_bytes(b"1")
    assert folder.settled() == []
    now[0] += SETTLE
    with (place / "a.csv").open("ab") as still:
        still.write(b"2")
    assert folder.settled() == [], "it grew"
    now[0] += SETTLE - 0.1
    assert folder.settled() == []
    now[0] += 0.1
    (place / "b.csv").write_bytes(b"")
    assert folder.settled() == ["a.csv"]
    os.rename(place / "b.csv", place / "c.csv")
    now[0] += SETTLE
    assert folder.settled() == ["a.csv"], "another name is another file"
    now[0] += SETTLE
    assert set(folder.settled()) == {"a.csv", "c.csv"}


def test_what_is_no_finished_file_is_left_alone(folder: Folder, place: Path, now: list[float], tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x")
    (place / "link.csv").symlink_to(secret)
    for name in (".a.csv", "a.csv.part", "a.TMP", "a.csv.filepart"):
        (place / name).write_text("x")
    (place / "folder.csv").mkdir()
    os.mkfifo(place / "pipe.csv")
    folder.settled()
    now[0] += SETTLE
    assert folder.settled() == []
    assert folder.claim("missing.csv", new_id()) is None


def test_a_claimed_file_goes_through_work_to_its_end(folder: Folder, place: Path) -> None:
    (place / "quý 3.csv").write_bytes(b"abc")
    mark = new_id()
    claimed = folder.claim("quý 3.csv", mark)
    assert claimed == Claimed(mark, "quý 3.csv") and folder.claimed() == [claimed]
    assert not (place / "quý 3.csv").exists()
    assert folder.read(claimed, 3) == b"abc"
    with pytest.raises(TooLarge):
        folder.read(claimed, 2)
    for _ in range(2):  # the second time is that of whoever comes after a death
        folder.finish(claimed, "accepted", {".report.json": b"{}"})
    assert sorted(path.name for path in (place / "accepted").iterdir()) == [
        f"quý 3.{mark}.csv",
        f"quý 3.{mark}.report.json",
    ]
    assert folder.claimed() == [] and (place / "accepted" / f"quý 3.{mark}.csv").read_bytes() == b"abc"


def test_another_attempt_gets_another_mark(folder: Folder, place: Path) -> None:
    (place / "a.csv").write_bytes(b"abc")
    claimed = folder.claim("a.csv", new_id())
    assert claimed is not None
    again = folder.remark(claimed, new_id())
    assert folder.claimed() == [again] and again.mark != claimed.mark and folder.read(again, 9) == b"abc"


def test_a_link_put_in_the_place_of_a_claimed_file_is_not_read(folder: Folder, place: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    claimed = Claimed(new_id(), "a.csv")
    (place / "work" / claimed.file).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        folder.read(claimed, 10)


def test_one_process_holds_a_folder(folder: Folder, place: Path) -> None:
    other = Folder(place, SETTLE, lambda: 0.0)
    assert folder.hold() and folder.hold()
    assert not other.hold()
    folder.close()
    assert other.hold()
    other.close()


def test_a_link_in_the_place_of_a_folder_leads_nowhere(folder: Folder, place: Path, tmp_path: Path) -> None:
    """The system may write in its folder: it could put a link to elsewhere where results go."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place / "a.csv").write_bytes(b"abc")
    claimed = folder.claim("a.csv", new_id())
    assert claimed is not None
    (place / "accepted").rename(place / "old")
    (place / "accepted").symlink_to(elsewhere)
    folder.finish(claimed, "accepted", {".report.json": b"{}"})
    assert list(elsewhere.iterdir()) == [] and len(list((place / "old").iterdir())) == 2
    with pytest.raises(OSError):
        Folder(place, SETTLE, lambda: 0.0)


def test_the_longest_name_has_its_reports(folder: Folder, place: Path) -> None:
    name = "ộ" * 83 + ".csv"
    assert len(name.encode()) == 253
    (place / name).write_bytes(b"abc")
    claimed = folder.claim(name, new_id())
    assert claimed is not None and folder.read(claimed, 9) == b"abc"
    folder.finish(claimed, "refused", {".report.json": b"{}", ".report.csv": b""})
    assert len(list((place / "refused").iterdir())) == 3


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Số liệu (quý 3).csv", "Số liệu (quý 3).csv"),
        ("a/../b\n;$(rm).csv", "a_.._b_(rm).csv"),
        ("x" * 300 + ".csv", "x" * 176 + ".csv"),
        ("\udcff.csv", "_.csv"),
        ("a~b.csv", "a_b.csv"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe

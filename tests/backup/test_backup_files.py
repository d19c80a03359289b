"""Files that a backup copies: those that others work with meanwhile, and one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.base.errors import Ours
from gateway.backup import take as taking
from tests.backup.conftest import Instance


def test_locks_of_systems_that_work_meanwhile_and_what_they_remove_are_no_part(tmp_path: Path) -> None:
    """SQLite makes the journal of a lock file, and removes it, within milliseconds."""
    place = tmp_path / "data" / "identities" / "bao-chay" / "checkpoints"
    place.mkdir(parents=True)
    for name in ("log", "log.lock", "log.lock-journal", "log.pending"):
        (place / name).write_text(name)
    files = list(taking._below(tmp_path / "data", ("identities", "agents")))
    assert [each.name for each in files] == ["log", "log.pending"]
    (place / "log.pending").unlink()
    taking._copy(files, tmp_path / "data", tmp_path / "copy")
    assert [each.name for each in (tmp_path / "copy").rglob("*") if each.is_file()] == ["log"]


def test_a_file_that_cannot_be_read_is_not_one_that_cannot_be_written(lite: Instance, tmp_path: Path) -> None:
    bad = lite.settings.authority / "bad.pem"
    bad.symlink_to("/proc/self/mem")  # there, and every read of its first byte fails, also for root
    with pytest.raises(Ours) as refused:
        lite.back_up(tmp_path / "copy")
    assert refused.value.code == "backup.unreadable" and str(bad) in refused.value.what("en")
    assert "đọc" in refused.value.what("vi") and not (tmp_path / "copy").exists()

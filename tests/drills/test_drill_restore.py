"""The restore drill, on both databases: what it finds, what it records, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, inspect, make_url, select, text

from contracts.base.errors import Theirs
from gateway.backup import restore as restores
from gateway.doctor.backups import backups
from gateway.drills.restoring import Result, Wanted, drill
from gateway.journal import drills
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.registry.restore_lock import newest_restore
from gateway.settings.saving import save
from security.transparency.checkpoint import NoteKey
from tests import commandline
from tests.backup.conftest import Instance, quiet
from tests.journal import databases


def drilled(one: Instance, **wanted: Any) -> Result:
    return drill(one.settings, Wanted(**wanted), time.time, quiet)


def noted(one: Instance) -> list[dict[str, Any]]:
    with one.engine.connect() as connection:
        found = connection.execute(
            select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == drills.RESTORE)
        )
        return [json.loads(each)["facts"] for each in found.scalars()]


def nothing_stays(one: Instance) -> None:
    assert not (one.settings.data / "drill").exists()
    if one.engine.dialect.name == "postgresql":
        with one.engine.connect() as connection:
            name = f"{make_url(one.settings.database_url).database}_drill"
            assert connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}) is None


def test_the_newest_backup_is_restored_verified_measured_and_removed(one: Instance, tmp_path: Path) -> None:
    one.exchange(20)
    folder = one.back_up(tmp_path / "copy")
    one.exchange(7)
    before = sorted(path.name for path in folder.rglob("*"))
    done = drilled(one)
    assert done.ok and done.backup == str(folder) and done.trusted_key == "the instance's", done
    assert done.entries >= 20 and done.lost >= 7, "what was signed after the backup would be lost with the machine"
    assert done.restore_seconds + done.verify_seconds <= done.seconds + 0.2, "each is rounded to a tenth"
    assert done.transfers == 20 and done.bodies["broken"] == 0
    nothing_stays(one)
    assert sorted(path.name for path in folder.rglob("*")) == before
    (facts,) = noted(one)
    assert facts["ok"] is True and facts["kind"] == "restore" and facts["lost"] == done.lost
    with one.engine.connect() as connection:
        assert newest_restore(connection) is None, "the instance itself is not held"
        last = drills.newest(connection, drills.RESTORE)
    assert last is not None and last.ok


def test_without_a_backup_one_is_made_that_counts_for_nothing(lite: Instance) -> None:
    lite.exchange(3)
    done = drilled(lite)
    assert done.ok and done.backup == "made for the drill", done
    with lite.engine.connect() as connection:
        assert connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == "backup.last")) is None
    nothing_stays(lite)


def test_a_last_backup_that_is_gone_fails_the_drill(lite: Instance, tmp_path: Path) -> None:
    """One that is made for the drill would hide that there is none to restore in earnest."""
    lite.exchange(3)
    folder = lite.back_up(tmp_path / "copy")
    moved = folder.rename(tmp_path / "elsewhere")
    done = drilled(lite)
    assert (done.ok, done.trouble, done.backup) == (False, "drill.backup-gone", str(folder))
    assert str(folder) in str(done.first_wrong) and "sao lưu ngay" in str(done.first_wrong)
    assert [each["trouble"] for each in noted(lite)] == ["drill.backup-gone"]
    with lite.engine.connect() as connection:
        found = [each.kind.code for each in backups(lite.settings, connection, time.time())]
    assert "drill.failed" in found
    assert drilled(lite, backup=moved).ok
    nothing_stays(lite)


@pytest.mark.parametrize("name", ["", "mistyped"])
def test_a_named_folder_without_a_backup_is_wrong_usage_and_no_drill(lite: Instance, tmp_path: Path, name: str) -> None:
    save(lite.settings)
    told = commandline.lgsp("drill", "restore", str(tmp_path / name), "--data", str(lite.settings.data))
    assert told.code == 2 and "There is no" in told.err and "manifest.json" in told.err, told
    assert "không có manifest.json" in told.err and not told.out, told
    assert noted(lite) == []
    with lite.engine.connect() as connection:
        assert drills.newest(connection, drills.RESTORE) is None
    nothing_stays(lite)


def test_a_backup_that_was_changed_fails_the_drill_and_is_recorded(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(3)
    folder = lite.back_up(tmp_path / "copy")
    with (folder / "database" / "lgsp.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"x")
    done = drilled(lite)
    assert (done.ok, done.trouble) == (False, "backup.broken")
    assert [each["trouble"] for each in noted(lite)] == ["backup.broken"]
    nothing_stays(lite)


def test_the_key_comes_from_outside_the_backup(lite: Instance, tmp_path: Path) -> None:
    """Whoever changes a backup can sign it with a key of his own; the drill does not ask the backup for its key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    lite.exchange(3)
    lite.back_up(tmp_path / "copy")
    other = NoteKey.make(lite.settings.origin, Ed25519PrivateKey.generate().public_key())
    assert drilled(lite, vkey=other).trouble == "backup.broken"
    assert drilled(lite, vkey=NoteKey.from_text(lite.vkey)).trusted_key == "given"


def test_a_backup_without_keys_needs_those_that_are_kept_elsewhere(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(3)
    lite.back_up(tmp_path / "copy", keys=False)
    done = drilled(lite)
    assert done.trouble == "backup.without-keys" and "sign" in done.missing_keys
    assert drilled(lite, keys=lite.settings.keys).ok


def test_after_kill_9_the_next_drill_removes_what_the_last_one_left(
    one: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.exchange(5)
    one.back_up(tmp_path / "copy")
    work = tmp_path / "work"
    work.mkdir()
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom gateway.drills import restoring\n"
        "from gateway.settings import load\nfrom dataclasses import replace\n"
        "restoring._verified = lambda *_: (print('restored', flush=True), time.sleep(600))\n"
        "settings = replace(load(Path(sys.argv[1]), {}), database=sys.argv[2], data=Path(sys.argv[1]))\n"
        "wanted = restoring.Wanted(work=Path(sys.argv[3]))\n"
        "restoring.drill(settings, wanted, time.time, lambda *_: None)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(one.settings.data), one.settings.database, str(work)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None and run.stdout.readline() == "restored\n"
    with pytest.raises(Theirs, match="drill"):
        drilled(one)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert (work / "lgsp-drill" / "instance" / "settings.yaml").exists()
    done = drilled(one)
    assert done.ok, done
    assert list(work.iterdir()) == []
    nothing_stays(one)


def test_ctrl_c_leaves_nothing(one: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one.exchange(3)
    one.back_up(tmp_path / "copy")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restores, "_missing_vault_keys", cut)
    with pytest.raises(KeyboardInterrupt):
        drilled(one)
    nothing_stays(one)
    assert noted(one) == []


def test_only_what_a_drill_made_is_removed(one: Instance, tmp_path: Path) -> None:
    one.exchange(3)
    one.back_up(tmp_path / "copy")
    work = tmp_path / "work"
    (work / "lgsp-drill").mkdir(parents=True)
    with pytest.raises(Theirs) as refused:
        drilled(one, work=work)
    assert refused.value.code == "drill.not-empty" and (work / "lgsp-drill").exists()
    if one.engine.dialect.name == "sqlite":
        return
    address = databases.fresh_url("postgresql", tmp_path)
    other = open_engine(address)
    assert drilled(one, database=address).ok
    assert inspect(other).get_table_names() == []
    with other.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (a text)")
    with pytest.raises(Theirs) as refused:
        drilled(one, database=address)
    assert refused.value.code == "drill.not-empty" and inspect(other).get_table_names() == ["theirs"]
    other.dispose()


def test_the_doctor_names_a_drill_that_is_due_and_one_that_failed(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(3)

    def found(days: float) -> set[str]:
        with lite.engine.connect() as connection:
            named = {each.kind.code for each in backups(lite.settings, connection, time.time() + days * 86_400)}
        return {each for each in named if each.startswith("drill.")}

    assert (found(90), found(94)) == (set(), {"drill.due"}), "counted from the first entry of the log"
    folder = lite.back_up(tmp_path / "copy")
    assert drilled(lite).ok and found(0) == set()
    (folder / "manifest.json").write_text("{}", "utf-8")
    assert drilled(lite).trouble == "backup.broken" and found(0) == {"drill.failed"}


def test_what_is_no_backup_is_refused_and_none_of_it_is_told(lite: Instance, tmp_path: Path) -> None:
    """The record of the last backup, or the folder, may be anybody's work."""
    lite.exchange(1)
    place = tmp_path / "foreign"
    place.mkdir()
    os.mkfifo(place / "manifest.json")  # a reader would wait for ever
    assert drilled(lite, backup=place).trouble == "backup.broken"
    (place / "manifest.json").unlink()
    for written in (
        '{"format": "SECRET"}',
        '{"format": 1, "files": {"a": {"size": "SECRET"}}}',
        "[" * 200_000,
        "SECRET",
    ):
        (place / "manifest.json").write_text(written, "utf-8")
        done = drilled(lite, backup=place)
        assert done.trouble == "backup.broken" and "SECRET" not in str(done)
    for value in ("{}", "x", '{"folder": 5}', "[" * 200_000):
        with writing(lite.engine) as connection:
            connection.execute(delete(tables.instance).where(tables.instance.c.key == "backup.last"))
            connection.execute(insert(tables.instance).values(key="backup.last", value=value))
        assert drilled(lite).trouble == "backup.broken"

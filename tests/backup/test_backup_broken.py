"""A backup that was changed, or cut short, is refused with the first thing that is wrong; a backup or restore that is
killed leaves nothing half-done."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from contracts.base.errors import Failure, Theirs
from gateway.audit.log.changes import note_changes
from gateway.backup import manifest
from gateway.backup.manifest import NAME, SIGNATURE, File
from gateway.backup.restore import Asked, restore
from gateway.backup.take import Wanted, check, take
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from security.transparency.checkpoint import NoteKey
from tests.backup.conftest import Instance, quiet
from tests.size import examples


def rewritten(folder: Path, settings: str | None = None) -> None:
    """As one who can write the folder would: a manifest that agrees with what lies there now."""
    if settings is not None:
        (folder / "settings.yaml").write_text(settings)
    raw = json.loads((folder / NAME).read_text("utf-8"))
    raw["files"] = {name: {"size": each.size, "sha256": each.sha256} for name, each in manifest.look(folder).items()}
    (folder / NAME).write_text(json.dumps(raw), "utf-8")


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def in_the_database(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "database" / "lgsp.db") as connection:
        connection.execute(statement)
    connection.close()
    rewritten(folder)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a manifest that is none": (lambda f: (f / NAME).write_text("[]"), NAME),
    "a byte of the database": (lambda f: changed(f / "database" / "lgsp.db"), "database/lgsp.db is not what"),
    "a byte of a certificate": (lambda f: changed(f / "ca" / "root.crt"), "ca/root.crt is not what"),
    "a key that is missing": (lambda f: (f / "keys" / "log.key").unlink(), "keys/log.key is missing"),
    "a file too many": (lambda f: (f / "keys" / "more.key").write_bytes(b"x"), "keys/more.key is not in"),
    "a link": (lambda f: (f / "keys" / "more.key").symlink_to("/dev/null"), "no plain file"),
    "settings, and the manifest with them": (
        lambda f: rewritten(f, settings="kind: production\n"),
        f"{SIGNATURE}: it is that of another manifest",
    ),
    "an entry of the log, and the manifest": (
        lambda f: in_the_database(f, "UPDATE log_entry SET entry = x'7b7d' WHERE idx = 4"),
        SIGNATURE,
    ),
}


@pytest.fixture
def copy(lite: Instance, tmp_path: Path) -> tuple[Path, NoteKey]:
    lite.exchange(3)
    return lite.back_up(tmp_path / "copy"), NoteKey.from_text(lite.vkey)


@pytest.mark.parametrize("case", CASES)
def test_a_backup_that_was_changed_is_refused(case: str, copy: tuple[Path, NoteKey], tmp_path: Path) -> None:
    folder, key = copy
    change, said = CASES[case]
    change(folder)
    for refusing in (
        lambda: check(folder, key, [], quiet),
        lambda: restore(folder, Asked(tmp_path / "new", vkey=key), time.time(), quiet),
    ):
        with pytest.raises(Theirs) as refused:
            refusing()
        assert refused.value.code == "backup.broken" and said in str(refused.value.facts["reason"])
    assert not (tmp_path / "new").exists()


def test_even_without_a_key_from_outside_the_log_must_agree_with_itself(
    copy: tuple[Path, NoteKey], tmp_path: Path
) -> None:
    folder, _key = copy
    in_the_database(folder, "UPDATE log_entry SET entry = x'7b7d' WHERE idx = 4")
    _made, report = check(folder, None, [], quiet)
    assert not report.ok and "entry 4" in str(report.first_wrong)
    with pytest.raises(Theirs) as refused:
        restore(folder, Asked(tmp_path / "new"), time.time(), quiet)
    assert (
        refused.value.code == "backup.wrong-log"
        and "entry 4" in str(refused.value.facts["reason"])
        and not (tmp_path / "new").exists()
    )


def test_what_lies_in_a_backup(lite: Instance, tmp_path: Path) -> None:
    """Plain keys only where somebody says so; the vault's only if asked for; all of it for its owner alone."""
    lite.exchange(1)
    (lite.settings.vault_keys / "2026-11-24.standard.key").write_bytes(b"k" * 32)
    with pytest.raises(Theirs) as refused:
        lite.back_up(tmp_path / "a", plain_keys=False)
    assert refused.value.code == "backup.plain-keys" and not (tmp_path / "a").exists()
    without = lite.back_up(tmp_path / "b", keys=False, plain_keys=False)
    assert not list(without.rglob("*.key"))
    usual = lite.back_up(tmp_path / "c")
    assert (usual / "keys" / "log.key").exists() and not (usual / "vault-keys").exists()
    whole = lite.back_up(tmp_path / "d", vault_keys=True)
    assert (whole / "vault-keys" / "2026-11-24.standard.key").exists()
    told = json.loads((whole / NAME).read_text("utf-8"))
    assert told["keys"] == "plain" and told["vault_keys_until"] > told["made"]
    for path in (whole, *whole.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    done, again = lite.restore(whole, tmp_path / "new")
    assert not done.missing_keys and (again.settings.vault_keys / "2026-11-24.standard.key").exists()
    (tmp_path / "copies" / "2026-11-24").mkdir(parents=True)
    for name in ("2026-11-24.standard.key", "2026-11-23.standard.key"):
        (tmp_path / "copies" / "2026-11-24" / name).write_bytes(b"k" * 32)
    (tmp_path / "copies" / "destroyed").mkdir()
    (tmp_path / "copies" / "destroyed" / "2026-11-23.standard").write_text("2026-11-25T00:00:00.000Z")
    done, again = lite.restore(usual, tmp_path / "copied", vault_keys=tmp_path / "copies")
    assert [path.name for path in again.settings.vault_keys.rglob("*.key")] == ["2026-11-24.standard.key"], (
        "a key that was destroyed stays so"
    )
    done, again = lite.restore(
        without, tmp_path / "bare"
    )  # the log's key is lost: nobody could sign the old log any more
    assert done.reason == "key-lost" and "sign" in done.missing_keys
    done, again = lite.restore(without, tmp_path / "with", keys=lite.settings.keys)
    assert done.reason is None and not done.missing_keys


def test_a_full_disk_is_told_and_leaves_nothing(
    lite: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("gateway.backup.manifest.put", full)
    with pytest.raises(Failure) as told:
        lite.back_up(tmp_path / "copy")
    assert (
        told.value.code == "backup.disk-full"
        and not list(tmp_path.glob("*copy*"))
        and not list(tmp_path.glob(".copy*"))
    )


def killed_at(steps: int, work: Callable[[], object]) -> int | None:
    """Do `work` in a process of its own that is killed by signal 9 before the sync or rename of that number; how many
    there were if it came to its end."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        left = steps

        def count() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def counted_fsync(file: int) -> None:
            count()
            fsync(file)

        def counted_rename(path: Path, to: Path) -> Path:
            count()
            renamed = rename(path, to)
            count()
            return renamed

        fsync, rename, patch = os.fsync, Path.rename, pytest.MonkeyPatch()
        try:
            patch.setattr(os, "fsync", counted_fsync)
            patch.setattr(Path, "rename", counted_rename)
            work()
            os.write(tell, str(steps - left).encode())
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    os.close(tell)
    with os.fdopen(told) as said:
        text = said.read()
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return int(text) if text else None


def test_a_backup_that_is_killed_is_none(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(2)
    lite.engine.dispose()

    def begun(place: Path) -> Callable[[], object]:
        return lambda: take(lite.settings, place, Wanted(plain_keys=True), time.time(), quiet)

    steps = killed_at(10_000, begun(tmp_path / "whole"))
    assert steps is not None and check(tmp_path / "whole", NoteKey.from_text(lite.vkey), [], quiet)[1].ok
    for at in [
        *random.sample(range(steps - 4), examples(2)),
        steps - 3,
        steps - 2,
    ]:  # the last ones are those of the rename
        place = tmp_path / f"at-{at}"
        assert killed_at(at, begun(place)) is None
        if place.exists():  # moved there whole, or not at all
            assert check(place, NoteKey.from_text(lite.vkey), [], quiet)[1].ok
        else:
            assert lite.back_up(place)


def test_a_restore_that_is_killed_is_begun_anew_or_ended(one: Instance, tmp_path: Path) -> None:
    one.exchange(2)
    folder = one.back_up(tmp_path / "copy")
    one.engine.dispose()

    def asked(name: str) -> Asked:
        return Asked(tmp_path / name, database=one.fresh_database(), complete=True)

    first = asked("whole")
    steps = killed_at(10_000, lambda: restore(folder, first, time.time(), quiet))
    assert steps is not None
    ended = 0
    for at in [
        random.randrange(steps - 4),
        steps - 3,
        steps - 2,
    ]:  # before the rename: PostgreSQL has committed by then
        mine = asked(f"at-{at}")
        assert killed_at(at, lambda mine=mine: restore(folder, mine, time.time(), quiet)) is None  # type: ignore[misc]
        if not mine.data.exists():
            assert restore(folder, mine, time.time(), quiet).held == 5
            ended += 1
        assert not list(tmp_path.glob(f".at-{at}*"))
        engine = open_engine(mine.database or f"sqlite:///{mine.data / 'lgsp.db'}")
        with engine.connect() as connection:
            notes = connection.execute(
                select(tables.log_pending.c.phase).where(tables.log_pending.c.phase == "restore")
            ).all()
        engine.dispose()
        assert len(notes) == 1, "once, however often it was begun"
    assert ended >= 2


def test_changes_of_settings_are_noted_without_what_may_open_something(lite: Instance) -> None:
    settings = replace(lite.settings, database="")

    def noted(changed: object) -> list[str]:
        with writing(lite.engine) as connection:
            return note_changes(connection, changed, 1_795_500_000.0)  # type: ignore[arg-type]

    assert noted(settings) == [] == noted(settings)
    secret = "postgresql://lgsp:mat-khau@db/lgsp"
    later = replace(settings, token_seconds=900, database=secret, secret_file="/etc/lgsp/bi-mat", provider_seconds=7.5)
    assert set(noted(later)) == {"token_seconds", "database", "secret_file", "provider_seconds"} and noted(later) == []
    assert noted(replace(later, database=secret.replace("mat-khau", "khac"))) == ["database"]
    with lite.engine.connect() as connection:
        entries = (
            connection.execute(select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "settings"))
            .scalars()
            .all()
        )
        kept = connection.execute(
            select(tables.instance.c.value).where(tables.instance.c.key.like("settings.seen%"))
        ).scalar_one()
    assert (
        json.loads(entries[0])["facts"]["changed"] == []
    )  # the first start, by whose digest a changed memory is found
    first = {each["name"]: each for each in json.loads(entries[1])["facts"]["changed"]}
    assert (
        first["token_seconds"] == {"name": "token_seconds", "from": 600, "to": 900}
        and first["provider_seconds"]["to"] == "7.5"
    )
    assert first["database"] == {"name": "database"} and first["secret_file"] == {"name": "secret_file"}
    assert len(entries) == 3 and "mat-khau" not in kept + str(entries) and "bi-mat" not in kept + str(entries)


def test_a_file_is_told_by_size_and_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert manifest.look(tmp_path) == {"a": File(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")}

"""What a restored instance goes on as, and what of it went back in time; on both databases."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from contracts.base.errors import Failure, Ours, Theirs
from gateway.audit.log import origins, proofs
from gateway.audit.log.logkey import LogKey
from gateway.audit.verify.verify import verify_log
from gateway.backup import database, manifest
from gateway.backup import take as taking
from gateway.backup.restore import Asked, restore
from gateway.backup.succession import Known
from gateway.backup.take import check
from gateway.feeds import cursor, read
from gateway.journal import epochs
from gateway.journal.database import revision, writing
from gateway.journal.schema import tables
from gateway.registry.restore_lock import WINDOW, confirm, held_until, newest_restore
from gateway.vault.vault import Vault
from security.transparency.checkpoint import NoteKey, open_note, verify
from tests import commandline
from tests.backup.conftest import ORIGIN, Instance, quiet
from tests.journal import databases

FEED = "incident-alert/v1"


def verified(instance: Instance, **options: Any) -> int:
    with instance.engine.connect() as connection:
        report = verify_log(connection, instance.vkey, **{"newest": instance.note, **options})
    assert report.ok, report.first_wrong
    return report.size


def test_a_backup_is_of_one_moment_while_others_write(
    one: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps of the copy somebody writes, and is not made to wait for its end."""
    monkeypatch.setattr(database, "_PAGES", 8)
    before = int(one.exchange(300).split("\n")[1])
    written = 0

    def meanwhile(what: str, _done: int, _all: int) -> None:
        nonlocal written
        if what in ("pages", "tables") and written < 10:
            one.exchange(1)
            written += 1

    folder = one.back_up(tmp_path / "copy", meanwhile)
    assert written == 10 and verified(one) > before
    made, report = check(folder, NoteKey.from_text(one.vkey), [], quiet)
    assert report.ok and made.size == report.size == before, "the moment at which it began, and no later one"
    with one.engine.connect() as connection:
        note = connection.execute(
            select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "backup")
        ).scalar_one()
    assert json.loads(note)["facts"]["size"] == before


def test_where_nothing_that_was_signed_is_missing_the_log_goes_on(one: Instance, tmp_path: Path) -> None:
    kept = one.exchange(5)
    folder = one.back_up(tmp_path / "copy")
    done, again = one.restore(
        folder, tmp_path / "new"
    )  # the old folder is there, and its checkpoint is that of the backup
    assert (done.reason, done.origin, done.held) == (None, ORIGIN, 11)
    again.exchange(3)
    assert again.vkey == one.vkey and verified(again, kept=kept) > 16
    one.lose()
    (one.settings.data / "log").mkdir(parents=True)  # another instance lives there by now
    strange = LogKey.open(tmp_path / "other" / "log.key", ORIGIN).sign(99, bytes(32))
    one.settings.checkpoint_file.write_text(strange, "utf-8")
    done, again = again.restore(folder, tmp_path / "third", outside=(Known("agency", kept),))
    assert done.reason is None and done.origin == ORIGIN


def test_where_signed_entries_are_missing_a_new_log_begins_with_the_old_checkpoint(
    one: Instance, tmp_path: Path
) -> None:
    one.exchange(300)
    folder = one.back_up(tmp_path / "copy")
    kept = one.exchange(40)
    old_vkey = one.vkey
    one.lose()
    done, again = one.restore(folder, tmp_path / "new", outside=(Known("agency", kept),))
    assert (done.reason, done.before, done.origin, done.held, done.signed) == (
        "missing",
        ORIGIN,
        f"{ORIGIN}/2",
        601,
        int(kept.split("\n")[1]),
    )
    again.exchange(2)
    assert again.vkey != old_vkey and verified(again) >= 6
    with again.engine.connect() as connection:
        first = connection.execute(
            select(tables.log_entry.c.phase, tables.log_entry.c.entry).where(tables.log_entry.c.idx == 0)
        ).one()
        (ended,) = origins.ended(connection)
        start = origins.beginning(connection, f"{ORIGIN}/2", 1)
    facts = json.loads(first.entry)["facts"]
    assert (
        first.phase == "new-log" and facts["checkpoint"] == kept and facts["vkey"] == old_vkey and facts["held"] == 601
    )
    assert start is not None and open_note(start.began, old_vkey), "the old key leads to the new one"
    assert (ended.origin, ended.vkey, ended.size) == (ORIGIN, old_vkey, 601)
    with origins.within(
        again.engine, ORIGIN
    ) as connection:  # the old log stays readable and verifiable under its origin
        report = verify_log(connection, old_vkey, newest=ended.note)
        assert report.ok and report.size == 601
        some = connection.execute(select(tables.log_entry.c.transfer).where(tables.log_entry.c.idx == 7)).scalar_one()
        assert verify(proofs.inclusions(connection, some)[0].note, old_vkey).origin == ORIGIN
    with again.engine.connect() as connection, pytest.raises(Theirs):
        proofs.inclusions(connection, some)
    with pytest.raises(Theirs) as unknown, origins.within(again.engine, "of nobody"):
        pass
    assert unknown.value.code == "audit.no-origin"


def test_without_a_word_from_outside_only_the_operator_can_say_that_it_is_complete(
    lite: Instance, tmp_path: Path
) -> None:
    early = lite.exchange(1)
    lite.exchange(2)
    folder = lite.back_up(tmp_path / "copy")
    lite.lose()
    done, again = lite.restore(folder, tmp_path / "a")
    assert (done.reason, done.origin) == ("unproven", f"{ORIGIN}/2")
    with (
        again.engine.connect() as connection
    ):  # of the log that ended nothing is left in the index of searches, before a keeper has run, too
        assert connection.scalar(select(func.count()).select_from(tables.log_index)) == 0
        assert connection.scalar(select(func.count()).select_from(tables.log_indexed)) == 0
    done, _ = lite.restore(folder, tmp_path / "b", outside=(Known("early", early),))
    assert done.reason == "unproven", "an older checkpoint proves nothing of what came later"
    done, _ = lite.restore(folder, tmp_path / "c", complete=True)
    assert (done.reason, done.origin) == (None, ORIGIN)
    later = again.exchange(1)  # the log went on under the next name: no third one takes it
    done, _ = lite.restore(folder, tmp_path / "d", complete=True, outside=(Known("later", later),))
    assert (done.reason, done.origin) == ("reopened", f"{ORIGIN}/3")
    again.exchange(1)
    folder = again.back_up(tmp_path / "second")
    again.lose()
    done, third = again.restore(folder, tmp_path / "e")
    assert done.origin == f"{ORIGIN}/3"
    with third.engine.connect() as connection:
        assert [each.origin for each in origins.ended(connection)] == [ORIGIN, f"{ORIGIN}/2"]


def test_a_checkpoint_from_outside_that_contradicts_it_stops_the_restore(
    lite: Instance, base: Path, tmp_path: Path
) -> None:
    lite.exchange(3)
    folder = lite.back_up(tmp_path / "copy")
    note = LogKey.open(lite.settings.keys / "log.key", ORIGIN).sign(7, bytes(32))
    strange = LogKey.open(tmp_path / "forger" / "log.key", ORIGIN).sign(99, bytes(32))
    for wrong, code in ((note, "backup.forked"), (strange, "backup.old-key")):
        with pytest.raises(Failure) as refused:
            lite.restore(folder, tmp_path / "new", outside=(Known("kept", wrong),))
        assert refused.value.code == code and not (tmp_path / "new").exists() and not list(tmp_path.glob(".new*"))


def test_what_goes_back_in_time_is_made_safe_and_held(one: Instance, tmp_path: Path) -> None:
    one.exchange(2)
    rows = {
        name: databases_row(name, idempotent) for name, idempotent in (("queued-once", False), ("queued-often", True))
    }
    with writing(one.engine) as connection:
        for id, row in rows.items():
            connection.execute(tables.transfer.insert().values(row))
            connection.execute(
                tables.queue.insert().values(
                    transfer=id, provider="do-thi", body_ref=f"{id}/canonical", state="waiting", tries=0, next_at=0.0
                )
            )
        connection.execute(
            tables.process.insert().values(
                id="door-1", kind="door", pid=1, host="-", started=0.0, seen=0.0, state="alive"
            )
        )
        connection.execute(
            tables.revocation_list.insert().values(
                issuer="tls", number=7, this_update=time.time() - 50, next_update=time.time(), crl=b""
            )
        )
    folder = one.back_up(tmp_path / "copy")
    done, again = one.restore(folder, tmp_path / "new")
    with again.engine.connect() as connection:
        states = dict(
            connection.execute(
                select(tables.transfer.c.id, tables.transfer.c.state).where(tables.transfer.c.id.in_(rows))
            ).all()
        )
        queue = dict(connection.execute(select(tables.queue.c.transfer, tables.queue.c.state)).all())
        assert states == {"queued-once": "in-doubt", "queued-often": "queued"} and queue == {
            "queued-once": "dead",
            "queued-often": "waiting",
        }
        assert (
            connection.execute(select(tables.process.c.state).where(tables.process.c.id == "door-1")).scalar_one()
            == "dead"
        )
        assert connection.execute(select(tables.revocation_list.c.number)).scalar_one() >= 57, (
            "no number of a list is given twice"
        )
        assert held_until(connection) == math.inf and done.gone_back["in_doubt"] == ["queued-once"]
    with writing(again.engine) as connection:
        opens = confirm(connection)
    with again.engine.connect() as connection:
        found = newest_restore(connection)
        assert found is not None and opens == held_until(connection) == found["at"] + WINDOW, (
            "no message from before the restore is believed then"
        )
    again.exchange(1)
    assert verified(again) > 6


def databases_row(id: str, idempotent: bool) -> dict[str, Any]:
    row: dict[str, Any] = databases.transfer_row("door-1", id=id, state="queued", idempotent=idempotent)._asdict()
    return row


def test_a_search_names_the_log_that_it_does_not_look_at(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(3)
    folder = lite.back_up(tmp_path / "copy")
    kept = lite.exchange(1)
    _done, again = lite.restore(folder, tmp_path / "new", outside=(Known("agency", kept),))
    again.exchange(2)

    def search(*words: str) -> tuple[int, Any]:
        done = commandline.lgsp("audit", "search", "--data", str(again.settings.data), "--json", *words)
        return done.code, json.loads(done.out)

    code, told = search()
    assert (
        code == 0
        and len(told["notes"]) == 1
        and f"the log {ORIGIN}, which ended by a restore (7 entries, " in told["notes"][0]
    )
    assert (
        search("--from", "2020-01-01", "--to", "2020-12-31")[1]["notes"]
        == []
        == search("--from", "2100-01-01")[1]["notes"]
    )
    assert search("--system", "of-then")[0] == 0, "a name may stand in the log that ended alone"
    with lite.engine.connect() as connection:
        assert origins.unseen(connection) == ()
        transfer = connection.scalar(select(tables.transfer.c.id).limit(1))
    done = commandline.lgsp("audit", "journey", str(transfer), "--data", str(again.settings.data), "--json")
    assert f"stand in the log {ORIGIN}, which ended" in json.loads(done.out)["notes"][0], done


def test_a_reader_of_a_feed_across_a_restore(one: Instance, tmp_path: Path) -> None:
    vault = Vault(one.settings.vault_keys)
    one.exchange(3)
    folder = one.back_up(tmp_path / "copy")
    with one.engine.connect() as connection:
        here = read(connection, FEED, None, 100, vault=vault).next
    one.exchange(4)
    with one.engine.connect() as connection:
        beyond = read(connection, FEED, here, 100, vault=vault)
    assert len(beyond.events) == 4
    _, again = one.restore(folder, tmp_path / "new")
    for fresh in (False, True):  # before anything new, and after
        if fresh:
            again.exchange(5)
        with again.engine.connect() as connection:
            with pytest.raises(Theirs) as told:
                read(connection, FEED, beyond.next, 100, vault=vault)
            assert (
                told.value.code == "feed.restored"
                and told.value.facts["cursor"] == here == told.value.findings[0].expected
            )
            page = read(connection, FEED, told.value.facts["cursor"], 100, vault=vault)
    sequences = [int(event["sequence"]) for event in page.events]
    assert sequences == [epochs.OFFSETS + each for each in (1, 2, 3, 4, 5)], "none was ever given before"
    assert not {event["sequence"] for event in page.events} & {event["sequence"] for event in beyond.events}
    with again.engine.connect() as connection:
        whole = read(connection, FEED, None, 100, vault=vault)
        assert len(whole.events) == 8 and read(connection, FEED, page.next, 1, vault=vault).events == ()
    again.exchange(2)
    folder = again.back_up(tmp_path / "second")
    _, third = again.restore(folder, tmp_path / "third")
    third.exchange(1, "field-report/v1")
    with third.engine.connect() as connection:
        assert (
            int(read(connection, "field-report/v1", None, 1, vault=vault).events[0]["sequence"])
            == 2 * epochs.OFFSETS + 1
        )
        assert read(connection, FEED, page.next, 10, vault=vault).events, (
            "a cursor of an event that is still here holds"
        )


def test_never_restored_cursors_are_as_they_were(lite: Instance) -> None:
    vault = Vault(lite.settings.vault_keys)
    lite.exchange(2)
    with lite.engine.connect() as connection:
        page = read(connection, FEED, None, 1, vault=vault)
        assert page.events[0]["sequence"] == f"{1:020d}"
        with pytest.raises(Theirs) as bad:
            read(connection, FEED, cursor.encode(FEED, 99), 1, vault=vault)
        assert bad.value.code == "feed.bad-cursor"


def test_where_a_disk_begins_nothing_can_be_moved_to(one: Instance, tmp_path: Path) -> None:
    """And it is said before the work."""
    folder = one.back_up(tmp_path / "copy")
    for work in (lambda: one.restore(folder, Path("/")), lambda: one.back_up(Path("/"))):
        with pytest.raises(Ours) as refused:
            work()
        assert refused.value.code == "backup.unwritable" and "name a folder within it" in refused.value.what("en")
        assert "thư mục bên trong" in refused.value.what("vi")


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


def test_a_place_that_is_taken_is_left_alone(one: Instance, tmp_path: Path) -> None:
    one.exchange(1)
    folder = one.back_up(tmp_path / "copy")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    with pytest.raises(Theirs) as refused:
        one.restore(folder, tmp_path / "taken")
    assert refused.value.code == "backup.taken"
    with pytest.raises(Theirs) as refused:
        one.back_up(tmp_path / "taken")
    assert refused.value.code == "backup.taken"
    if one.settings.database:
        with pytest.raises(Theirs) as refused:  # a database that is in use
            restore(folder, Asked(tmp_path / "new", database=one.settings.database), time.time(), quiet)
        assert refused.value.code == "backup.taken"
        with pytest.raises(Theirs) as refused:
            restore(folder, Asked(tmp_path / "new"), time.time(), quiet)
        assert refused.value.code == "backup.kind"
    assert verified(one) == 3


@pytest.mark.parametrize("older", ["0004", "0007"])
def test_a_database_of_an_older_revision_is_restored(one: Instance, tmp_path: Path, older: str) -> None:
    """Backed up before its first start under the newer program, as is wise; the restore migrates it."""
    kept = one.exchange(20)
    with writing(one.engine) as connection:
        databases.downgrade(connection, older)
    folder = one.back_up(tmp_path / "copy")
    made, report = check(folder, NoteKey.from_text(one.vkey), [kept], quiet)
    assert report.ok and made.revision == older
    done, again = one.restore(folder, tmp_path / "new")
    assert (done.reason, done.held) == (None, made.size)
    again.exchange(3)
    assert verified(again, kept=kept) > made.size
    with again.engine.connect() as connection:
        assert revision(connection) == databases.newest()


def test_a_database_of_a_newer_revision_is_refused(one: Instance, tmp_path: Path) -> None:
    folder = one.back_up(tmp_path / "copy")
    text = (folder / manifest.NAME).read_text("utf-8")
    (folder / manifest.NAME).write_text(
        text.replace(f'"revision": "{databases.newest()}"', '"revision": "9999"'), "utf-8"
    )
    with pytest.raises(Theirs) as refused:
        one.restore(folder, tmp_path / "new")
    assert refused.value.code == "backup.newer"


def test_a_database_that_was_put_back_by_hand_goes_on_the_same_way(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(2)
    lite.engine.dispose()
    files = list(lite.settings.data.glob("lgsp.db*"))
    before = {path: path.read_bytes() for path in files}
    kept = lite.exchange(2)
    lite.engine.dispose()
    for path in lite.settings.data.glob("lgsp.db*"):
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)
    back = Instance.open(lite.settings)
    with pytest.raises(Failure) as refused:
        back.exchange(1)
    assert refused.value.code == "audit.inconsistent"
    done, again = back.restore(back.back_up(tmp_path / "copy"), tmp_path / "new", outside=(Known("beside", kept),))
    assert done.reason == "missing" and done.origin == f"{ORIGIN}/2"
    again.exchange(1)
    assert verified(again) > 4

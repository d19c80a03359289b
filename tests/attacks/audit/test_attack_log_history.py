"""A log cut short, rolled back, forked: by the database alone the sequencer refuses; with the folder too an agency's
checkpoint tells."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, text

from gateway.audit.verify.verify import verify_log
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.errors import LogObjection
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.attacks.audit.insider import BEGAN, Agency, Gateway, commit, entered, handed_in, rewrite

Copy = Callable[[], Gateway]
ENTRY, TILE = tables.log_entry, tables.log_tile
WHOLE = 600


def older_size(connection: Connection) -> int:
    return int(connection.execute(text("SELECT size FROM checkpoint ORDER BY size LIMIT 1 OFFSET 2")).scalar_one())


def cut(connection: Connection) -> tuple[int, str]:
    """Back to an older checkpoint that was truly signed, tiles and all; what he would put beside the database."""
    size = older_size(connection)
    rewrite(connection, entered(connection)[:size])
    return size, str(
        connection.execute(select(tables.checkpoint.c.note).where(tables.checkpoint.c.size == size)).scalar_one()
    )


# --- truncated --------------------------------------------------------------------------------------------------------
@pytest.mark.attack("audit log: cut short, or rolled back")
def test_cut_back_to_an_older_signed_checkpoint(honest: Gateway, inside: Connection, agency: Agency) -> None:
    kept = agency.witness.note
    size, note = cut(inside)
    beside = verify_log(inside, honest.key.vkey, newest=honest.note)
    assert beside.wrong == (
        f"the checkpoint beside the database signs {WHOLE} entries; the database holds {size} that follow one another",
    )
    assert verify_log(inside, honest.key.vkey, newest=note).ok, "with the folder in his hands, nothing inside tells"
    report = verify_log(inside, honest.key.vkey, newest=note, kept=kept)
    assert report.wrong == (
        f"the kept checkpoint signs {WHOLE} entries; the database holds {size} that follow one another",
    )
    with pytest.raises(LogObjection) as objected:
        agency.see(note, inside)
    assert objected.value.code == "client.log-rolled-back"


@pytest.mark.attack("audit log: cut short, or rolled back")
@pytest.mark.parametrize("what", ["entries", "entries, tiles and checkpoints", "everything"])
def test_the_sequencer_signs_nothing_on_top_of_a_log_cut_short(copy: Copy, what: str) -> None:
    gateway = copy()
    with writing(gateway.engine) as connection:
        if what == "entries":
            connection.execute(delete(ENTRY).where(ENTRY.c.idx >= 590))
        elif what == "everything":
            rewrite(connection, entered(connection)[:1])
            for table in (ENTRY, TILE, tables.checkpoint):
                connection.execute(delete(table))
        else:
            cut(connection)
    note = gateway.note
    commit(gateway.engine, [handed_in("door-1")])
    reason = gateway.refuses()
    assert (
        ("its tiles" in reason)
        if what == "entries"
        else f"{WHOLE} entries were signed, and the database holds" in reason
    )
    assert gateway.note == note and gateway.verify().size < WHOLE
    with gateway.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.log_pending)).scalar_one() == 2, (
            "what was acknowledged still waits"
        )


# --- an old backup ----------------------------------------------------------------------------------------------------
def back_to_the_backup(gateway: Gateway, honest: Gateway, *, with_folder: bool) -> None:
    """The honest log as it was, in the place of one that has gone on since."""
    with writing(gateway.engine) as connection, honest.engine.connect() as backup:
        for table in (
            ENTRY,
            TILE,
            tables.checkpoint,
            tables.transfer,
            tables.feed_event,
            tables.log_pending,
            tables.feed_pending,
        ):
            connection.execute(delete(table))
            rows = [row._asdict() for row in backup.execute(select(table))]
            if rows:
                connection.execute(table.insert(), rows)
    if with_folder:
        shutil.copyfile(honest.file.path, gateway.file.path)


@pytest.mark.attack("audit log: cut short, or rolled back")
def test_an_old_backup_in_the_place_of_the_database(copy: Copy, plain: Gateway) -> None:
    """The folder was not rolled back: the sequencer refuses."""
    gateway = copy()
    commit(gateway.engine, [handed_in("door-1") for _ in range(5)])
    assert gateway.sequence() == WHOLE + 10
    back_to_the_backup(gateway, plain, with_folder=False)
    assert gateway.refuses() == f"{WHOLE + 10} entries were signed, and the database holds {WHOLE}"
    assert not gateway.verify().ok


@pytest.mark.attack("audit log: cut short, or rolled back")
def test_an_old_backup_in_the_place_of_everything(copy: Copy, plain: Gateway, tmp_path: Path) -> None:
    """Database and folder are of one moment: nobody inside can tell, and the gateway goes on; the first answer to an
    agency that called since then is objected to, both while the log is shorter than what it kept and when it has grown
    beyond that."""
    gateway = copy()
    commit(gateway.engine, [handed_in("door-1") for _ in range(5)])
    gateway.sequence()
    with gateway.engine.connect() as connection:
        agency = Agency(tmp_path / "agency", gateway.key, gateway.note, connection=connection)
        late = Agency(tmp_path / "late", gateway.key, gateway.note, connection=connection)
    kept = gateway.note
    back_to_the_backup(gateway, plain, with_folder=True)
    commit(gateway.engine, [handed_in("door-1")])
    assert gateway.sequence() == WHOLE + 2 and gateway.verify().ok and gateway.complete().ok
    with gateway.engine.connect() as connection:
        with pytest.raises(LogObjection) as objected:
            agency.see(gateway.note, connection)
    assert objected.value.code == "client.log-rolled-back"
    commit(gateway.engine, [handed_in("door-1") for _ in range(20)])
    gateway.sequence()
    with gateway.engine.connect() as connection:
        with pytest.raises(LogObjection) as objected:
            late.see(gateway.note, connection)
    assert objected.value.code == "client.log-forked"
    evidence = json.loads(objected.value.kept.read_text("utf-8"))
    assert (evidence["kept"], evidence["shown"]) == (kept, gateway.note)
    assert gateway.verify(kept=kept).wrong == (
        f"the kept checkpoint: its root is not that of the first {WHOLE + 10} entries",
    )


# --- forks ------------------------------------------------------------------------------------------------------------
@pytest.mark.attack("audit log: forked")
@pytest.mark.parametrize("more", [0, 6])
def test_two_logs_for_two_agencies(copy: Copy, plain: Gateway, tmp_path: Path, more: int) -> None:
    """One size, two roots, both signed by the log's key. Each agency sees a whole log; when one is shown the other's
    checkpoint, it objects."""
    for_one, for_other = copy(), copy()
    commit(for_one.engine, [handed_in("door-1") for _ in range(4)])
    commit(for_other.engine, [handed_in("door-1") for _ in range(4 + more)])
    for_one.sequence(), for_other.sequence()
    assert for_one.verify().ok and for_other.verify().ok, "each is whole in itself"
    with for_one.engine.connect() as one, for_other.engine.connect() as other:
        agency = Agency(tmp_path / "one", plain.key, plain.note, for_one.note, connection=one)
        Agency(tmp_path / "other", plain.key, plain.note, for_other.note, connection=other)
        with pytest.raises(LogObjection) as objected:
            agency.see(for_other.note, other)
    assert objected.value.code == "client.log-forked"
    evidence = json.loads(objected.value.kept.read_text("utf-8"))
    for note in (evidence["kept"], evidence["shown"]):
        assert plain.key.verify(note)[0] >= WHOLE + 8, (
            "two signed statements that cannot both be true: proof against the log's owner"
        )
    report = for_other.verify(kept=for_one.note)
    assert report.wrong == (f"the kept checkpoint: its root is not that of the first {WHOLE + 8} entries",)


@pytest.mark.attack("audit log: forked")
def test_the_sequencer_does_not_go_on_from_another_history(copy: Copy) -> None:
    """A fork of the same length put into the database, the folder untouched."""
    gateway, fork = copy(), copy()
    for each in (gateway, fork):
        commit(each.engine, [handed_in("door-1")])
        each.sequence()
    shutil.copyfile(fork.file.path, gateway.file.path)
    commit(gateway.engine, [handed_in("door-1")])
    assert gateway.refuses() == f"the first {WHOLE + 2} entries are not those that were signed"


@pytest.mark.attack("audit log: forked")
@pytest.mark.parametrize("what", ["missing", "of another key", "of another log", "of another size"])
def test_the_checkpoint_beside_the_database(copy: Copy, what: str) -> None:
    """The folder alone in his hands: no checkpoint that the log's key did not sign is gone on from."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gateway.audit.log.logkey import LogKey
    from security.transparency.checkpoint import Checkpoint, sign

    gateway, size, root = copy(), WHOLE, b"\x07" * 32
    path, note = gateway.file.path, gateway.note
    stranger = LogKey(gateway.key.origin, Ed25519PrivateKey.generate())
    forged = {
        "of another key": stranger.sign(size, gateway.key.verify(note)[1]),
        "of another log": sign(Checkpoint("elsewhere/log", size, root), gateway.key._private, gateway.key.origin),
        "of another size": note.replace(f"\n{WHOLE}\n", f"\n{WHOLE - 1}\n"),
    }
    path.unlink() if what == "missing" else path.write_text(forged[what], "utf-8")
    commit(gateway.engine, [handed_in("door-1")])
    reason = gateway.refuses()
    assert ("is missing" if what == "missing" else "is not ours") in reason
    if what != "missing":
        assert any(one.startswith("the checkpoint beside the database: ") for one in gateway.verify().wrong)


# --- the agency's own files -------------------------------------------------------------------------------------------
@pytest.mark.attack("audit log: forked")
def test_a_gateway_that_cannot_prove_itself_is_not_waited_for_without_end(plain: Gateway, tmp_path: Path) -> None:
    """Neither proof nor contradiction: the kit waits an hour, then objects."""
    from security.transparency.checkpoint import NoteKey

    now = [BEGAN]
    witness = CheckpointMonitor(NoteKey.from_text(plain.key.vkey), tmp_path, lambda: now[0])
    with plain.engine.connect() as connection:
        older = connection.execute(text("SELECT note FROM checkpoint ORDER BY size LIMIT 1 OFFSET 1")).scalar_one()

    async def silent(older: int, newer: int) -> Sequence[bytes] | None:
        return None

    asyncio.run(witness.see(older, silent))
    asyncio.run(witness.see(plain.note, silent))
    now[0] += 3700
    with pytest.raises(LogObjection) as objected:
        asyncio.run(
            CheckpointMonitor(NoteKey.from_text(plain.key.vkey), tmp_path, lambda: now[0]).see(plain.note, silent)
        )
    assert objected.value.code == "client.log-unproven"


@pytest.mark.attack("audit log: cut short, or rolled back")
def test_only_what_was_signed_since_the_last_look_is_open(copy: Copy, tmp_path: Path) -> None:
    """The limit: entries behind the newest checkpoint that anybody outside holds can be taken back, with the folder and
    the log's key."""
    gateway = copy()
    with gateway.engine.connect() as connection:
        agency = Agency(tmp_path / "agency", gateway.key, gateway.note, connection=connection)
    commit(gateway.engine, [handed_in("door-1") for _ in range(3)])
    gateway.sequence()
    with writing(gateway.engine) as connection:
        rewrite(connection, entered(connection)[: WHOLE + 2], gateway.key)
        note = connection.execute(
            select(tables.checkpoint.c.note).order_by(tables.checkpoint.c.size.desc()).limit(1)
        ).scalar_one()
    with gateway.engine.connect() as connection:
        agency.see(note, connection)
        assert verify_log(connection, gateway.key.vkey, newest=note, kept=agency.witness.note).ok
    wrong: Any = gateway.complete().wrong
    assert len(wrong) == 4 and all("the log has no" in one for one in wrong), (
        "the rows of those transfers still tell, until they go too"
    )

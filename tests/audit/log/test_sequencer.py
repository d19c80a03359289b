"""The sequencer: contiguous, one leader, nothing signed over, and whole again after a crash at any step."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from contracts.base.errors import Ours
from gateway.audit.log.checkpoints import CheckpointFile, NewestCheckpoint, size_of
from gateway.audit.log.sequencer import Sequenced
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer import lease as leases
from security.transparency.merkle import Tree, leaf_hash
from tests.journal.databases import log_row


def code(call: Any, *arguments: Any) -> str:
    with pytest.raises(Ours) as caught:
        call(*arguments)
    return str(caught.value.code)


def indexes(log: Any) -> list[tuple[int, str, str]]:
    with log.engine.connect() as connection:
        table = tables.log_entry.c
        return [
            tuple(row) for row in connection.execute(select(table.idx, table.transfer, table.phase).order_by(table.idx))
        ]


def test_pending_becomes_a_log_with_a_checkpoint_of_the_right_root(log: Any) -> None:
    sequencer = log.sequencer(limit=300)
    assert sequencer.run_once(log.lease) == Sequenced(0, 0, 0) and size_of(log.file.read()) == 0
    names = [f"t{number}" for number in range(700)]
    log.pend(*names)
    assert [sequencer.run_once(log.lease).entries for _ in range(4)] == [300, 300, 100, 0]
    assert [row[:2] for row in indexes(log)] == list(enumerate(names))
    tree = Tree(leaf_hash(log_row(name, "intent").entry) for name in names)
    assert log.key.verify(log.file.read()) == (700, tree.root())
    assert log.verify().ok
    with log.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM log_pending")).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM checkpoint")).scalar() == 1  # of one minute, the last


def test_many_small_runs_and_new_sequencers_give_the_same_tree(log: Any) -> None:
    log.sequencer().run_once(log.lease)
    tree = Tree()
    for number in range(60):
        names = [f"t{number}-{at}" for at in range(number % 14)]
        log.pend(*names)
        for name in names:
            tree.append(leaf_hash(log_row(name, "intent").entry))
        log.clock[0] += 7
        assert log.sequencer().run_once(log.lease).size == len(tree)
        assert log.key.verify(log.file.read())[1] == tree.root()
    report = log.verify()
    assert report.ok and report.checked["checkpoints"] == 8


def test_feeds_get_gap_free_offsets_each_and_each_message_once(log: Any) -> None:
    sequencer = log.sequencer(limit=4)
    sequencer.run_once(log.lease)
    with writing(log.engine) as connection:
        for number in range(10):
            connection.execute(
                insert(tables.feed_pending).values(
                    contract=f"c{number % 2}", transfer=f"t{number}", event="{}", body_ref="b"
                )
            )
    while sequencer.run_once(log.lease).events:
        pass
    with writing(log.engine) as connection:
        for name in ("t3", "t11"):
            connection.execute(
                insert(tables.feed_pending).values(contract="c1", transfer=name, event="{}", body_ref="b")
            )
    assert log.sequencer().run_once(log.lease).events == 1
    with log.engine.connect() as connection:
        table = tables.feed_event.c
        rows = connection.execute(
            select(table.contract, table.offset, table.transfer).order_by(table.contract, table.offset)
        ).all()
    assert [tuple(row) for row in rows] == [("c0", at + 1, f"t{2 * at}") for at in range(5)] + [
        ("c1", at + 1, f"t{2 * at + 1}") for at in range(5)
    ] + [("c1", 6, "t11")]


def test_times_of_sequencing_never_go_back(log: Any) -> None:
    log.sequencer().run_once(log.lease)
    log.pend("a")
    log.sequencer().run_once(log.lease)
    log.clock[0] -= 5000
    log.pend("b")
    log.sequencer().run_once(log.lease)
    with log.engine.connect() as connection:
        times = list(
            connection.execute(select(tables.log_entry.c.sequenced).order_by(tables.log_entry.c.idx)).scalars()
        )
    assert times == sorted(times)


def test_a_stale_epoch_writes_nothing(log: Any) -> None:
    stale, fresh = log.sequencer(), log.sequencer()
    stale.run_once(log.lease)
    log.pend("a")
    stale.run_once(log.lease)
    newer = log.lead("keeper-2")
    assert newer.epoch == log.lease.epoch + 1
    log.pend("b")
    assert code(stale.run_once, log.lease) == "audit.lease-lost"
    assert len(indexes(log)) == 1
    assert fresh.run_once(newer).size == 2
    log.pend("c")
    assert code(stale.run_once, log.lease) == "audit.lease-lost"
    assert code(log.sequencer().run_once, log.lease) == "audit.lease-lost"
    assert len(indexes(log)) == 2 and size_of(log.file.read()) == 2


def test_the_lease_is_for_one_and_its_epoch_rises(log: Any) -> None:
    now, lease, mine = log.clock[0], log.lease, [100.0]
    watch = leases.LeaseObserver(lambda: mine[0])
    with writing(log.engine) as connection:
        assert leases.take(connection, "keeper-2", now + 1000) is None, "no clock of ours ends the lease of another"
        assert watch.look(connection) is None
        mine[0] += leases.LEASE_SECONDS
        assert leases.renew(connection, lease, now)
        assert watch.look(connection) is None, "it was renewed, if only by a clock that stands still"
        mine[0] += leases.LEASE_SECONDS
        silent = watch.look(connection)
        assert silent is not None
        assert leases.renew(connection, lease, now - 7000)
        assert leases.take(connection, "keeper-2", now, unmoved=silent) is None, (
            "it was renewed between the look and the taking"
        )
        assert watch.look(connection) is None
        mine[0] += leases.LEASE_SECONDS
        second = leases.take(connection, "keeper-2", now, unmoved=watch.look(connection))
        assert second is not None and second.epoch == lease.epoch + 1
        assert not leases.renew(connection, lease, now + 11)
        leases.give_back(connection, lease)  # not his any more: nothing happens
        assert leases.holder(connection) == "keeper-2"
        leases.give_back(connection, second)
        third = leases.take(connection, "keeper-1", now)
        assert third is not None and third.epoch == second.epoch + 1


def test_after_a_time_without_the_database_silence_proves_nothing(log: Any) -> None:
    mine = [100.0]
    watch = leases.LeaseObserver(lambda: mine[0])
    with log.engine.connect() as connection:
        assert watch.look(connection) is None
        mine[0] += 100
        watch.forget()
        assert watch.look(connection) is None
        mine[0] += leases.LEASE_SECONDS - 1
        assert watch.look(connection) is None
        mine[0] += 1
        assert watch.look(connection) is not None


def test_a_keeper_that_stood_still_takes_no_lease(log: Any) -> None:
    mine = [100.0]
    watch = leases.LeaseObserver(leases.WatchedTime(lambda: mine[0]))
    with log.engine.connect() as connection:
        assert watch.look(connection) is None
        mine[0] += 60
        assert watch.look(connection) is None, "its leader may have stood still as well"
        mine[0] += 1
        assert watch.look(connection) is None
        mine[0] += 1
        assert watch.look(connection) is not None


# --- crashes ----------------------------------------------------------------------------------------------------------
class Crash(Exception):
    pass


def crash(*_arguments: Any, **_options: Any) -> Any:
    raise Crash


@pytest.mark.parametrize(
    "where",
    [
        "gateway.audit.log.sequencer.root_of_edge",
        "gateway.audit.log.sequencer.Sequencer._sign",
        "gateway.audit.log.sequencer.Sequencer._forget",
    ],
)
def test_a_crash_inside_the_transaction_leaves_nothing(log: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    sequencer = log.sequencer()
    sequencer.run_once(log.lease)
    log.pend("a", "b")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(where, crash)
        sequencer.run_once(log.lease)
    assert indexes(log) == [] and size_of(log.file.read()) == 0
    assert sequencer.run_once(log.lease).size == 2 and log.verify().ok


@pytest.mark.parametrize("step", ["os.fsync", "os.replace", "gateway.audit.log.checkpoints.CheckpointFile.advance"])
def test_a_crash_between_commit_and_file_leaves_the_file_behind(
    log: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sequencer = log.sequencer()
    sequencer.run_once(log.lease)
    log.pend("a", "b")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(step, crash)
        sequencer.run_once(log.lease)
    assert len(indexes(log)) == 2 and size_of(log.file.read()) == 0
    assert log.verify().ok  # the file is a prefix
    again = log.sequencer()
    assert again.run_once(log.lease) == Sequenced(0, 0, 2)
    assert size_of(log.file.read()) == 2
    log.pend("c")
    assert again.run_once(log.lease).size == 3 and log.verify().ok


def test_a_crash_before_the_first_file_is_no_attack(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.pend("a")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(CheckpointFile, "advance", crash)
        log.sequencer().run_once(log.lease)
    assert indexes(log) == []
    sequencer = log.sequencer()
    assert [sequencer.run_once(log.lease).entries for _ in range(2)] == [0, 1]


def test_an_overtaken_keeper_does_not_turn_the_file_back(log: Any) -> None:
    sequencer = log.sequencer()
    notes = []
    for name in "abc":
        sequencer.run_once(log.lease)
        log.pend(name)
        notes.append(log.file.read())
    CheckpointFile(log.file.path).advance(notes[0])
    assert log.file.read() == notes[2]


# --- what is never signed over ----------------------------------------------------------------------------------------
def filled(log: Any, number: int = 600) -> None:
    log.sequencer().run_once(log.lease)
    log.pend(*[f"t{at}" for at in range(number)])
    log.sequencer().run_once(log.lease)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    "attack",
    ["truncate", "rollback", "tile", "missing-file", "other-file", "checkpoint-root", "pending-entry"],
)
def test_nothing_inconsistent_is_signed(log: Any, attack: str, fresh: bool) -> None:
    filled(log)
    sequencer = log.sequencer()
    sequencer.run_once(log.lease)
    note = log.file.read()
    with writing(log.engine) as connection:
        if attack == "truncate":
            connection.execute(delete(tables.log_entry).where(tables.log_entry.c.idx >= 590))
        elif attack == "rollback":  # what a restored backup of the empty log looks like
            for table in (tables.log_entry, tables.log_tile, tables.checkpoint):
                connection.execute(delete(table))
        elif attack == "tile":
            table = tables.log_tile
            connection.execute(
                update(table).where(table.c.level == 0, table.c.number == 2).values(hashes=b"\x00" * 32 * 88)
            )
        elif attack == "missing-file":
            log.file.path.unlink()
        elif attack == "other-file":
            log.file.path.write_text(log.key.sign(600, b"\x07" * 32))
        elif attack == "checkpoint-root":
            connection.execute(
                update(tables.checkpoint).where(tables.checkpoint.c.size == 600).values(root=b"\x07" * 32)
            )
    log.pend("next")
    if attack == "pending-entry":
        with writing(log.engine) as connection:
            connection.execute(update(tables.log_pending).values(entry=b"{}"))
    before = len(indexes(log))
    runner = log.sequencer() if fresh else sequencer
    if attack == "tile" and not fresh:
        runner.run_once(log.lease)  # the edge in memory is right, and mends the tile
        assert log.verify().ok
        return
    for _ in range(2):
        assert code(runner.run_once, log.lease) == "audit.inconsistent"
    assert len(indexes(log)) == before
    if attack not in ("missing-file", "other-file"):
        assert log.file.read() == note


def test_a_fork_with_another_history_is_refused(log: Any) -> None:
    """The whole database replaced by a self-consistent one of the same length or longer."""
    filled(log, 10)
    with writing(log.engine) as connection:
        for table in (tables.log_entry, tables.log_tile, tables.checkpoint):
            connection.execute(delete(table))
    note, path = log.file.read(), log.file.path
    path.unlink()
    log.sequencer().run_once(log.lease)
    log.pend(*[f"forged{at}" for at in range(20)])
    log.sequencer().run_once(log.lease)
    path.write_text(note)
    log.pend("next")
    assert code(log.sequencer().run_once, log.lease) == "audit.inconsistent"
    assert not log.verify().ok


def test_a_second_entry_of_a_phase_is_kept_apart_and_stops_nothing(log: Any) -> None:
    filled(log, 3)
    log.pend("t1", "x")
    log.sequencer().run_once(log.lease)
    assert indexes(log)[-2:] == [(3, "t1", "intent#2"), (4, "x", "intent")]
    log.pend("t1", phase="intent#2")
    log.sequencer().run_once(log.lease)
    assert indexes(log)[-1] == (5, "t1", "intent#3"), "one number, as the verifier and readers expect"
    assert log.verify().ok
    with log.engine.begin() as connection:  # as an earlier release named it
        connection.execute(update(tables.log_entry).where(tables.log_entry.c.idx == 5).values(phase="intent#2#2"))
    assert log.verify().ok


def test_doors_see_the_newest_checkpoint(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.audit.log.checkpoints._LOOK_SECONDS", 600.0)
    newest = NewestCheckpoint(log.file.path)
    assert newest.note() == "" and newest.base64() == ""
    filled(log, 2)
    assert newest.note() == ""  # it looks a few times a second
    monkeypatch.setattr("gateway.audit.log.checkpoints._LOOK_SECONDS", 0.0)
    assert newest.note() == log.file.read() and newest.base64()
    log.pend("x")
    log.sequencer().run_once(log.lease)
    assert size_of(newest.note()) == 3

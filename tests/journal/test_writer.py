"""The journal's promises: refused alone, all or nothing, acknowledged means there, fenced when declared dead, alive
after failures."""

import asyncio
import sqlite3
import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow, ReplayKey, TransferChange, Verdict, Write
from gateway.journal.writer import Journal
from gateway.keeper import recovery
from tests.journal.databases import committed, intent, log_row, outcome, submission, transfer_row


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def counts(engine: Engine) -> dict[str, int]:
    return {
        name: count(engine, name) for name in ("transfer", "replay", "log_pending", "vault", "feed_pending", "queue")
    }


def test_a_unit_is_written_whole(database: Engine, journal: Journal) -> None:
    unit = submission("door-1")
    assert committed(journal, unit).verdict is Verdict.COMMITTED
    assert counts(database) == {"transfer": 1, "replay": 1, "log_pending": 2, "vault": 1, "feed_pending": 1, "queue": 0}
    assert unit.transfer is not None
    with database.connect() as connection:
        row = connection.execute(select(tables.transfer)).one()._asdict()
    assert row == {name: getattr(unit.transfer, name) for name in row}


def test_the_same_signed_bytes_are_refused_and_write_nothing(database: Engine, journal: Journal) -> None:
    first = submission("door-1", key=b"k" * 32)
    committed(journal, first)
    before = counts(database)
    assert committed(journal, submission("door-1", key=b"k" * 32)).verdict is Verdict.REPLAYED
    assert counts(database) == before


def test_a_repeat_gets_the_row_that_stands_and_leaves_only_its_replay_key(database: Engine, journal: Journal) -> None:
    first = submission("door-1", message="m-1")
    committed(journal, first)
    again = submission("door-1", message="m-1", key=b"r" * 32)
    written = committed(journal, again)
    assert written.verdict is Verdict.DUPLICATE and written.existing is not None and first.transfer is not None
    assert written.existing == {name: getattr(first.transfer, name) for name in written.existing}
    assert written.existing["payload_digest"] == b"\x01" * 32 and written.existing["idempotent"] is True
    assert counts(database) == {"transfer": 1, "replay": 2, "log_pending": 2, "vault": 1, "feed_pending": 1, "queue": 0}
    assert committed(journal, again).verdict is Verdict.REPLAYED


def test_a_step_counts_only_while_its_guard_holds(database: Engine, journal: Journal) -> None:
    unit = intent("door-1")
    assert unit.transfer is not None
    id = unit.transfer.id
    committed(journal, unit)
    assert committed(journal, outcome("door-2", id)).verdict is Verdict.FENCED
    assert counts(database)["log_pending"] == 1
    assert committed(journal, outcome("door-1", id)).verdict is Verdict.COMMITTED
    assert committed(journal, outcome("door-1", id)).verdict is Verdict.FENCED
    with database.connect() as connection:
        row = connection.execute(select(tables.transfer)).one()
    assert (row.state, row.status, row.answer_ref, row.process) == ("answered", 200, f"{id}/answer", "door-1")


def test_a_fenced_step_takes_its_replay_key_back(database: Engine, journal: Journal) -> None:
    step = outcome("door-1", new_id())._replace(replay=ReplayKey(b"f" * 32, time.time()))
    assert committed(journal, step).verdict is Verdict.FENCED
    assert counts(database)["replay"] == 0


def test_put_aside_taken_up_and_settled(database: Engine, journal: Journal) -> None:
    """The queue's row follows the steps, and a new owner may end the transfer."""
    id = new_id()
    first = Write(
        transfer=transfer_row("door-1", id=id, state="queued"), queue=QueueRow(id, "do-thi", f"{id}/canonical", 1.0)
    )
    committed(journal, first)
    up = Write(change=TransferChange(id, "queued", None, "forwarding", owner="keeper-1"))
    assert committed(journal, up).verdict is Verdict.COMMITTED
    back = Write(
        change=TransferChange(id, "forwarding", "keeper-1", "queued", failure="provider.down"),
        queue=QueueRow(id, "do-thi", f"{id}/canonical", 9.0, tries=1, last_failure="provider.down"),
    )
    assert committed(journal, back).verdict is Verdict.COMMITTED
    with database.connect() as connection:
        row = connection.execute(select(tables.queue)).one()
        assert (row.state, row.tries, row.next_at, row.epoch, row.last_failure) == (
            "waiting",
            1,
            9.0,
            None,
            "provider.down",
        )
        assert connection.execute(select(tables.transfer.c.process)).scalar() == "keeper-1"


def test_one_poisonous_row_fails_only_its_unit(database: Engine, journal: Journal) -> None:
    committed(journal, Write(log=(log_row("t", "intent"),)))

    async def many() -> list[Any]:
        poison = submission("door-1")._replace(log=(log_row("t", "intent"),))
        wrong = submission("door-1")._replace(log=(log_row("u", "intent")._replace(entry=object()),))  # type: ignore[arg-type]
        units = [*(submission("door-1") for _ in range(5)), poison, wrong, *(submission("door-1") for _ in range(5))]
        return await asyncio.gather(*[journal.commit(unit) for unit in units], return_exceptions=True)

    results = asyncio.run(many())
    assert [isinstance(one, Ours) and one.code for one in results] == [False] * 5 + ["journal.row-refused"] * 2 + [
        False
    ] * 5
    assert counts(database)["transfer"] == 10 and counts(database)["replay"] == 10


def test_a_process_that_was_declared_dead_writes_nothing(database: Engine, journal: Journal) -> None:
    with writing(database) as connection:
        connection.execute(update(tables.process).values(state="dead"))
    assert committed(journal, submission("door-1")).verdict is Verdict.FENCED
    assert journal.fenced and counts(database)["transfer"] == 0


def test_futures_of_many_tasks_and_order(database: Engine, journal: Journal) -> None:
    async def work() -> None:
        async def one(number: int) -> None:
            unit = intent("door-1")
            assert unit.transfer is not None
            assert (await journal.commit(unit)).verdict is Verdict.COMMITTED
            assert (await journal.commit(outcome("door-1", unit.transfer.id))).verdict is Verdict.COMMITTED

        await asyncio.gather(*[one(number) for number in range(300)])

    asyncio.run(work())
    assert counts(database)["log_pending"] == 600
    with database.connect() as connection:
        assert set(connection.execute(select(tables.transfer.c.state)).scalars()) == {"answered"}


def test_a_cancelled_caller_does_not_hurt_the_others(database: Engine, journal: Journal) -> None:
    async def work() -> None:
        given_up, kept = journal.commit(submission("door-1")), journal.commit(submission("door-1"))
        given_up.cancel()
        assert (await kept).verdict is Verdict.COMMITTED

    asyncio.run(work())
    assert counts(database)["transfer"] == 2


def test_more_than_the_limit_is_refused_at_once(database: Engine) -> None:
    journal = Journal(database, lock_of(database), "door-1", limit=3)
    journal.start()
    with lock_of(database) if database.dialect.name == "sqlite" else writing(database) as held:
        if database.dialect.name == "postgresql":
            held.execute(text("LOCK TABLE process IN ACCESS EXCLUSIVE MODE"))  # type: ignore[union-attr]

        async def fill() -> None:
            first = journal.commit(Write())
            async with asyncio.timeout(30):
                while journal.waiting:  # until the writer holds this one, and waits for the database
                    await asyncio.sleep(0.01)
            for _ in range(3):
                journal.commit(Write()).add_done_callback(lambda future: future.cancelled() or future.exception())
            with pytest.raises(Ours) as caught:
                journal.commit(Write())
            assert caught.value.code == "journal.busy" and caught.value.retry_after == 1
            first.cancel()

        asyncio.run(fill())
    journal.stop()


def test_stopping_writes_what_waits_then_refuses(database: Engine) -> None:
    journal = Journal(database, lock_of(database), "door-1")
    journal.start()
    units = [submission("door-1") for _ in range(200)]
    results: list[Verdict] = []
    threads = [
        threading.Thread(target=lambda unit=unit: results.append(committed(journal, unit).verdict)) for unit in units
    ]
    for thread in threads:
        thread.start()
    while journal.waiting == 0 and len(results) < 200:
        time.sleep(0.0005)
    for thread in threads:
        thread.join()
    journal.stop()
    assert results == [Verdict.COMMITTED] * 200
    with pytest.raises(Ours) as caught:
        committed(journal, submission("door-1"))
    assert caught.value.code == "journal.unavailable"
    with database.connect() as connection:
        assert connection.execute(select(tables.process.c.state)).scalar() == "ended"


def test_an_idle_journal_beats(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.journal.processes.BEAT_SECONDS", 0.05)
    journal = Journal(database, lock_of(database), "door-1")
    journal.start()
    with database.connect() as connection:
        first = connection.execute(select(tables.process.c.seen)).scalar_one()
    end, seen = time.monotonic() + 60, first
    while seen == first:
        assert time.monotonic() < end
        time.sleep(0.05)
        with database.connect() as connection:
            seen = connection.execute(select(tables.process.c.seen)).scalar_one()
    assert seen > first
    journal.stop()


def test_a_full_disk_refuses_the_batch_and_the_writer_goes_on(sqlite: Engine) -> None:
    journal = Journal(sqlite, lock_of(sqlite), "door-1")
    journal.start()
    committed(journal, submission("door-1"))
    with sqlite.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    cursor: sqlite3.Cursor = journal._cursor  # type: ignore[assignment]
    cursor.execute(f"PRAGMA max_page_count = {pages + 3}")

    big = submission("door-1")._replace(
        vault=tuple(submission("door-1").vault[0]._replace(sealed=bytes(400_000)) for _ in range(1))
    )
    with pytest.raises(Ours) as caught:
        committed(journal, big)
    assert caught.value.code == "journal.unavailable" and caught.value.facts["reason"] == "the disk is full"
    assert "đĩa đã đầy" in caught.value.what("vi")
    assert counts(sqlite)["transfer"] == 1
    assert committed(journal, submission("door-1")).verdict is Verdict.COMMITTED  # on a new connection, with room again
    journal.stop()


class _CutDuringCommit:
    """Loses the connection around COMMIT, as a broken network does: before it, or after it stood."""

    def __init__(self, cursor: Any, *, stood: bool) -> None:
        self._cursor, self._stood = cursor, stood

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> object:
        if statement == "COMMIT":
            if self._stood:
                self._cursor.execute("COMMIT")
            self._cursor.connection.close()
        return self._cursor.execute(statement, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@pytest.mark.parametrize("stood", [True, False])
def test_a_connection_lost_during_commit_is_cleared_up(database: Engine, stood: bool) -> None:
    if database.dialect.name == "sqlite":
        pytest.skip("there is no connection to lose")
    journal = Journal(database, None, "door-1")
    journal.start()
    committed(journal, Write())
    journal._cursor = _CutDuringCommit(journal._cursor, stood=stood)
    assert committed(journal, submission("door-1")).verdict is Verdict.COMMITTED
    assert counts(database)["transfer"] == 1, "written again only if it did not stand"
    assert committed(journal, submission("door-1")).verdict is Verdict.COMMITTED
    assert not journal.fenced
    journal.stop()


def test_what_stood_unknown_to_its_callers_is_left_to_recovery(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process goes on: its other callers lose nothing."""
    if database.dialect.name == "sqlite":
        pytest.skip("there is no connection to lose")
    monkeypatch.setattr("gateway.journal.writer._RECONNECT_SECONDS", 0.0)
    journal = Journal(database, None, "door-1")
    journal.start()
    committed(journal, Write())
    journal._cursor = _CutDuringCommit(journal._cursor, stood=True)
    closed = submission("door-1", message="m-1")
    with pytest.raises(Ours):
        committed(journal, closed)
    again = submission("door-1", message="m-1")
    assert committed(journal, again).verdict is Verdict.DUPLICATE, "nothing of it was left open"
    journal._cursor = _CutDuringCommit(journal._cursor, stood=True)
    with pytest.raises(Ours):
        committed(journal, unknown := intent("door-1"))
    committed(journal, known := intent("door-1"))
    assert unknown.transfer is not None and known.transfer is not None and not journal.fenced
    with database.connect() as connection:
        rows = connection.execute(text("SELECT id, process FROM transfer WHERE state = 'forwarding'")).all()
        assert {(row[0], row[1]) for row in rows} == {(unknown.transfer.id, None), (known.transfer.id, "door-1")}
        assert recovery.has_open_ends(connection)
    with writing(database) as connection:
        assert recovery.close_open(connection, time.time()).in_doubt == 1
    journal.stop()


def test_a_lost_connection_is_made_again(database: Engine) -> None:
    if database.dialect.name == "sqlite":
        pytest.skip("there is no connection to lose")
    journal = Journal(database, None, "door-1")
    journal.start()
    committed(journal, Write())
    with database.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )
        )
    assert committed(journal, submission("door-1")).verdict is Verdict.COMMITTED
    assert counts(database)["transfer"] == 1
    journal.stop()

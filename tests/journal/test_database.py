"""Migrations give the tables' very form; settings of a connection are what durability needs; the lock excludes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from gateway.journal.database import fold_back, lock_of, lock_path, migrate, revision, writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema.tables import metadata
from tests.journal.databases import downgrade, newest


def test_migrated_schema_is_that_of_the_tables(database: Engine) -> None:
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_migrating_twice_changes_nothing_and_many_may_do_it_at_once(database: Engine) -> None:
    threads = [threading.Thread(target=migrate, args=(database,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect() as connection:
        assert revision(connection) == newest()


KILLED = """
import os, sys
from sqlalchemy import event
from gateway.journal.database import migrate, open_engine
engine = open_engine(sys.argv[1])
count = 0
def step(*_):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
event.listen(engine, "before_cursor_execute", step)
migrate(engine)
print(count)
"""


@pytest.mark.sampled("sqlite")
def test_a_migration_that_is_killed_is_begun_anew(database: Engine) -> None:
    """At any statement of it: the database is as it was, and the next start migrates it. What is said first names both
    revisions."""
    url = database.url.render_as_string(hide_password=False)

    def run(step: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, url, str(step)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def older() -> None:
        with writing(database) as connection:
            downgrade(connection, "0004")
            connection.execute(text("INSERT INTO instance VALUES ('kept', 'as it was') ON CONFLICT DO NOTHING"))

    older()
    steps = int(run(10**6).stdout)
    assert steps > 30
    older()
    for step in (steps // 3, steps - 1):
        assert run(step).returncode == -signal.SIGKILL
        with database.connect() as connection:
            assert revision(connection) == "0004"
    said: list[tuple[str, str]] = []
    migrate(database, lambda found, to: said.append((found, to)))
    migrate(database, lambda found, to: said.append((found, to)))
    with database.connect() as connection:
        assert said == [("0004", newest())] and revision(connection) == newest()
        assert connection.execute(text("SELECT value FROM instance WHERE key = 'kept'")).scalar() == "as it was"


def test_a_commit_is_a_sync(database: Engine) -> None:
    with database.connect() as connection:
        if database.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        else:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"


def test_an_exception_rolls_a_writing_transaction_back(database: Engine) -> None:
    with pytest.raises(RuntimeError), writing(database) as connection:
        connection.execute(text("INSERT INTO instance VALUES ('a', 'b')"))
        raise RuntimeError
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM instance")).scalar() == 0


def test_postgresql_needs_no_lock_and_sqlite_has_one_a_process(database: Engine) -> None:
    assert (lock_path(database) is None) == (database.dialect.name == "postgresql")
    assert lock_of(database) is lock_of(database)


def test_lock_excludes_threads_sharing_it_and_objects_apart(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    shared, inside, most, done = FileLock(path), [0], [0], []

    def work(lock: FileLock) -> None:
        for _ in range(50):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0001)
                inside[0] -= 1
        done.append(1)

    threads = [threading.Thread(target=work, args=(lock,)) for lock in (shared, shared, FileLock(path))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and len(done) == 3


def test_a_killed_holder_loses_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = f"""
import sys, time
from importlib import resources
from pathlib import Path
from gateway.journal.filelock import FileLock
lock = FileLock(Path({str(path)!r})); lock.acquire(); print("held", flush=True); time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    got: list[bool] = []

    def wait() -> None:
        FileLock(path).acquire()
        got.append(True)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    time.sleep(0.1)
    assert not got
    holder.kill()
    holder.wait()
    waiter.join(60)
    assert got


def _try_in_child(lock: FileLock, out: "multiprocessing.connection.Connection") -> None:
    out.send("tries")
    with lock:
        out.send("holds")


def test_a_fork_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with lock:
        pass  # the files are open now
    here, there = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    held = FileLock(tmp_path / "lock")
    held.acquire()
    child = context.Process(target=_try_in_child, args=(lock, there))
    child.start()
    assert here.poll(60) and here.recv() == "tries"
    assert not here.poll(0.2)
    held.release()
    assert here.poll(60) and here.recv() == "holds"
    child.join(60)


def test_folding_back_keeps_the_write_ahead_log_short(sqlite: Engine) -> None:
    file = Path(f"{sqlite.url.database}-wal")
    with sqlite.connect() as held:  # a connection that stays open, so that the log is not folded back by closing
        held.execute(text("SELECT 1"))
        held.rollback()
        for _ in range(6):
            with writing(sqlite) as connection:
                connection.execute(
                    text(
                        "INSERT INTO bundle VALUES (hex(randomblob(8)), 'c', hex(randomblob(8)), "
                        "randomblob(8000000), NULL)"
                    )
                )
            fold_back(sqlite)
        assert file.stat().st_size < 3 * 8_200_000
        assert held.execute(text("SELECT count(*) FROM bundle")).scalar() == 6


def test_a_database_of_the_first_release_takes_the_tables_of_this_one(database: Engine) -> None:
    row = (
        "INSERT INTO system (id, agency, title_vi, title_en, formats, state) VALUES ('y-te', 'H14.7', 'Y "
        "tế', 'Health', '{}', 'active')"
    )
    with writing(database) as connection:
        downgrade(connection, "0001")
        connection.execute(text(row))
    migrate(database)
    with database.connect() as connection:
        assert connection.execute(text("SELECT id, versions FROM system")).all() == [("y-te", None)]


def test_a_lock_that_is_no_longer_used_leaves_no_open_file(tmp_path: Path) -> None:
    """Each change of the registry makes one: the process that serves pages would run out of descriptors."""

    def mine() -> list[str]:
        open_ones = [Path(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
        targets = [os.readlink(each) for each in open_ones if each.is_symlink()]
        return [each for each in targets if each.startswith(str(tmp_path))]

    for _ in range(5):
        with FileLock(tmp_path / "one.lock"):
            assert len(mine()) == 2
    assert mine() == []

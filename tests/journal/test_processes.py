"""Several processes at one database: none loses anything, none starves, and what a killed one acknowledged is there."""

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Engine, text

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
url, process, number, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
from gateway.journal.database import lock_of, open_engine
from gateway.journal.write import Verdict
from gateway.journal.writer import Journal
from tests.journal.databases import submission

engine = open_engine(url)
journal = Journal(engine, lock_of(engine), process)
journal.start()

async def one(left):
    while left:
        left -= 1
        unit = submission(process)
        assert (await journal.commit(unit)).verdict is Verdict.COMMITTED
        print(unit.transfer.id, flush=True)

async def main():
    await asyncio.gather(*[one(number) for _ in range(tasks)])

asyncio.run(main())
journal.stop()
"""


def start(url: str, process: str, number: int, tasks: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, process, str(number), str(tasks)], cwd=ROOT, stdout=subprocess.PIPE
    )


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_four_writers_at_once(database: Engine) -> None:
    writers = [start(url_of(database), f"door-{number}", 25, 8) for number in range(4)]
    acknowledged: list[str] = []
    for writer in writers:
        out, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        acknowledged += out.decode().split()
    assert len(acknowledged) == 800
    with database.connect() as connection:
        assert {row[0] for row in connection.execute(text("SELECT id FROM transfer"))} == set(acknowledged)
        assert connection.execute(text("SELECT count(*) FROM log_pending")).scalar() == 1600
        query = (
            "SELECT t.process FROM log_pending p JOIN transfer t ON t.id = p.transfer WHERE p.phase = "
            "'intent' ORDER BY p.id"
        )
        turns = [row[0] for row in connection.execute(text(query))]
        assert connection.execute(text("SELECT count(*) FROM feed_pending")).scalar() == 800
    for process in {*turns}:
        own = [place for place, each in enumerate(turns) if each == process]
        assert max(after - before for before, after in pairwise(own)) < 400, (
            "nobody waits while the others write all that they have"
        )


def test_what_a_killed_process_acknowledged_is_there_and_whole(database: Engine) -> None:
    writer = start(url_of(database), "door-1", 100_000, 16)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().decode().strip() for _ in range(150)]
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().decode()
    writer.wait()
    acknowledged += rest[: rest.rfind("\n") + 1].split()
    with database.connect() as connection:
        there = {row[0] for row in connection.execute(text("SELECT id FROM transfer"))}
        assert set(acknowledged) <= there
        for table, each in (("log_pending", 2), ("feed_pending", 1), ("vault", 1), ("replay", 1)):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == each * len(there)

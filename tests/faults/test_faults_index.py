"""A process that indexes the log is killed at any moment: what stands is whole, and who comes next goes on from
there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select

from gateway.audit.search.index import Indexer, watermark
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from tests.audit import making

pytestmark = pytest.mark.server
NUMBER = 3_000
CHILD = """
import sys, time
from gateway.audit.search.index import Indexer
from gateway.journal.database import lock_of, open_engine
engine = open_engine(sys.argv[1])
indexer = Indexer(engine, lock_of(engine), limit=int(sys.argv[2]))
indexer.empty()
print("ready", flush=True)
while True:
    indexer.step(None)
    time.sleep(0.01)  # it is killed long before its end, also where the one who kills it comes late
"""


def test_killed_while_it_indexes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lgsp.db'}"
    engine = open_engine(url)
    migrate(engine)
    with writing(engine) as connection:
        making.write(connection, list(making.entries(Random(5), NUMBER)))
    with subprocess.Popen([sys.executable, "-c", CHILD, url, "3"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        deadline, upto = time.monotonic() + 60, 0
        while upto < 30:
            assert time.monotonic() < deadline and child.poll() is None
            with engine.connect() as connection:
                upto = watermark(connection).upto
        child.kill()
    with engine.connect() as connection:
        upto = watermark(connection).upto
        indexes = list(connection.execute(select(tables.log_index.c.idx).order_by(tables.log_index.c.idx)).scalars())
    assert indexes == list(range(upto)) and 30 <= upto < NUMBER
    while Indexer(engine, None, limit=500).step(None):
        pass
    with engine.connect() as connection:
        grown = connection.execute(select(tables.log_index).order_by(tables.log_index.c.idx)).all()
    for _ in Indexer(engine, None, limit=1000).remake():
        pass
    with engine.connect() as connection:
        assert connection.execute(select(tables.log_index).order_by(tables.log_index.c.idx)).all() == grown
        assert connection.scalar(select(func.count()).select_from(tables.log_index)) == NUMBER
    engine.dispose()

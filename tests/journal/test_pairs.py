"""The pair itself: what its primary acknowledged its standby has, and goes on once an operator acted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.faults.load import until
from tests.journal.pairs import Pair, paired
from tests.journal.relay import Way

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    began = time.monotonic()
    with paired(room=192) as made:
        print(f"a pair after {time.monotonic() - began:.1f} s")
        yield made


def test_what_is_committed_outlives_the_primary(pair: Pair) -> None:
    with Way([server.port for server in pair.servers]) as way:
        pair.fresh_url()
        engine = create_engine(pair.url(way.ports), connect_args={"connect_timeout": 2}, pool_pre_ping=True)

        def add(number: int) -> None:
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE IF NOT EXISTS n (n integer)"))
                connection.execute(text(f"INSERT INTO n VALUES ({number})"))

        add(1)
        assert pair.rows("SELECT n FROM n", pair.standby) == [(1,)], "the standby had it when it was acknowledged"
        way.cut()
        with pytest.raises(OperationalError):
            add(2)
        way.flow()
        add(3)
        old = pair.primary
        pair.primary.kill()
        pair.promote()
        assert pair.rows("SELECT n FROM n ORDER BY n") == [(1,), (3,)]
        old.start()
        assert not old.is_standby(), "it came back as it was"
        assert old.timeline < pair.primary.timeline
        print("the old primary rejoined by", pair.rejoin())
        assert old.is_standby() and pair.standby is old
        add(4)
        assert pair.rows("SELECT n FROM n ORDER BY n", pair.standby) == [(1,), (3,), (4,)]
        engine.dispose()


def test_a_disk_that_is_full_takes_nothing_until_there_is_room(pair: Pair) -> None:
    pair.fresh_url()
    pair.rows("CREATE TABLE much AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    pair.primary.fill()
    with pytest.raises(psycopg.Error):
        for _ in range(200):
            pair.rows("INSERT INTO much SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    pair.primary.empty()
    until("it writes again", lambda: writes(pair))
    pair.wait_synchronous()


def writes(pair: Pair) -> bool:
    with suppress(psycopg.Error):
        pair.rows("INSERT INTO much VALUES ('y')")
        return True
    return False

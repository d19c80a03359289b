"""The checks of the tables around the log: no false alarm where nothing is wrong, and the index is compared alike by both ways."""

from __future__ import annotations

from random import Random

import pytest
from sqlalchemy import Engine, delete, select, update

from gateway.audit import facts
from gateway.audit.index import Indexer, keys_of
from gateway.audit.rows.findings import MOST, Findings
from gateway.audit.rows.index import Quick, check_index
from gateway.journal import tables
from gateway.journal.database import writing
from tests.audit import making


def filled(engine: Engine, number: int, seed: int) -> None:
    with writing(engine) as connection:
        making.clear(connection)
        making.write(connection, list(making.entries(Random(seed), number)))
    indexer = Indexer(engine, None)
    while indexer.waiting():
        indexer.step(None)


def looked(engine: Engine) -> Findings:
    with engine.connect() as connection:
        wrong = Findings()
        check_index(connection, wrong)
        return wrong


@pytest.mark.parametrize("seed", range(3))
def test_the_quick_way_gives_the_rows_of_the_index(sqlite: Engine, seed: int) -> None:
    filled(sqlite, 3000, seed)
    quick, known = Quick(), 0
    with sqlite.connect() as connection:
        rows = connection.execute(select(*facts.COLUMNS).order_by(tables.log_entry.c.idx)).all()
        for row, logged in zip(rows, facts.read(connection, rows), strict=True):
            values = quick.values(row)
            known += values is not None
            assert values is None or values == tuple(keys_of(logged.facts).values()), logged.facts
    assert known > 1000, "most intents and outcomes are known by their shape"
    assert looked(sqlite).wrong == []


def test_rows_of_the_index_that_are_missing_or_too_many(database: Engine) -> None:
    filled(database, 300, 7)
    assert looked(database).wrong == [] and looked(database).checked == {"rows of the index": 300}
    index, state = tables.log_index, tables.log_indexed
    with writing(database) as connection:
        connection.execute(delete(index).where(index.c.idx == 77))
    assert [each.partition(")")[2] for each in looked(database).wrong] == [": it has no row"]
    with writing(database) as connection:
        connection.execute(delete(index))
    assert len(looked(database).wrong) == MOST
    with writing(database) as connection:
        connection.execute(update(state).values(upto=0, leaf=None))
    assert looked(database).wrong == [], "an index that lags is none that lies"

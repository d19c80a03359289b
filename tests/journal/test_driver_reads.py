"""Small reads past SQLAlchemy: the same rows, the same moment, the same failures."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError

from gateway.journal.database import snapshot, writing
from gateway.journal.driver_reads import Read
from gateway.journal.schema import tables

_t = tables.vault.c
_ONE = select(_t.id, _t.key_id, _t.size, _t.sealed).where(_t.size > bindparam("least")).order_by(_t.id)
LIMITED = _ONE.limit(bindparam("limit"))
MANY = select(_t.id, _t.sealed).where(_t.id.in_(bindparam("ids", expanding=True))).order_by(_t.id)


def fill(database: Engine, first: int, count: int) -> None:
    rows = [
        {"id": f"b{number:03}", "key_id": "k", "size": number, "sealed": bytes([number, 0, 255])}
        for number in range(first, first + count)
    ]
    with writing(database) as connection:
        connection.execute(insert(tables.vault), rows)


def test_the_same_rows_as_by_sqlalchemy(database: Engine) -> None:
    fill(database, 0, 30)
    with database.connect() as connection:
        rows = Read(LIMITED).rows(connection, least=3, limit=7)
        assert [tuple(row) for row in rows] == [
            tuple(row) for row in connection.execute(LIMITED, {"least": 3, "limit": 7})
        ]
        assert len(rows) == 7 and rows[0][3] == bytes([4, 0, 255])
        many = Read(MANY, many="ids")
        for ids in (["b001"], ["b007", "b003", "none"], [f"b{number:03}" for number in range(30)], []):
            assert [tuple(row) for row in many.rows(connection, ids=ids)] == [
                tuple(row) for row in connection.execute(MANY, {"ids": ids})
            ]


def test_all_reads_of_a_connection_see_one_moment(database: Engine) -> None:
    fill(database, 0, 3)
    read = Read(LIMITED)
    with snapshot(database) as connection:
        assert len(read.rows(connection, least=-1, limit=100)) == 3
        fill(database, 3, 3)
        assert len(read.rows(connection, least=-1, limit=100)) == 3
        assert connection.scalar(text("SELECT count(*) FROM vault")) == 3
    with database.connect() as connection:
        assert len(read.rows(connection, least=-1, limit=100)) == 6


def test_a_failure_is_one_of_sqlalchemy(database: Engine) -> None:
    fill(database, 0, 3)
    with writing(database) as connection:
        connection.execute(text("ALTER TABLE vault RENAME TO gone"))
    with pytest.raises(DBAPIError), database.connect() as connection:
        Read(LIMITED).rows(connection, least=0, limit=1)
    with writing(database) as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO vault"))

"""Reads rows of an instance's database, whichever it has, beside the instance that runs."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.pool import NullPool

from gateway.journal.database import open_engine
from gateway.settings import Settings, load


@cache
def _address(data: Path) -> str:
    return load(data, {}).database


@cache
def _engine(address: str) -> Engine:
    """Without a pool: no connection stays open, so the database can be dropped."""
    engine = open_engine(address)
    engine.pool = NullPool(engine.pool._creator)
    return engine


def rows(of: Settings | Path, query: str, *values: object) -> list[Any]:
    """The rows of a query with `?` for each value. `of`: the instance, or its data folder."""
    data = of if isinstance(of, Path) else of.data
    if address := _address(data):
        with _engine(address).connect() as connection:
            percent = query.replace("%", "%%") if values else query
            found = connection.exec_driver_sql(percent.replace("?", "%s"), values or None)
            return [tuple(row) for row in found]
    base = sqlite3.connect(f"file:{data / 'lgsp.db'}?mode=ro", uri=True, timeout=60)
    try:
        return base.execute(query, values).fetchall()
    finally:
        base.close()

"""Runs small reads that come often without SQLAlchemy's part of each execution, which costs more than such a read.

On SQLite the text of a statement is made once and goes to the driver. On PostgreSQL SQLAlchemy runs it: there a
connection may be lost, and the pool has to know.
Invariant: the reads of one connection see one moment of the database, as its other statements do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Select

_TEXTS: Final = 256  # of one statement: by the length of its list


class Read:
    """One SELECT. `many` names its parameter that is a list (`bindparam(…, expanding=True)`), if it has one."""

    def __init__(self, statement: Select[Any], many: str = "") -> None:
        self._statement: Final = statement
        self._many: Final = many
        self._text: Final = lru_cache(maxsize=_TEXTS)(self._make)

    def rows(self, connection: Connection, **values: Any) -> Sequence[Any]:
        """All rows, as tuples of the columns."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, values).all()
        listed = values.pop(self._many) if self._many else ()
        if self._many and not listed:
            return ()
        text, names, fixed = self._text(len(listed), connection.dialect)
        if not connection.in_transaction():
            connection.begin()
        given = {**fixed, **values}
        try:
            cursor = connection.connection.driver_connection.execute(  # type: ignore[union-attr]
                text, [*(given[name] for name in names), *listed]
            )
            rows: list[Any] = cursor.fetchall()
        except sqlite3.Error:  # again, so that the failure is one of SQLAlchemy
            return connection.execute(self._statement, values | ({self._many: listed} if self._many else {})).all()
        return rows

    def _make(self, count: int, dialect: Dialect) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """The text, the names of its parameters before those of the list, and the values that it brings itself."""
        statement = self._statement.params({self._many: [""] * count}) if self._many else self._statement
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        names = [name for name in compiled.positiontup or () if not self._many or not name.startswith(f"{self._many}_")]
        assert len(names) + count == len(compiled.positiontup or ())
        return str(compiled), tuple(names), {name: compiled.params.get(name) for name in names}

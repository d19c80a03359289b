"""Whether the disk of the database has room: an update of a small row needs none, and proves nothing."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from gateway.journal.statements import Cursor

ROOM: Final = 16 * 1024 * 1024  # bytes: a segment of PostgreSQL's write-ahead log
_ROW: Final = 1000  # of text: it is neither compressed nor stored elsewhere


def check_room(engine: Engine, cursor: Cursor) -> None:
    """Takes so much room, and gives it back. Raises the database's own error if there is none."""
    if engine.dialect.name == "postgresql":
        cursor.execute("BEGIN")
        cursor.execute("CREATE TEMPORARY TABLE room (filling text)")
        cursor.execute("INSERT INTO room SELECT repeat('x', %s) FROM generate_series(1, %s)", (_ROW, ROOM // _ROW))
        cursor.execute("ROLLBACK")
        return
    database = engine.url.database
    if database and database != ":memory:":
        try:
            with tempfile.TemporaryFile(dir=Path(database).absolute().parent) as file:
                os.posix_fallocate(file.fileno(), 0, ROOM)
        except OSError as error:
            raise sqlite3.OperationalError(str(error)) from error

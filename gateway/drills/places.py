"""Where a restore drill works: a folder, and with PostgreSQL a database. Everything in them goes when it ends.

    <data>/drill/             locked while a drill runs, and then removed; `where.json` names the folder of one that was
                              cut short
    <work>/lgsp-drill/        by default in the folder above: the restored instance
    <database>_drill          PostgreSQL, beside the instance's database; or an empty one that the operator names

Invariant: only what a drill made is removed. A database has the table `lgsp_drill` before anything else is in it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.drills.errors import DRILL_DATABASE, DRILL_NOT_EMPTY, DRILL_RUNS
from gateway.durable import write_new
from gateway.journal.database import open_engine
from gateway.settings import Settings

_STATE: Final = "drill"  # below the data folder
_WHERE: Final = "where.json"
_WORK: Final = "lgsp-drill"
_MARK: Final = "lgsp_drill"  # a table
_LONGEST: Final = 63  # bytes of a name in PostgreSQL


@contextmanager
def working(settings: Settings, work: Path | None) -> Iterator[Path]:
    """An empty folder for one drill of the instance. What an earlier one left goes first, and this one's goes last."""
    state = settings.data / _STATE
    lock = _locked(state)
    try:
        _clean(state)
        place = (work.absolute() if work is not None else state) / _WORK
        if place.exists():
            raise DRILL_NOT_EMPTY(place=place)
        write_new(state / _WHERE, json.dumps({"work": str(place)}, ensure_ascii=False).encode())
        try:
            place.mkdir(mode=0o700, parents=True)
            yield place
        finally:
            _clean(state)
    finally:
        with suppress(OSError):  # something else lies in it
            state.rmdir()
        os.close(lock)


def _locked(state: Path) -> int:
    """The descriptor of the folder, which is made if it is not there. Raises `drill.runs`."""
    while True:
        state.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = os.open(state, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # a drill that ended has just removed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DRILL_RUNS(path=state) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), state.stat()):
                return lock
        os.close(lock)  # it was removed between the two


def _clean(state: Path) -> None:
    """Removes the folder of a drill, its private keys overwritten."""
    where = state / _WHERE
    try:
        place = Path(json.loads(where.read_text("utf-8"))["work"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):  # killed while this was written: nothing had begun
        where.unlink()
        return
    if place.name == _WORK and place.is_dir():
        for path in place.rglob("*.key"):
            if path.is_file() and not path.is_symlink():
                _overwrite(path)
        shutil.rmtree(place)
    where.unlink()


def _overwrite(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.write(file, secrets.token_bytes(os.fstat(file).st_size))
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def database_for(settings: Settings, given: str) -> Iterator[str]:
    """The address of an empty database: `given`, or one beside the instance's; "" for SQLite."""
    if make_url(settings.database_url).get_backend_name() == "sqlite":
        yield ""
        return
    address = given or _make_beside(settings)
    engine = open_engine(address)
    try:
        try:
            _empty(engine)
        except SQLAlchemyError as trouble:
            raise _told(engine.url.database, trouble) from None
        try:
            yield address
        finally:
            _empty(engine, again=False)
            engine.dispose()
            if not given:
                _drop_beside(settings)
    finally:
        engine.dispose()


def _empty(engine: Engine, *, again: bool = True) -> None:
    """Removes what a drill left, and marks the database unless it is the end. Raises `drill.not-empty`."""
    with engine.begin() as connection:
        names = inspect(connection).get_table_names()
        if names and _MARK not in names:
            raise DRILL_NOT_EMPTY(place=engine.url.database)
        quoted = connection.dialect.identifier_preparer.quote
        for name in (each for each in names if each != _MARK):  # the mark last: kill -9 leaves it with what is there
            connection.exec_driver_sql(f"DROP TABLE {quoted(name)} CASCADE")
        if again and not names:
            connection.exec_driver_sql(f"CREATE TABLE {_MARK} (made text)")
        if not again:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_MARK}")


def _beside(settings: Settings) -> str:
    name = make_url(settings.database_url).database or ""
    return f"{name[: _LONGEST - 6]}_drill"


def _make_beside(settings: Settings) -> str:
    name = _beside(settings)
    engine = open_engine(settings.database_url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            there = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if there is None:
                connection.exec_driver_sql(f"CREATE DATABASE {connection.dialect.identifier_preparer.quote(name)}")
    except SQLAlchemyError as trouble:
        raise _told(name, trouble) from None
    finally:
        engine.dispose()
    return make_url(settings.database_url).set(database=name).render_as_string(hide_password=False)


def _drop_beside(settings: Settings) -> None:
    name = _beside(settings)
    engine = open_engine(settings.database_url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"DROP DATABASE {connection.dialect.identifier_preparer.quote(name)}")
    finally:
        engine.dispose()


def _told(name: str | None, trouble: SQLAlchemyError) -> Exception:
    cause = getattr(trouble, "orig", None) or trouble
    return DRILL_DATABASE(name=name or "-", reason=str(cause).partition("\n")[0])

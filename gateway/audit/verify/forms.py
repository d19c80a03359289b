"""Reads the form of each stored value before any check does: a malformed one is a finding, and no check sees its row.

Theory of operation:
1. `malformed` compares each value of each table with its declared column: type, NULL, encoding of text, range of times.
   PostgreSQL holds types and encoding itself; SQLite stores whatever it is given.
2. `set_aside` hides the rows of such values from all further connections of an engine, by temporary views under the
   names of the tables. So the checks read well-formed rows only, and report those as missing where they are needed.
3. `guarded` runs one check. What a check cannot read in spite of that, such as a column that is gone, ends this check
   alone, with a finding.

Invariant: trouble with the database itself (a lock, the disk, the network) is no finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, LargeBinary, Table, cast, event, inspect, literal_column, select
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError, SQLAlchemyError

from contracts.base.errors import Failure, Ours
from gateway.journal.schema import tables
from gateway.journal.schema.comparison import LEAVING

MOST: Final = 50  # findings of one table; the rows behind them are set aside all the same
LATEST: Final = 253_402_300_799  # the last second of the year 9999, which RFC 3339 can write
_STORED: Final = {
    str: ("text",),
    bytes: ("blob",),
    int: ("integer",),
    bool: ("integer",),
    float: ("real", "integer"),
}
_WORDS: Final = {str: "text", bytes: "bytes", int: "a whole number", bool: "yes or no", float: "a number"}
_SHOWN: Final = 80  # characters of a key in a text
_OF_DATA: Final = ("no such ", "Could not decode")  # SQLite's words of what is stored
_NOT_READ: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
# Text columns that hold JSON.
JSON: Final[Mapping[str, Mapping[str, type[object]]]] = {
    "access_grant": {"body": dict},
    "agency": {"contact": dict, "roles": list},
    "agency_case_step": {"facts": dict},
    "alarm": {"facts": dict},
    "console_account": {"roles": list},
    "console_job": {"facts": dict},
    "indicator": {"body": dict},
    "mail": {"facts": dict},
    "outside_authority": {"crl": list, "uses": list},
    "registry_history": {"content": dict},
    "registry_proposal": {"body": dict},
    "route": {"agencies": list, "hours": list, "outside": list, "when": dict},
    "system": {"endpoint": dict, "formats": dict, "versions": dict},
    "transfer": {"receipt": dict},
    "vault_hold": {"transfers": list},
}
T = TypeVar("T")


class Malformed(NamedTuple):
    """One row; `rowid` is SQLite's, by which it is set aside."""

    table: str
    row: str
    column: str
    what: str
    rowid: int | None

    def __str__(self) -> str:
        return f"table {self.table}, row {self.row}: its column {self.column} holds {self.what}"


def malformed(connection: Connection) -> list[Malformed]:
    """All rows with a value that is not of its column's form. Columns that are gone are left to the schema's check."""
    found: list[Malformed] = []
    there = inspect(connection)
    for table in tables.metadata.tables.values():
        if not there.has_table(table.name):
            continue
        columns = {each["name"] for each in there.get_columns(table.name)} & set(table.c.keys())
        if connection.dialect.name == "sqlite":
            found += _stored(connection, table, columns)
            found += _undecodable(connection, table, columns)
        found += _contents(connection, table, columns)
    return found


def gone(connection: Connection) -> Iterator[str]:
    """Findings about columns that are missing; SQLite's text of a table names the table alone."""
    there = inspect(connection)
    for table in tables.metadata.tables.values():
        columns = {each["name"] for each in there.get_columns(table.name)} if there.has_table(table.name) else set()
        for name in table.c.keys() if columns else ():
            if name not in columns and f"column {table.name}.{name}" not in LEAVING:
                yield f"table {table.name}: its column {name} is missing"


def texts(found: Sequence[Malformed]) -> Iterator[str]:
    """The findings, some of each table."""
    count: dict[str, int] = {}
    for each in found:
        count[each.table] = count.get(each.table, 0) + 1
        if count[each.table] <= MOST:
            yield str(each)
    for table, number in count.items():
        if number > MOST:
            yield f"table {table}: {number - MOST} further malformed values"


# --- what is malformed ------------------------------------------------------------------------------------------------
def _stored(connection: Connection, table: Table, columns: set[str]) -> Iterator[Malformed]:
    """By the types that SQLite stored, which it tells without reading the values."""
    for column in (each for each in table.c if each.name in columns):
        kind, name = column.type.python_type, _quoted(column.name)
        allowed = ", ".join(f"'{each}'" for each in (*_STORED[kind], *(("null",) if column.nullable else ())))
        wrong = f"typeof({name}) NOT IN ({allowed})"
        if kind is float:
            wrong += f" OR typeof({name}) IN ('real', 'integer') AND {name} NOT BETWEEN -{LATEST} AND {LATEST}"
        elif kind is bool:
            wrong += f" OR typeof({name}) = 'integer' AND {name} NOT IN (0, 1)"
        keys = ", ".join(f"CAST({_quoted(each.name)} AS BLOB)" for each in table.primary_key if each.name in columns)
        read = f"rowid, typeof({name}){', ' if keys else ''}{keys}"
        query = f"SELECT {read} FROM {_quoted(table.name)} WHERE {wrong}"
        for rowid, stored, *key in connection.exec_driver_sql(query):
            out = stored in _STORED[kind]
            what = f"{stored}, and is {_WORDS[kind]}" if not out else "a number out of range"
            yield Malformed(table.name, _named(rowid, key), column.name, what, rowid)


def _undecodable(connection: Connection, table: Table, columns: set[str]) -> Iterator[Malformed]:
    """Text that is not UTF-8. One string a row is decoded; a row with a fault is looked at value by value."""
    names = [_quoted(each.name) for each in table.c if each.name in columns and each.type.python_type is str]
    if not names:
        return
    joined = " || char(10) || ".join(f"CASE typeof({name}) WHEN 'text' THEN {name} ELSE '' END" for name in names)
    raw = connection.connection.cursor()
    try:
        for _ in raw.execute(f"SELECT {joined} FROM {_quoted(table.name)}"):
            pass
        return
    except Exception as trouble:
        if not str(trouble).startswith(_OF_DATA):
            raise
    keys = [f"CAST({_quoted(each.name)} AS BLOB)" for each in table.primary_key if each.name in columns]
    values = [f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) END" for name in names]
    query = f"SELECT rowid, {', '.join((*values, *keys))} FROM {_quoted(table.name)}"
    for rowid, *row in raw.execute(query):
        for name, value in zip(names, row, strict=False):
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                yield Malformed(
                    table.name, _named(rowid, row[len(names) :]), name.strip('"'), "text that is not UTF-8", rowid
                )


def _contents(connection: Connection, table: Table, columns: set[str]) -> Iterator[Malformed]:
    """JSON that is none, or of another kind than its column has. SQLite gives bytes, whatever is stored."""
    sqlite = connection.dialect.name == "sqlite"
    keys = [each for each in table.primary_key if each.name in columns]
    for column, kind in JSON.get(table.name, {}).items():
        if column not in columns:
            continue
        read: list[Any] = [cast(each, LargeBinary) if sqlite else each for each in (table.c[column], *keys)]
        query = select(literal_column("rowid" if sqlite else "0"), *read).where(table.c[column].is_not(None))
        for rowid, value, *key in connection.execute(query.select_from(table)):
            try:
                well = isinstance(json.loads(value.decode() if sqlite else value), kind)
            except UnicodeDecodeError:  # `_undecodable` names it
                continue
            except (ValueError, RecursionError):
                well = False
            if not well:
                what = f"text that is not a JSON {'object' if kind is dict else 'list'}"
                yield Malformed(table.name, _named(rowid, key), column, what, rowid if sqlite else None)


def _named(rowid: int, key: Sequence[Any]) -> str:
    """The primary key as text, in printable ASCII where it is not text."""
    parts = []
    for each in key:
        raw = each if isinstance(each, bytes) else str(each).encode()
        text = raw.decode("utf-8", "backslashreplace")
        parts.append((text if text.isprintable() else raw.hex())[:_SHOWN])
    return " ".join(parts) or f"number {rowid}"


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- what the checks see ----------------------------------------------------------------------------------------------
def set_aside(engine: Engine, found: Iterable[Malformed]) -> None:
    """Each further connection of the engine sees the tables without these rows."""
    rows: dict[str, set[int]] = {}
    for each in found:
        if each.rowid is not None:
            rows.setdefault(each.table, set()).add(each.rowid)

    def hide(connection: Any, _record: object) -> None:
        for table, numbers in rows.items():
            listed = ", ".join(map(str, sorted(numbers)))
            name = _quoted(table)
            rest = f"SELECT * FROM main.{name} WHERE rowid NOT IN ({listed})"
            connection.execute(f"CREATE TEMPORARY VIEW {name} AS {rest}")

    if rows:
        engine.dispose()  # what is open already shows them
        event.listen(engine, "connect", hide)


# --- one check --------------------------------------------------------------------------------------------------------
def guarded(
    connection: Connection | None, what: str, add: Callable[[str], object], check: Callable[[], T], otherwise: T
) -> T:
    """What the check gives, or `otherwise` and a finding where it cannot read what is stored.

    `connection`: the one of whose transaction further checks are part.
    """
    shared = connection is not None and connection.dialect.name == "postgresql"  # a failure ends its transaction
    savepoint = connection.begin_nested() if connection is not None and shared else nullcontext()
    try:
        with savepoint:
            return check()
    except SQLAlchemyError as trouble:
        if not _comes_of_data(trouble):
            raise
        reason = str(getattr(trouble, "orig", trouble)).partition("\n")[0]
    except Failure as trouble:
        if isinstance(trouble, Ours):
            raise
        reason = f"{trouble.code} {trouble.what('en')}"
    except _NOT_READ as trouble:
        reason = f"{type(trouble).__name__} {str(trouble).partition(chr(10))[0]}"
    add(f"{what}: cannot be read, so the check ended there: {reason[:200]}")
    return otherwise


def _comes_of_data(trouble: SQLAlchemyError) -> bool:
    """Whether it comes of what is stored."""
    if not isinstance(trouble, DBAPIError):
        return True
    if isinstance(trouble, OperationalError | InternalError):
        return str(trouble.orig).startswith(_OF_DATA)
    return isinstance(trouble, ProgrammingError) or not trouble.connection_invalidated

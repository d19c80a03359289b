"""What an insider changes: one value of one row, to what another row has, to what comes next, to what an honest program
might have written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, select

from gateway.journal.schema import tables
from tests.attacks.audit.whole import Whole

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """What the insider sees before he changes something."""

    whole: Whole
    connection: Connection

    def table(self, name: str) -> Table:
        return tables.metadata.tables[name]

    def rows(self, table: str) -> list[Row]:
        found = self.table(table)
        order = list(found.primary_key.columns)
        return [dict(row) for row in self.connection.execute(select(found).order_by(*order)).mappings()]

    def row(self, table: str, **wanted: Any) -> Row:
        return next(row for row in self.rows(table) if all(row[name] == value for name, value in wanted.items()))


Pick = Callable[[Look, str], Row]
Value = Callable[[Look, str, str, Row], Any]


@dataclass(frozen=True)
class Column:
    """`named`: what a finding must hold, with the row's own values in braces. `part` tells the keys of `instance`
    apart."""

    table: str
    name: str
    check: str = ""
    pick: Pick | None = None
    value: Value | None = None
    named: str = ""
    why: str = ""
    part: str = ""

    @property
    def key(self) -> str:
        return f"{self.table}.{self.name}" + (f" ({self.part})" if self.part else "")

    @property
    def exempt(self) -> bool:
        return not self.check


@dataclass
class Planned:
    """One change: of the row that `where` finds, and how it is taken back."""

    table: Table
    row: Row
    column: str
    value: Any
    where: dict[str, Any] = field(init=False)
    after: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.where = {each.name: self.row[each.name] for each in self.table.primary_key.columns}
        self.after = self.where | ({self.column: self.value} if self.column in self.where else {})


# --- which row --------------------------------------------------------------------------------------------------------
def nth(number: int = 0) -> Pick:
    return lambda look, table: look.rows(table)[number]


def where(**wanted: Any) -> Pick:
    return lambda look, table: look.row(table, **wanted)


def of(name: str, **wanted: Any) -> Pick:
    """The row of the transfer that the instance knows under this name."""

    def pick(look: Look, table: str) -> Row:
        column = "id" if table == "transfer" else "transfer"
        return look.row(table, **{column: look.whole.made[name]}, **wanted)

    return pick


def part(name: str, of: str) -> Pick:
    """A body in the vault."""
    return lambda look, table: look.row(table, id=f"{look.whole.made[of]}/{name}")


# --- which value ------------------------------------------------------------------------------------------------------
def to(value: Any) -> Value:
    return lambda look, table, column, row: value


def plus(number: float) -> Value:
    return lambda look, table, column, row: row[column] + number


def like(pick: Pick) -> Value:
    """What another row has."""
    return lambda look, table, column, row: pick(look, table)[column]


def other(look: Look, table: str, column: str, row: Row) -> Any:
    """What the next row has that has another value."""
    rows = look.rows(table)
    at = rows.index(row)
    return next(each[column] for each in (*rows[at + 1 :], *rows[:at]) if each[column] not in (row[column], None))


def made(change: Callable[[Any], Any]) -> Value:
    return lambda look, table, column, row: change(row[column])


def now(look: Look, table: str, column: str, row: Row) -> float:
    return look.whole.now


def plus_one(look: Look, table: str, column: str, row: Row) -> str:
    return str(int(row[column]) + 1)


def later(text: str, digits: int = 1) -> str:
    """An id as the next one might be."""
    return text[:-digits] + format((int(text[-digits:], 16) + 1) % 16**digits, f"0{digits}x")


def json_with(**values: Any) -> Value:
    return made(lambda text: json.dumps(json.loads(text) | values, ensure_ascii=False))


def re_entered(raw: bytes) -> bytes:
    """An entry that says another time, in canonical form."""
    return raw.replace(b'"at":"2026-', b'"at":"2025-', 1)


def swapped_hashes(raw: bytes) -> bytes:
    return raw[32:64] + raw[:32] + raw[64:]


def another(look: Look, table: str, column: str, row: Row) -> Any:
    """What another entry has there, so that a search finds this one under it, or not at all."""
    found = [each[column] for each in look.rows(table) if each[column] != row[column]]
    return found[0] if found else 12

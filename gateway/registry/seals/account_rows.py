"""The rows by which people sign in, as far as they count (`gateway.registry.seals.accounts`), and changes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, insert, select, update

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.journal.append import append
from gateway.journal.database import snapshot, writing
from gateway.journal.schema import tables
from gateway.journal.values import locked_value_of
from gateway.journal.write import LogRow
from gateway.registry.errors import ACCOUNTS_ALTERED, ACCOUNTS_BY_TOKEN
from gateway.registry.seals.accounts import (
    ADOPTED,
    FACT,
    KEY,
    PHASES,
    REPAIRED,
    TABLES,
    Head,
    Seal,
    digest_of,
    key_of,
    proved,
    stored_rows,
    told,
)
from gateway.registry.seals.mark import Seen
from gateway.registry.seals.rows import Misfit, Rows, misfits
from security.transparency import entry as form

MOST: Final = 200  # rows that an entry names
NAMED: Final = 5
_KEPT: Final = ("console_account", "console_passkey")  # by a restore


@dataclass(slots=True)
class SealedRows:
    """The rows that count, at one moment of the database."""

    connection: Connection
    seal: Seal
    head: Head | Misfit

    def __post_init__(self) -> None:
        if isinstance(self.head, Misfit):
            self.seal.tell(self.head)

    def counts(self, table: Table, row: Any) -> bool:
        """Whether the map has this row as it is."""
        if isinstance(self.head, Misfit):
            return False
        values = row._mapping
        key = key_of(table, values)
        known = self.head.rows.get(table.name, {}).get(key)
        if known == digest_of(table, values):
            return True
        self.seal.tell(Misfit(table.name, key, "added" if known is None else "altered"))
        return False

    def first(self, table: Table, *where: ColumnElement[bool]) -> Any:
        """The row, all columns; None if there is none that counts."""
        return next(iter(self.all(table, *where)), None)

    def all(self, table: Table, *where: ColumnElement[bool]) -> list[Any]:
        found = self.connection.execute(select(*table.c).where(*where))
        return [row for row in found if self.counts(table, row)]


@dataclass(slots=True)
class Change(SealedRows):
    """A change in progress, at a time and by somebody. Its notes become entries; the last one has the new tag.

    The map gets digests of what is written here, not of what the database returns.
    Invariant: a token never becomes a person: what a token asks for may end rows, and adds none. Whatever gives an
      account more asks `check_person`.
    """

    now: float
    actor: str
    by_token: bool = False
    rows: dict[str, dict[str, str]] = field(init=False)
    moved: bool = False
    notes: list[tuple[str, Mapping[str, Any], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        SealedRows.__post_init__(self)
        self.rows = {} if isinstance(self.head, Misfit) else {name: dict(each) for name, each in self.head.rows.items()}
        if isinstance(self.head, Head):
            self.head = self.head._replace(rows=self.rows)

    def note(self, what: str, facts: Mapping[str, Any], actor: str | None = None) -> None:
        assert what in PHASES
        self.notes.append((what, facts, self.actor if actor is None else actor))

    def check_person(self) -> None:
        """Raises `accounts.by-token`."""
        if self.by_token:
            raise ACCOUNTS_BY_TOKEN()

    def add(self, table: Table, values: Mapping[str, Any]) -> None:
        """Insert a row; one with its key that does not count goes. Raises `accounts.altered`, `accounts.by-token`."""
        self.check_person()
        self._begin()
        (column,) = table.primary_key.columns
        self.connection.execute(delete(table).where(column == values[column.name]))
        self.connection.execute(insert(table).values(**values))
        self.rows.setdefault(table.name, {})[key_of(table, values)] = digest_of(table, values)

    def alter(self, table: Table, row: Any, values: Mapping[str, Any]) -> None:
        """Change columns of a row that counts. Raises `accounts.altered`."""
        self._begin()
        (column,) = table.primary_key.columns
        after = {**row._mapping, **values}
        self.connection.execute(update(table).where(column == after[column.name]).values(**values))
        self.rows[table.name][key_of(table, after)] = digest_of(table, after)

    def keys(self, table: Table, account: str) -> list[str]:
        """The keys of an account's rows in the map, whether or not the database has them."""
        begin = f"{account} "
        return [key.removeprefix(begin) for key in self.rows.get(table.name, {}) if key.startswith(begin)]

    def remove(self, table: Table, account: str, key: str) -> bool:
        """Delete a row of an account, from the map also if it is hidden; whether the map had it."""
        (column,) = table.primary_key.columns
        if self.rows.get(table.name, {}).get(name := f"{account} {key}") is None:
            return False
        self._begin()
        del self.rows[table.name][name]
        self.connection.execute(delete(table).where(column == key, table.c.account == account))
        return True

    def expire(self, table: Table) -> None:
        """Delete what has expired."""
        for row in self.all(table, table.c.expires < self.now):
            (key,) = (row._mapping[column.name] for column in table.primary_key.columns)
            self.remove(table, row.account, key)

    def _begin(self) -> None:
        if isinstance(self.head, Misfit):
            raise altered([self.head])
        self.moved = True


def altered(differing: Sequence[Misfit]) -> Ours:
    """The failure that names the rows."""
    more = f", … (+{len(differing) - NAMED})" if len(differing) > NAMED else ""
    return ACCOUNTS_ALTERED(rows=", ".join(map(str, differing[:NAMED])) + more, count=len(differing))


@contextmanager
def reading(engine: Engine, seal: Seal) -> Iterator[SealedRows]:
    """One moment of the database."""
    seen = seal.seen()
    with snapshot(engine) as connection:
        yield SealedRows(connection, seal, seal.head(connection, seen))


@contextmanager
def changing(engine: Engine, seal: Seal, now: float, actor: str, *, by_token: bool = False) -> Iterator[Change]:
    """A writing transaction. A block that changes rows must call `note`.

    If the map is not valid, the block sees no rows, and its first write raises `accounts.altered`.
    """
    lifted: Seen | None = None
    with writing(engine) as connection:
        locked_value_of(connection, KEY)
        head = _begun(connection, seal, now)
        change = Change(connection, seal, head, now, actor, by_token)
        yield change
        if change.moved:
            assert isinstance(head, Head)
            if not change.notes:
                raise RuntimeError("accounts were changed and the log not told")
            lifted, facts = seal.store(connection, head.revision + 1, change.rows)
            what, own, by = change.notes[-1]
            change.notes[-1] = what, {**own, FACT: facts}, by
        append(connection, [_note(what, facts, now, by) for what, facts, by in change.notes])
    if lifted is not None:
        seal.mark.lift(lifted)


def adopt(engine: Engine, seal: Seal, now: float) -> None:
    """Begin the map of an instance that never had one. Raises `accounts.altered` if it is missing or invalid."""
    with writing(engine) as connection:
        head = _begun(connection, seal, now)
    if isinstance(head, Misfit):
        seal.tell(head)


def _begun(connection: Connection, seal: Seal, now: float) -> Head | Misfit:
    """The map in force; of an instance that never had one, a new one with the rows as they are."""
    seen = seal.seen()
    head = seal.head(connection, seen)
    if isinstance(head, Head) or not seal.never(connection, seen):
        return head
    rows = stored_rows(connection)
    _, facts = seal.store(connection, 1 if rows else 0, rows)
    if rows:
        account = tables.console_account.c
        found = connection.execute(select(account.id, account.roles, account.state).order_by(account.id))
        listed = [{"account": row.id, "roles": json.loads(row.roles), "state": row.state} for row in found]
        own = {"count": len(listed), "adopted": listed[:MOST], FACT: facts}
        append(connection, [_note(ADOPTED, own, now, "gateway")])
    return Head(facts["revision"], facts["digest"], facts["seal"], rows)


def repair(engine: Engine, seal: Seal, facts: Mapping[str, Any], now: float, actor: str) -> list[Misfit]:
    """Delete the rows that differ from the map, and begin a new one; returns what differed.

    `facts` are for the entry. Of an invalid map nothing is known, so all rows go.
    """
    with writing(engine) as connection:
        locked_value_of(connection, KEY)
        seen = seal.seen()
        head = seal.head(connection, seen)
        rows = head.rows if isinstance(head, Head) else {}
        differing = ([head] if isinstance(head, Misfit) else []) + misfits(rows, stored_rows(connection))
        if not differing:
            return []
        for table in TABLES:
            for row in connection.execute(select(*table.c)).all():
                if rows.get(table.name, {}).get(key_of(table, row._mapping)) != digest_of(table, row._mapping):
                    (column,) = table.primary_key.columns
                    connection.execute(delete(table).where(column == row._mapping[column.name]))
        numbers = [each["revision"] for each in told(connection) if proved(seal, each)]
        numbers += [each.revision for each in (head, seen) if not isinstance(each, Misfit | None)]
        lifted, own = seal.store(connection, max(numbers, default=0) + 1, stored_rows(connection))
        named = {"count": len(differing), "differed": [str(each) for each in differing[:MOST]]}
        append(connection, [_note(REPAIRED, {**facts, **named, FACT: own}, now, actor)])
    if isinstance(seen, Misfit):
        seal.mark.path.unlink(missing_ok=True)
    seal.mark.lift(lifted)
    return differing


def carry_over(connection: Connection, before: Seal, seal: Seal) -> tuple[Seen, dict[str, Any]]:
    """The first map of a restored instance; returns what the mark and the restore's entry say of it.

    It has the accounts and passkeys of the map that was backed up. Without a valid one it has none.
    """
    head = before.head(connection, None, lift=False)
    if isinstance(head, Head):
        rows: Rows = {name: each for name, each in head.rows.items() if name in _KEPT}
        return seal.store(connection, head.revision + 1, rows)
    return seal.store(connection, 1, stored_rows(connection) if before.never(connection, None) else {})


def _note(what: str, facts: Mapping[str, Any], now: float, actor: str) -> LogRow:
    return LogRow(*form.freeze(form.Note(new_id(int(now * 1000)), now, what, actor, facts)))

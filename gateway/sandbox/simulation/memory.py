"""What a simulated system keeps: messages by the business key under which a query of the contract asks for them.

The key of a query are its required fields that the kept message has too (`echoes`). A message whose contract declares a
list as the place of its keys (`identity`) is kept item by item. The newest of one key is the one that is found.

What a tenant of the sandbox tells is kept for this tenant alone, until it resets its data. It finds its own, else what
the province told.
Invariant: nobody else finds what a tenant told.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.canonical.model import Array, Operation, Pattern, Struct
from contracts.compiled.contract import CompiledContract
from contracts.compiled.identity import joined
from contracts.wire.jsontext import read_json, write_json
from gateway.sandbox.simulation.echoes import Pairs, pairs, value_at

_MOST: Final = 100_000  # messages; the oldest go
_TABLE: Final = """
create table if not exists told(
    id integer primary key, whose text not null, contract text not null, query text not null, told text not null,
    key text not null, message blob not null, at real not null, unique(whose, contract, query, told, key)
)
"""
Since = Callable[[str], float]  # when a tenant reset its data last, in Unix seconds


class Question(NamedTuple):
    """How one query finds what one operation told. `items`: the list whose items are kept; empty for the message."""

    query: Operation
    kept: Struct
    items: str
    key: Pairs  # field of the query, field of what is kept


@lru_cache(maxsize=256)
def questions(compiled: CompiledContract, operation: str) -> tuple[Question, ...]:
    """The queries of the contract that ask for messages of this operation."""
    told = compiled.contract.operations[operation]
    message = compiled.messages[told.request]
    items = told.identity.items.removesuffix("[]") if told.identity is not None else ""
    field = message.field(items) if items else None
    inner = field.type.items if field is not None and isinstance(field.type, Array) else None
    kept = inner if isinstance(inner, Struct) else message
    found = []
    for query in compiled.contract.operations.values():
        if query.pattern is Pattern.QUERY:
            asked = compiled.messages[query.request]
            key = tuple(each for each in pairs(asked, kept) if _required(asked, each[0][0]))
            if key:
                found.append(Question(query, kept, items if kept is inner else "", key))
    return tuple(found)


def _required(struct: Struct, name: str) -> bool:
    field = struct.field(name)
    return field is not None and field.required


class Memory:
    """In a file, or in this process alone. Threads may share it. `whose` is a tenant; empty: the province."""

    def __init__(self, file: Path | None = None, since: Since = lambda _whose: 0.0) -> None:
        self._since = since
        self._base = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._base.executescript(_TABLE)

    def keep(self, compiled: CompiledContract, told: Operation, message: dict[str, Any], whose: str = "") -> int:
        """Keeps a message for the queries that ask for it. Returns how many entries it made."""
        rows = [(whose, *row, time.time()) for row in self._rows(compiled, told, message)]
        with self._lock:
            self._base.executemany(
                "insert or replace into told(whose, contract, query, told, key, message, at) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._base.execute("delete from told where id <= (select max(id) from told) - ?", (_MOST,))
        return len(rows)

    def find(
        self, compiled: CompiledContract, query: Operation, asked: dict[str, Any], whose: str = ""
    ) -> tuple[Struct, dict[str, Any]] | None:
        """What was told under the key of this question, and its type; None if nothing was."""
        own = self._find(compiled, query, asked, (whose, self._since(whose))) if whose else None
        return own if own is not None else self._find(compiled, query, asked, ("", 0.0))

    def _find(
        self, compiled: CompiledContract, query: Operation, asked: dict[str, Any], scope: tuple[str, float]
    ) -> tuple[Struct, dict[str, Any]] | None:
        name = compiled.contract.name
        for told in compiled.contract.operations.values():
            for question in questions(compiled, told.name):
                if question.query.name != query.name:
                    continue
                key = joined([_text(value_at(asked, path)) for path, _ in question.key])
                with self._lock:
                    row = self._base.execute(
                        "select message from told "
                        "where whose = ? and at >= ? and contract = ? and query = ? and told = ? and key = ?",
                        (*scope, name, query.name, told.name, key),
                    ).fetchone()
                if row is not None:
                    return question.kept, read_json(row[0])
        return None

    def close(self) -> None:
        self._base.close()

    def _rows(
        self, compiled: CompiledContract, told: Operation, message: dict[str, Any]
    ) -> Iterator[tuple[str, str, str, str, bytes]]:
        for question in questions(compiled, told.name):
            for each in message.get(question.items, ()) if question.items else (message,):
                parts = [_text(value_at(each, path)) for _, path in question.key]
                if all(parts):
                    name = compiled.contract.name
                    yield name, question.query.name, told.name, joined(parts), write_json(each)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)

"""Keeps every version of every row that the log seals: table `registry_history`.

A version holds from its revision up to `until`, the revision of the next version of the same row. A deleted row is a
version without content. Each version names the log entry that has its digest.
Invariant: versions are written in the transaction of the change, by `gateway.registry.seals.sealing` alone.
Invariant: a version is never changed or deleted; only its `until` is set, once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, insert, or_, select, update

from gateway.journal.schema import tables
from gateway.registry.seals.rows import Rows, changed, digest_of_text, digests

LONGEST: Final = 200  # characters of a value in a log entry; of a longer one the entry has a keyed digest
# Never in the log, which holds no personal data: (table, column).
PERSONAL: Final = frozenset(
    {
        ("agency", "contact"),
        ("system", "contact"),
        ("officer", "name_vi"),
        ("officer", "name_en"),
        ("person", "name_vi"),
        ("person", "name_en"),
    }
)
_table: Final = tables.registry_history
Json = Any


class Act(NamedTuple):
    """The log entry of a change, and the revision that it makes."""

    revision: int
    at: float
    what: str
    actor: str
    entry: str


def begun(connection: Connection) -> bool:
    return connection.execute(select(_table.c.revision).limit(1)).first() is not None


def write(connection: Connection, present: Rows, act: Act) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """Add a version of each row whose content differs from its newest version; returns old and new contents.

    `present` has the canonical forms of all present rows.
    """
    newest: dict[str, dict[str, str]] = {}
    query = select(_table.c.of_table, _table.c.key, _table.c.digest)
    for table, key, digest in connection.execute(query.where(_table.c.until.is_(None), _table.c.digest.is_not(None))):
        newest.setdefault(table, {})[key] = digest
    written: dict[tuple[str, str], tuple[str | None, str | None]] = {}
    added: list[dict[str, Any]] = []
    for table, of_table in changed(newest, digests(present)).items():
        for key, digest in of_table.items():
            content = present[table][key] if digest is not None else None
            last = (_table.c.of_table == table, _table.c.key == key, _table.c.until.is_(None))
            before = connection.execute(select(_table.c.content).where(*last)).first() if newest else None
            if before is not None:
                connection.execute(update(_table).where(*last).values(until=act.revision))
            written[table, key] = (before.content if before is not None else None, content)
            version = {"of_table": table, "key": key, "revision": act.revision, "content": content, "digest": digest}
            added.append(version | {"since": act.at, "what": act.what, "actor": act.actor, "entry": act.entry})
    if added:
        connection.execute(insert(_table), added)
    return written


def contents_at(connection: Connection, revision: int) -> dict[str, dict[str, str]]:
    """Table -> key -> canonical form of the rows of a revision."""
    held: dict[str, dict[str, str]] = {}
    query = select(_table.c.of_table, _table.c.key, _table.c.content).where(
        _table.c.revision <= revision,
        or_(_table.c.until.is_(None), _table.c.until > revision),
        _table.c.content.is_not(None),
    )
    for table, key, content in connection.execute(query):
        held.setdefault(table, {})[key] = content
    return held


def differences(table: str, old: str | None, new: str | None, mark: Callable[[str], str]) -> dict[str, list[Json]]:
    """Field -> [old value, new value] of two versions of a row, for the log.

    A column with a JSON object counts as one field for each member: `body.fields`. Of a long or personal value there is
    the digest that `mark` makes.
    """
    before, after = _fields(old), _fields(new)

    def shown(name: str, value: Json) -> Json:
        text = json.dumps(value, ensure_ascii=False)
        if value is None or len(text) <= LONGEST and (table, name.partition(".")[0]) not in PERSONAL:
            return json.loads(text, parse_float=str)  # entries have no floats
        return {"digest": mark(text), "size": len(text)}

    return {
        name: [shown(name, before.get(name)), shown(name, after.get(name))]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def _fields(content: str | None) -> dict[str, Json]:
    fields: dict[str, Json] = {}
    row: Mapping[str, Json] = json.loads(content) if content is not None else {}
    for name, value in row.items():
        inner = _members(value)
        if inner:
            fields |= {f"{name}.{member}": each for member, each in inner.items()}
        elif value is not None:
            fields[name] = value
    return fields


def _members(value: Json) -> dict[str, Json]:
    """The members of a JSON object in a text; none for anything else."""
    if not isinstance(value, str) or not value.startswith("{"):
        return {}
    try:
        parsed = json.loads(value)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def sound(content: str | None, digest: str | None) -> bool:
    """Whether a version's digest is that of its content."""
    return digest == (None if content is None else digest_of_text(content))

"""Compares the history of the registry with the entries of its changes, in all logs that the database has.

The entries are replayed in order of the revision, and so are the versions of rows. At each revision whose entry tells
of a history, the versions in force must have the digests that the entries give. So a version that was edited, removed
or added is found, and so is a change without a version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.seals.history import sound
from gateway.registry.seals.rows import misfits, rows
from gateway.registry.seals.sealing import PART, PHASES

_PAGE: Final = 1000
_Key = tuple[str, str]  # table and key of a row


class _Entry(NamedTuple):
    id: str
    at: str
    what: str
    actor: str
    revision: int
    whole: bool
    tells: bool  # of the history
    rows: Mapping[_Key, str | None]


def check_history(connection: Connection, wrong: list[str]) -> int:
    """Adds findings to `wrong`; returns the number of versions."""
    entries = _entries(connection)
    replay = _Replay(wrong)
    versions = _versions(connection)
    version = next(versions, None)
    for entry in entries:
        replay.enter(entry)
        while version is not None and version.revision <= entry.revision:
            replay.take(version, entry if entry.tells else None)
            version = next(versions, None)
        if entry.tells:
            replay.compare(entry.revision)
    while version is not None:
        replay.take(version, None)
        version = next(versions, None)
    replay.end()
    if entries and entries[-1].tells:
        wrong += [
            f"the registry, {each.table} {each.key}: {each.how}, as against its newest version in the history"
            for each in misfits(replay.newest(), rows(connection))
        ]
    return replay.count


class _Replay:
    """What the log says that the rows are, and what the history says."""

    def __init__(self, wrong: list[str]) -> None:
        self.count = 0
        self._wrong: Final = wrong
        self._logged: dict[_Key, str] = {}
        self._kept: dict[_Key, str] = {}
        self._last: dict[_Key, Any] = {}
        self._touched: set[_Key] = set()

    def enter(self, entry: _Entry) -> None:
        if entry.whole:
            self._touched |= self._logged.keys()
            self._logged = {}
        _apply(self._logged, entry.rows.items())
        self._touched |= entry.rows.keys()

    def take(self, version: Any, entry: _Entry | None) -> None:
        """The next version; `entry` is that of its revision or of a later one."""
        self.count += 1
        key = (version.of_table, version.key)
        name = f"the registry's history, {version.of_table} {version.key} of revision {version.revision}"
        if entry is None or entry.revision != version.revision:
            self._wrong.append(f"{name}: no entry of the log tells of it")
        elif (version.entry, rfc3339(version.since), version.what, version.actor) != entry[:4]:
            self._wrong.append(f"{name}: entry, time, kind or actor are not those of the log")
        if not sound(version.content, version.digest):
            self._wrong.append(f"{name}: its content is not what its digest says")
        before = self._last.get(key)
        if before is not None and before.until != version.revision:
            self._wrong.append(_ends(before, version.revision))
        self._last[key] = version
        _apply(self._kept, [(key, version.digest)])
        self._touched.add(key)

    def compare(self, revision: int) -> None:
        for table, key in sorted(self._touched):
            logged, kept = self._logged.get((table, key)), self._kept.get((table, key))
            if logged != kept:
                how = "missing" if kept is None else "added" if logged is None else "altered"
                self._wrong.append(f"the registry's history, {table} {key} of revision {revision}: {how}")
        self._touched = set()

    def end(self) -> None:
        self._wrong.extend(_ends(each, None) for each in self._last.values() if each.until is not None)

    def newest(self) -> dict[str, dict[str, str]]:
        by_table: dict[str, dict[str, str]] = {}
        for (table, key), digest in self._kept.items():
            by_table.setdefault(table, {})[key] = digest
        return by_table


def _ends(version: Any, next_one: int | None) -> str:
    found = f"{version.of_table} {version.key} of revision {version.revision}"
    return f"the registry's history, {found}: it ends at {version.until}, its next version is {next_one or 'none'}"


def _apply(state: dict[_Key, str], rows: Any) -> None:
    for key, digest in rows:
        if digest is None:
            state.pop(key, None)
        else:
            state[key] = digest


def _entries(connection: Connection) -> list[_Entry]:
    """The entries of changes, in order of the revision."""
    parts: dict[str, dict[_Key, str | None]] = {}
    found: list[_Entry] = []
    for table in tables.LOGS:
        query = select(table.c.transfer, table.c.phase, table.c.entry).where(table.c.phase.in_((*PHASES, PART)))
        for id, phase, raw in connection.execute(query):
            value = parse(bytes(raw))
            facts = value.get("facts")
            if not isinstance(facts, dict):
                continue
            if phase == PART:
                parts.setdefault(str(facts.get("entry")), {}).update(_flat(facts.get("rows")))
                continue
            own = facts.get("registry")
            if not isinstance(own, dict) or not isinstance(own.get("revision"), int):
                continue
            head = (id, str(value.get("at")), phase, str(value.get("actor")))
            about = (own["revision"], bool(own.get("whole")), bool(own.get("history")))
            found.append(_Entry(*head, *about, _flat(own.get("rows"))))
    whole = [each._replace(rows={**parts.get(each.id, {}), **each.rows}) for each in found]
    return sorted(whole, key=lambda each: each.revision)


def _flat(by_table: Any) -> dict[_Key, str | None]:
    if not isinstance(by_table, dict):
        return {}
    return {
        (table, key): digest
        for table, of_table in by_table.items()
        if isinstance(of_table, dict)
        for key, digest in of_table.items()
    }


def _versions(connection: Connection) -> Iterator[Any]:
    table = tables.registry_history
    query = select(table).order_by(table.c.revision, table.c.of_table, table.c.key)
    return iter(connection.execute(query.execution_options(yield_per=_PAGE)))

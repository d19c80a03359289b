"""Changes of the mapping tables in systems/<format>.yaml, row by row.

A row is identified by its canonical field, or by its place without one, and its condition. A foreign format belongs to
a running system: a place that moved or went, and a value in another form, is breaking. A new place for a field is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from contracts.canonical.places import Places
from contracts.diff.changes import Changes, Level
from contracts.diff.sides import Version
from contracts.folder.source_locations import Path

_WORDS_ONLY: Final = {"title"}
_LISTS: Final = {"rows", "drops", "ignores"}
Row = Mapping[str, Any]


def compare_mappings(old: Version, new: Version, changes: Changes) -> None:
    """Adds the changes of all formats."""
    before, after = _tables(old), _tables(new)
    for name, file in before.items():
        if name not in after:
            changes.add("format.removed", Level.MAJOR, name, (file, 1, "old"))
        else:
            _Format(old, new, name, file, changes).compare()
    for name, file in after.items():
        if name not in before:
            changes.add("format.added", Level.MINOR, name, (file, 1, "new"))


def _tables(version: Version) -> dict[str, str]:
    return {
        path.removeprefix("systems/").removesuffix(".yaml"): path
        for path in version.documents
        if path.startswith("systems/")
    }


class _Format:
    def __init__(self, old: Version, new: Version, name: str, file: str, changes: Changes) -> None:
        self._old, self._new, self._name, self._file, self._changes = old, new, name, file, changes
        self._before: Mapping[str, Any] = old.documents[file].value
        self._after: Mapping[str, Any] = new.documents[file].value

    def compare(self) -> None:
        self._head(self._before, self._after, (), {"messages", "operations", *_WORDS_ONLY})
        self._head(self._before.get("operations") or {}, self._after.get("operations") or {}, ("operations",), set())
        before, after = self._before["messages"], self._after["messages"]
        for message in before:
            if message not in after:
                self._changes.add(
                    "mapping.message-removed", Level.MAJOR, self._where(message), self._at("old", ("messages", message))
                )
            else:
                self._message(message, before[message], after[message])
        for message in after:
            if message not in before and message in self._old.compiled.exchanged:
                self._changes.add(
                    "mapping.message-added", Level.MAJOR, self._where(message), self._at("new", ("messages", message))
                )

    def _head(self, before: Mapping[str, Any], after: Mapping[str, Any], at: Path, known: set[str]) -> None:
        """Compares single entries: media, namespaces, sheets, roots, addresses.

        Each difference makes another format. A further prefix does not: only those that are used are written.
        """
        for word in dict.fromkeys([*before, *after]):
            if word not in known and before.get(word) != after.get(word):
                side = "new" if word in after else "old"
                facts = {"what": word, "before": _shown(before.get(word)), "after": _shown(after.get(word))}
                further = (
                    word == "namespaces" and dict(before.get(word) or {}).items() <= dict(after.get(word) or {}).items()
                )
                self._changes.add(
                    "format.changed",
                    Level.MINOR if further else Level.MAJOR,
                    ".".join(map(str, (self._name, *at))),
                    self._at(side, (*at, word)),
                    **facts,
                )

    def _message(self, message: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        at: Path = ("messages", message)
        self._head(before, after, at, _LISTS)
        old_rows, new_rows = _rows(before), _rows(after)
        known = Places(self._old.compiled.messages[message])
        for key, (number, row) in old_rows.items():
            if key not in new_rows:
                self._changes.add(
                    "mapping.place-removed",
                    Level.MAJOR,
                    self._where(message, key),
                    self._at("old", (*at, "rows", number)),
                    before=_here(row),
                )
            else:
                self._row(self._where(message, key), row, new_rows[key][1], (*at, "rows", new_rows[key][0]))
        for key, (number, row) in new_rows.items():
            if key not in old_rows:
                # A place without a field is required in every message, and a field with another source before is
                # mapped differently: both break.
                fresh = bool(_canonical(row)) and all(
                    path not in known or _dropped(path, before) for path in _canonical(row)
                )
                self._changes.add(
                    "mapping.place-added",
                    Level.MINOR if fresh else Level.MAJOR,
                    self._where(message, key),
                    self._at("new", (*at, "rows", number)),
                    after=_here(row),
                )
        if self._after["format"] == "xml" and [each for each in old_rows if each in new_rows] != [
            each for each in new_rows if each in old_rows
        ]:
            self._changes.add(
                "mapping.order-changed", Level.MAJOR, self._where(message), self._at("new", (*at, "rows"))
            )
        self._names(message, "drops", before, after)
        self._names(message, "ignores", before, after)

    def _row(self, where: str, old: Row, new: Row, at: Path) -> None:
        if old == new:
            return
        moved = old.get("here") != new.get("here")
        if moved:
            self._changes.add(
                "mapping.place-moved", Level.MAJOR, where, self._at("new", at), before=_here(old), after=_here(new)
            )
        forms = [
            {word: value for word, value in row.items() if word not in ("canonical", "here")} for row in (old, new)
        ]
        if forms[0] != forms[1]:
            before, after = (_shown(each) for each in forms)
            level = Level.MINOR if _reads_more(*forms) else Level.MAJOR
            self._changes.add("mapping.row-changed", level, where, self._at("new", at), before=before, after=after)

    def _names(self, message: str, word: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Compares drops and ignores. A new ignore accepts more; a removed ignore refuses more."""
        for number, name in enumerate(after.get(word, ())):
            if name not in before.get(word, ()):
                code = "mapping.drop-added" if word == "drops" else "mapping.ignore-added"
                self._changes.add(
                    code, Level.MINOR, self._where(message, name), self._at("new", ("messages", message, word, number))
                )
        for number, name in enumerate(before.get(word, ()) if word == "ignores" else ()):
            if name not in after.get(word, ()):
                at = self._at("old", ("messages", message, word, number))
                self._changes.add("mapping.ignore-removed", Level.MAJOR, self._where(message, name), at)

    def _where(self, message: str, key: str = "") -> str:
        return f"{self._name}: {message}" + (f".{key}" if key else "")

    def _at(self, side: str, path: Path) -> tuple[str, int, Any]:
        return (self._new if side == "new" else self._old).at(self._file, path)


def _reads_more(old: Row, new: Row) -> bool:
    """Whether the new row only reads more: further words for a missing value, codes of other lists."""
    kept = [{word: value for word, value in row.items() if word not in ("missing", "others")} for row in (old, new)]
    before, after = old.get("missing") or [], new.get("missing") or []
    fewer = old.get("others", False) and not new.get("others", False)
    return kept[0] == kept[1] and not fewer and all(each in after for each in before)


def _canonical(row: Row) -> list[str]:
    """The canonical fields of a row; a split row has several."""
    named = row.get("canonical")
    return [] if named is None else named if isinstance(named, list) else [named]


def _dropped(path: str, message: Mapping[str, Any]) -> bool:
    """Whether the table drops a field, or the group that holds it, by name."""
    return any(path == each or path.startswith((each + ".", each + "[")) for each in message.get("drops", ()))


def _rows(message: Mapping[str, Any]) -> dict[str, tuple[int, Row]]:
    rows: dict[str, tuple[int, Row]] = {}
    for number, row in enumerate(message["rows"]):
        key = " + ".join(_canonical(row)) or _here(row)
        if "index" in row:
            key += " index"
        if "when" in row:
            key += f" when {_shown(row['when'])}"
        rows[key] = number, row
    return rows


def _here(row: Row) -> str:
    return _shown(row.get("here"))


def _shown(value: Any) -> str:
    if value is None or value == {}:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

"""Tells of the files beside a document: how large each is, when it came, and who has asked for it.

All of it is from the log: the note about the file, and the notes that are made before bytes of it leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.audit.search.search import Query, search
from gateway.journal.logged import entry_of, parse
from gateway.journal.schema import tables
from gateway.vault import opaque_bodies

MOST: Final = 500  # of the newest fetches of a transfer's files


class Fetch(NamedTuple):
    """Bytes `start` to `stop` of a file were asked for. `who`: "<agency>/<system>". `at`: RFC 3339."""

    at: str
    who: str
    start: int
    stop: int

    @property
    def agency(self) -> str:
        return self.who.partition("/")[0]

    @property
    def system(self) -> str:
        return self.who.partition("/")[2]


class File(NamedTuple):
    """`digest`: of its salt and itself, as the log has it. `fetches`: oldest first."""

    id: str
    size: int
    digest: str
    came: str
    fetches: tuple[Fetch, ...]

    def whole_at(self, system: str) -> str | None:
        """When that system had asked for all of it; None before."""
        reached = 0
        asked = [each for each in self.fetches if each.system == system]
        for each in sorted(asked, key=lambda one: one.start):
            if each.start > reached:
                break
            reached = max(reached, each.stop)
        return max(each.at for each in asked) if asked and reached >= self.size else None


def files_of(connection: Connection, transfer: str) -> list[File]:
    """The files that the document of this transfer names; without those that are no longer in the log."""
    use = tables.opaque_use.c
    ids = list(connection.scalars(select(use.body).where(use.transfer == transfer).order_by(use.body)))
    if not ids:
        return []
    fetches: dict[str, list[Fetch]] = {}
    for hit in search(connection, Query(transfer=transfer, kind=opaque_bodies.FETCHED), limit=MOST).hits:
        noted = parse(hit.entry)
        facts: Mapping[str, Any] = noted.get("facts", {})
        if {"body", "from", "to"} <= facts.keys():
            fetch = Fetch(hit.facts.at, str(noted.get("actor", "")), facts["from"], facts["to"])
            fetches.setdefault(str(facts["body"]), []).append(fetch)
    files = []
    for id in ids:
        note = entry_of(connection, id, opaque_bodies.RECEIVED)
        if note is not None and note.sound:
            facts = note.value["facts"]
            asked = tuple(sorted(fetches.get(id, ())))
            files.append(File(id, facts["size"], facts["sha256"], str(note.value["at"]), asked))
    return files

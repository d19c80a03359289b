"""Applies a registry document, for the command line and the pages alike, and tells beforehand what one would do.

A preview does everything in a transaction that is taken back. What it shows is therefore what applying it does, as long
as the registry stays as it is; `Applied.digest` says whether it did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store, versions
from gateway.registry.changes import deciding, granting
from gateway.registry.changes.content import Content, Subject, in_force
from gateway.registry.changes.content import text as content_text
from gateway.registry.changes.document import Document, parse
from gateway.registry.changes.officers import acting, officers
from gateway.registry.changes.proposals import founds
from gateway.registry.records import SUSPENDED, Change
from gateway.registry.seals.rows import Rows, contents
from gateway.registry.snapshot import Snapshot
from security.pki.chains import Trust

NOTE: Final = "registry"
NOW: Final = "now"  # in place of the time of a change, in what is shown of its rows


class RowChange(NamedTuple):
    """One row that changes: `columns` are name, old and new value; `how` is added, changed or removed.

    The old value of a new proposal's body is the content in force, which it would replace.
    """

    table: str
    key: str
    how: str
    columns: tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """`founding`: it is the first document of an instance, and all of it is in force. `left_out`: agencies that are
    suspended because the document does not name them. `remaining`: kind and name of what it names, without a state, and
    that is suspended since before: applying lifts no suspension."""

    changes: tuple[Change, ...]
    founding: bool
    rows: tuple[RowChange, ...]
    digest: str
    left_out: tuple[str, ...]
    remaining: tuple[tuple[str, str], ...] = ()

    @property
    def proposes_only(self) -> bool:
        """Whether nothing of it takes effect before officers have signed."""
        return bool(self.changes) and not self.founding and all(each.how == "proposed" for each in self.changes)

    def facts(self) -> dict[str, Any]:
        """For the log."""
        return {"changes": deciding.listed(self.changes), "founding": self.founding and bool(self.changes)}


def apply_text(
    connection: Connection, text: str | bytes, snapshot: Snapshot, embedded: Trust | None, now: float, by: str | None
) -> Applied:
    """Bring the registry to what a document declares. Raises `registry.invalid` with all faults.

    `by` is the id of whoever applies it. An officer is the proposer of what it changes, and cannot sign that.

    `snapshot` has the contracts. Addresses and keys that the document leaves in braces are those that are registered.
    """
    fill = {each.id: each.endpoint.url for each in snapshot.systems.values() if each.endpoint is not None}
    fill |= {each.id: each.public_pem for each in acting(connection).values()}
    document = parse(text, snapshot.contracts, fill, partial(versions.compiled, connection))
    document = replace(document, grants=tuple(granting.proposed_by(connection, document.grants, by)))
    if by in officers(connection):
        document = replace(document, proposed_by=by)
    before, force, founding = contents(connection), in_force(connection), founds(connection)
    changes = tuple(store.apply(document, connection, now, embedded))
    rows = tuple(_differing(before, contents(connection), force, now))
    raw = text.encode() if isinstance(text, str) else text
    shown = json.dumps([hashlib.sha256(raw).hexdigest(), rows], sort_keys=True)
    named = {each.code for each in document.agencies}
    suspended = [each.id for each in changes if each.what == "agency" and each.how == "suspended"]
    left_out = tuple(each for each in suspended if each not in named)
    remaining = tuple(_remaining(connection, document))
    return Applied(changes, founding, rows, hashlib.sha256(shown.encode()).hexdigest(), left_out, remaining)


def _remaining(connection: Connection, document: Document) -> Iterator[tuple[str, str]]:
    agency, system = tables.agency.c, tables.system.c
    agencies, systems = {each.code for each in document.agencies}, {each.id for each in document.systems}
    for what, named, column, state in (
        ("agency", agencies, agency.code, agency.state),
        ("system", systems, system.id, system.state),
    ):
        for name in connection.scalars(select(column).where(state == SUSPENDED).order_by(column)):
            if name in named and f"{what} {name}" not in document.stated:
                yield what, name


@contextmanager
def taken_back(engine: Engine) -> Iterator[Connection]:
    """A writing transaction of which nothing stays."""
    try:
        with writing(engine) as connection:
            yield connection
            raise _TakenBack
    except _TakenBack:
        pass


class _TakenBack(Exception):
    pass


def _differing(before: Rows, after: Rows, force: Mapping[Subject, Content], now: float) -> Iterator[RowChange]:
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        for key in sorted({*old, *new}):
            if old.get(key) == new.get(key):
                continue
            how = "added" if key not in old else "removed" if key not in new else "changed"
            left, right = _columns(old.get(key), now), _columns(new.get(key), now)
            if (
                table == _PROPOSAL
                and how == "added"
                and (content := force.get(Subject.of(right["subject"]))) is not None
            ):
                left = {"body": content_text(content)}
            names = [name for name in {**left, **right} if left.get(name) != right.get(name)]
            # A route has a number for its key, which is another one each time.
            named = _named(key) if table != "route" else "{contract} {operation}".format(**(right or left))
            columns = tuple((name, left.get(name), right.get(name)) for name in names if (table, name) != _NUMBER)
            yield RowChange(table, named, how, columns)


def _named(key: str) -> str:
    """A key of several columns in words."""
    return " ".join(map(str, json.loads(key))) if key.startswith("[") else key


_NUMBER: Final = ("route", "id")
_PROPOSAL: Final = "registry_proposal"


def _columns(form: str | None, now: float) -> Mapping[str, Any]:
    if form is None:
        return {}
    return {name: NOW if value == now else value for name, value in json.loads(form).items()}

"""The registry of the past: as it was at a time, or at a revision.

The rows of then are put into a database in memory, and read there by the same code as the present ones.
Invariant: rows whose digest is not the one that the log has of that revision are not answered from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, create_engine, func, insert, select

from contracts.base.times import rfc3339
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.changes import granting
from gateway.registry.errors import REGISTRY_NO_HISTORY, REGISTRY_PAST_LOST, words
from gateway.registry.records import ACTIVE
from gateway.registry.seals.history import contents_at
from gateway.registry.seals.revisions import REVISION
from gateway.registry.seals.rows import HOLD, TABLES, Misfit, digest_of, digest_of_text, digests, key_of
from gateway.registry.seals.sealing import HISTORY, altered, borne
from gateway.registry.tenants import POLICY
from security.grants.grants import OFFICERS, Reason
from security.grants.windows import civil

_table: Final = tables.registry_history
REMOVED: Final = "removed"  # by a document that omits it
NOT_APPROVED: Final = str(Reason.NOT_APPROVED)
_ALL: Final = (*TABLES, tables.instance)


class GrantVersion(NamedTuple):
    """What held of a grant from one change of it, or of its approvals, to the next; `until` None: until now.

    `state` is active, suspended, revoked or removed. `signed` are the officers with an approval of this content.
    The name of a policy alone is there for what it approved. `adopted`: it came from a route of an older release, and
    needs no signatures.
    """

    revision: int
    since: float
    until: float | None
    what: str
    actor: str
    entry: str
    state: str
    content: dict[str, Any]
    digest: str
    signed: tuple[str, ...]
    adopted: bool = False

    @property
    def standing(self) -> str:
        """As `state`; but a proposal that lacks signatures is not in force."""
        approved = len(self.signed) >= OFFICERS or self.signed == (POLICY,)
        lacks = not approved and not self.adopted and not self.content.get("denies")
        return NOT_APPROVED if self.state == ACTIVE and lacks else self.state


def revision_at(connection: Connection, at: float) -> int:
    """The newest revision of the history that is not later than `at`."""
    begins, number = connection.execute(
        select(
            select(func.min(_table.c.since)).scalar_subquery(),
            select(func.max(_table.c.revision)).where(_table.c.since <= at).scalar_subquery(),
        )
    ).one()
    if number is None:
        raise REGISTRY_NO_HISTORY(
            begins=civil(begins) if begins is not None else words("history.first-start"), at=civil(at)
        )
    for row in _rows(connection, (_table.c.of_table == "instance") & (_table.c.key == HOLD)):
        restored = json.loads(row.content["value"]) if row.content is not None else {}
        done = restored.get("backup", {})
        if done.get("reason") is not None and done["made"] <= at < row.since and not restored["confirmed"]:
            raise REGISTRY_PAST_LOST(at=civil(at), made=civil(done["made"]), restored=civil(row.since))
    return int(number)


@contextmanager
def opened(connection: Connection, revision: int) -> Iterator[Connection]:
    """A connection to a database in memory with the registry's tables of that revision.

    Bundles never change: their contents come from the present table.
    """
    rows = contents_at(connection, revision)
    _check(connection, revision, digest_of(digests(rows)))
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as past:
            tables.metadata.create_all(past, tables=_ALL)
            for table in TABLES:
                columns = [column.name for column in table.columns]
                values = [json.loads(text) for text in rows.get(table.name, {}).values()]
                if table is tables.bundle:
                    values = [row | {"content": _bundle(connection, row["digest"])} for row in values]
                if values:
                    past.execute(insert(table), [{name: row.get(name) for name in columns} for row in values])
            held = {key: json.loads(text)["value"] for key, text in rows.get("instance", {}).items()}
            instance = [{"key": key, "value": value} for key, value in (held | {REVISION: str(revision)}).items()]
            past.execute(insert(tables.instance), instance)
            yield past
    finally:
        engine.dispose()


def _bundle(connection: Connection, digest: str) -> bytes:
    content = connection.scalar(select(tables.bundle.c.content).where(tables.bundle.c.digest == digest))
    if content is None:
        raise altered([Misfit("bundle", digest, "missing")])
    return bytes(content)


def _check(connection: Connection, revision: int, digest: str) -> None:
    """Compares with the log: the digest of the rows, and the times of the newest change and of the one after it."""
    c = _table.c
    last = connection.scalar(select(func.max(c.revision)).where(c.revision <= revision))
    after = connection.scalar(select(func.min(c.revision)).where(c.revision > revision))
    query = select(c.revision, c.since, c.entry).where(c.revision.in_([last, after])).distinct()
    for row in connection.execute(query):
        entry = _logged(connection, row.entry)
        facts = entry.get("facts", {}).get("registry", {})
        told = (facts.get("revision"), entry.get("at")) == (row.revision, rfc3339(row.since))
        if not told or row.revision == last and facts.get("digest") != digest:
            raise altered([Misfit(HISTORY, f"revision {row.revision}", "altered")])


def _logged(connection: Connection, id: str) -> dict[str, Any]:
    """The entry of a change; empty for one that is not in the log."""
    for log in tables.LOGS:
        for entry in connection.execute(select(log.c.entry).where(log.c.transfer == id)).scalars():
            if borne(bytes(entry)) is not None:
                return dict(parse(bytes(entry)))
    return {}


class _Row(NamedTuple):
    """A version of a row; `content` is None where it was deleted."""

    key: str
    revision: int
    since: float
    content: dict[str, Any] | None
    what: str
    actor: str
    entry: str


def grant_versions(connection: Connection, name: str) -> list[GrantVersion]:
    """All that ever held of a grant, oldest first; empty for a grant that never was."""
    c = _table.c
    approvals = (c.of_table == tables.approval.name) & c.key.startswith(_approvals_of(name), autoescape=True)
    changes = _rows(connection, ((c.of_table == tables.access_grant.name) & (c.key == name)) | approvals)
    found: list[GrantVersion] = []
    content, state, digest, held = {}, REMOVED, "", dict[str, dict[str, Any]]()
    adopted, policy = False, ""
    for _revision, rows in groupby(changes, key=lambda row: row.revision):
        for last in rows:
            if last.key != name and last.content is not None:
                held[last.key] = last.content
            elif last.key != name:
                held.pop(last.key, None)
            elif last.content is None:
                state = REMOVED
            else:
                body, state = last.content["body"], last.content["state"]
                content, digest = json.loads(body), digest_of_text(body)
                adopted = last.content.get("source") in (granting.ADOPTED, granting.ADOPTED_PERSONAL)
                policy = POLICY if last.content.get("source") == POLICY else ""
        signed = [each for each in held.values() if each["digest"] == digest and each["voided"] is None]
        officers = tuple(each["officer"] for each in sorted(signed, key=lambda each: float(each["given"])))
        if policy:
            officers = (policy,)
        by = (last.what, last.actor, last.entry)
        if found:
            found[-1] = found[-1]._replace(until=last.since)
        found.append(GrantVersion(last.revision, last.since, None, *by, state, content, digest, officers, adopted))
    return found


def grant_names(connection: Connection) -> set[str]:
    """The ids of all grants that the history has."""
    c = _table.c
    return set(connection.scalars(select(c.key).where(c.of_table == tables.access_grant.name).distinct()))


def _approvals_of(grant: str) -> str:
    """The beginning of the keys of a grant's approvals."""
    return f"{key_of([f'{granting.GRANT} {grant}', ''])[:-3]}"


def _rows(connection: Connection, where: ColumnElement[bool]) -> list[_Row]:
    """The matching versions of rows, oldest first."""
    c = _table.c
    query = select(c.key, c.revision, c.since, c.content, c.what, c.actor, c.entry).where(where)
    return [
        _Row(*row)._replace(content=json.loads(row.content) if row.content is not None else None)
        for row in connection.execute(query.order_by(c.revision, c.of_table.desc(), c.key))
    ]

"""Checks the search index against the log: each entry has the row that follows from it, and there are no others.

A search that omits an entry would mislead its reader. The index can be created again at any time (`lgsp audit
reindex`). It is compared up to its watermark.

Theory of operation: most entries are intents and outcomes, of few kinds that differ in more than ids, times and
digests. An entry without these (`_of_shape`) decides all of its row but the transfer and the message, so the row is
computed once per shape. All other entries are read in full.

Invariant: both ways give the row that `gateway.audit.search.index` gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, or_, select

from gateway.audit.search import facts
from gateway.audit.search.fields import wide
from gateway.audit.search.index import NAME, keys_of, parties_of
from gateway.audit.verify.findings import Findings, Progress
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.transfer.provider_agencies import old_agencies

_PAGE: Final = 1000
_HEAD: Final = len(facts.COLUMNS)
_COLUMNS: Final = tuple(tables.log_index.c[name] for name in tables.LOG_INDEXED)
_ABOUT, _MESSAGE = tables.LOG_INDEXED.index("about"), tables.LOG_INDEXED.index("message")
# Quotation marks within JSON strings are escaped, so these are names.
_VARYING: Final = re.compile(rb'"sha256":"[0-9a-f]{64}","size":[0-9]+|"(?:at|message|transfer)":"[^"\\]*+"')
_NOTHING: Final = b'"":0'
_HASH: Final = re.compile(rb'"message":"([0-9a-f]{64})"')
_KIND: Final = re.compile(rb'"kind":"(intent|outcome)"')
_OPEN: Final = 200_000  # intents that are kept until their outcome comes
Values = tuple[int | None, ...]


class Rows(NamedTuple):
    """What follows from an entry: the values of its row, and the digests of the agencies that it concerns."""

    values: Values
    parties: frozenset[int]


def check_index(connection: Connection, wrong: Findings, on_progress: Progress | None = None) -> None:
    """Finds rows that are missing, superfluous, or differ from their entry."""
    state, index, entry = tables.log_indexed.c, tables.log_index.c, tables.log_entry.c
    marks = {row.name: row for row in connection.execute(select(state.name, state.upto, state.leaf))}
    for name in marks.keys() - {NAME}:
        wrong.add(f"the index of searches: its watermark stands under the name {name}")
    mark = marks.get(NAME)
    upto = 0 if mark is None else int(mark.upto)
    if mark is not None and upto:
        leaf = connection.scalar(select(entry.leaf).where(entry.idx == upto - 1))
        if leaf is None or mark.leaf is None or bytes(leaf) != bytes(mark.leaf):
            wrong.add(f"the index of searches: its watermark is not that of entry {upto - 1}")
    for column in (index.idx, tables.log_party.c.idx):
        beyond = connection.execute(select(func.count(), func.min(column)).where(or_(column < 0, column >= upto))).one()
        if beyond[0]:
            wrong.add(
                f"the index of searches: {beyond[0]} rows, of entry {beyond[1]} first,"
                f" lie beyond its watermark of {upto} entries"
            )
    wrong.count("rows of the index", _compare(connection, upto, wrong, on_progress))


def _compare(connection: Connection, upto: int, wrong: Findings, on_progress: Progress | None) -> int:
    index, entry, after, count = tables.log_index.c, tables.log_entry.c, -1, 0
    query = select(*facts.COLUMNS, index.idx.label("indexed"), *_COLUMNS).select_from(
        tables.log_entry.outerjoin(tables.log_index, index.idx == entry.idx)
    )
    quick = Quick(old_agencies(connection))
    party = tables.log_party.c
    while rows := connection.execute(
        query.where(entry.idx > after, entry.idx < upto).order_by(entry.idx).limit(_PAGE)
    ).all():
        parties: dict[int, set[int]] = {}
        page = party.idx > after, party.idx <= rows[-1][0]
        for idx, digest in connection.execute(select(party.idx, party.party).where(*page)):
            parties.setdefault(idx, set()).add(digest)
        left = [
            row for row in rows if Rows(tuple(row[_HEAD + 1 :]), frozenset(parties.get(row[0], ()))) != quick.rows(row)
        ]
        for row, logged in zip(left, facts.read(connection, left), strict=True):
            _judge(row, parties.get(row[0], set()), logged, wrong)
        after, count = rows[-1][0], count + len(rows)
        if on_progress is not None:
            on_progress(count)
    return count


def _judge(row: Any, parties: set[int], logged: facts.Logged, wrong: Findings) -> None:
    name = f"the index of searches: entry {logged.idx} (transfer {logged.facts.transfer}, {logged.facts.kind})"
    if row[_HEAD] is None:
        wrong.add(f"{name}: it has no row")
        return
    expected = keys_of(logged.facts)
    stored = row[_HEAD + 1 :]
    if tuple(stored) != tuple(expected.values()):
        other = [
            each for each, actual, wanted in zip(expected, stored, expected.values(), strict=True) if actual != wanted
        ]
        wrong.add(f"{name}: its row has another {', '.join(other)} than the entry")
    if parties != parties_of(logged.facts):
        wrong.add(f"{name}: its agencies are others than those of the entry")


class Quick:
    """The rows of intents, and of outcomes soon after their intent; None for all other entries.

    `agencies`: see `provider_agencies.old_agencies`.
    """

    def __init__(self, agencies: Mapping[str, str]) -> None:
        self._agencies = tuple(sorted(agencies.items()))
        self._open: dict[str, tuple[bytes, int]] = {}  # transfer -> shape of its intent, and the hash of its message

    def rows(self, row: Sequence[Any]) -> Rows | None:
        transfer, raw = row[1], bytes(row[3])
        kind = _KIND.search(raw)
        if kind is None or b'"facts":' in raw or b'"of":' in raw:  # these may name another transfer
            return None
        shape, intent = _VARYING.sub(_NOTHING, raw), None
        if kind[1] == b"intent":
            hashed = _HASH.search(raw)
            if hashed is None:
                return None
            message = wide(hashed[1].decode("ascii"))
            if len(self._open) < _OPEN:
                self._open[transfer] = shape, message
        else:
            opened = self._open.pop(transfer, None)
            if opened is None:
                return None
            intent, message = opened
        values, parties = _of_shape(shape, intent, self._agencies)
        own = (*values[:_ABOUT], wide(transfer), *values[_ABOUT + 1 : _MESSAGE], message, *values[_MESSAGE + 1 :])
        return Rows(own, parties)


@lru_cache(maxsize=4096)
def _of_shape(shape: bytes, intent: bytes | None, agencies: tuple[tuple[str, str], ...]) -> Rows:
    """The rows of all entries of this shape, without transfer and message.

    `intent` is the shape of the intent of an outcome.
    """
    value, party = parse(shape), {} if intent is None else parse(intent)
    known = facts.facts_of(value, "", str(value.get("kind")), party, dict(agencies))
    return Rows(tuple(keys_of(known).values()), parties_of(known))

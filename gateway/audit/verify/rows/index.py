"""The index of searches against the log: each entry has the row that follows from it, and there are no others.

A search that leaves an entry out would deceive whoever looks for it. So the index, which can be made anew at any time (`lgsp audit reindex`), is compared
with what the entries say, as far as its watermark goes.

Theory of operation: most entries are intents and outcomes, and there are few kinds of them that differ in more than ids, times and digests. What is left of an
entry without these (`_shape`) decides all of its row but the transfer and the message, so that it is worked out once a shape. All other entries are read in
full. Invariant: both ways give the row that `gateway.audit.search.index` gives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from gateway.audit.search import facts
from gateway.audit.search.fields import wide
from gateway.audit.search.index import NAME, keys_of
from gateway.audit.verify.rows.findings import Findings, Progress
from gateway.journal.logged import parse
from gateway.journal.schema import tables

_PAGE: Final = 1000
_HEAD: Final = len(facts.COLUMNS)
_COLUMNS: Final = tuple(tables.log_index.c[name] for name in tables.LOG_INDEXED)
_ABOUT, _MESSAGE = tables.LOG_INDEXED.index("about"), tables.LOG_INDEXED.index("message")
# Within a string of JSON a quotation mark is escaped, so that these names are names.
_VARYING: Final = re.compile(rb'"sha256":"[0-9a-f]{64}","size":[0-9]+|"(?:at|message|transfer)":"[^"\\]*+"')
_NOTHING: Final = b'"":0'
_SAYS: Final = re.compile(rb'"message":"([0-9a-f]{64})"')
_KIND: Final = re.compile(rb'"kind":"(intent|outcome)"')
_OPEN: Final = 200_000  # intents that are remembered until their outcome comes
Values = tuple[int | None, ...]


def check_index(connection: Connection, wrong: Findings, on_progress: Progress | None = None) -> None:
    """Rows of the index that are missing, too many, or say another thing than their entry."""
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
    astray = connection.execute(
        select(func.count(), func.min(index.idx)).where(or_(index.idx < 0, index.idx >= upto))
    ).one()
    if astray[0]:
        wrong.add(
            f"the index of searches: {astray[0]} rows, of entry {astray[1]} first, lie beyond its watermark of {upto} entries"
        )
    wrong.count("rows of the index", _compare(connection, upto, wrong, on_progress))


def _compare(connection: Connection, upto: int, wrong: Findings, on_progress: Progress | None) -> int:
    index, entry, after, count = tables.log_index.c, tables.log_entry.c, -1, 0
    query = select(*facts.COLUMNS, index.idx.label("indexed"), *_COLUMNS).select_from(
        tables.log_entry.outerjoin(tables.log_index, index.idx == entry.idx)
    )
    quick = Quick()
    while rows := connection.execute(
        query.where(entry.idx > after, entry.idx < upto).order_by(entry.idx).limit(_PAGE)
    ).all():
        left = [row for row in rows if tuple(row[_HEAD + 1 :]) != quick.values(row)]
        for row, logged in zip(left, facts.read(connection, left), strict=True):
            _judge(row, logged, wrong)
        after, count = rows[-1][0], count + len(rows)
        if on_progress is not None:
            on_progress(count)
    return count


def _judge(row: Any, logged: facts.Logged, wrong: Findings) -> None:
    name = f"the index of searches: entry {logged.idx} (transfer {logged.facts.transfer}, {logged.facts.kind})"
    if row[_HEAD] is None:
        wrong.add(f"{name}: it has no row")
        return
    expected = keys_of(logged.facts)
    stands = row[_HEAD + 1 :]
    if tuple(stands) != tuple(expected.values()):
        other = [
            each for each, there, wanted in zip(expected, stands, expected.values(), strict=True) if there != wanted
        ]
        wrong.add(f"{name}: its row has another {', '.join(other)} than the entry")


class Quick:
    """The rows of intents, and of outcomes whose intent came not long before; None for all else."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[bytes, int]] = {}  # transfer -> shape of its intent, and the hash of its message

    def values(self, row: Sequence[Any]) -> Values | None:
        transfer, raw = row[1], bytes(row[3])
        kind = _KIND.search(raw)
        if kind is None or b'"facts":' in raw or b'"of":' in raw:  # these may name another transfer
            return None
        shape, begun = _VARYING.sub(_NOTHING, raw), None
        if kind[1] == b"intent":
            says = _SAYS.search(raw)
            if says is None:
                return None
            message = wide(says[1].decode("ascii"))
            if len(self._open) < _OPEN:
                self._open[transfer] = shape, message
        else:
            found = self._open.pop(transfer, None)
            if found is None:
                return None
            begun, message = found
        values = _of_shape(shape, begun)
        return (*values[:_ABOUT], wide(transfer), *values[_ABOUT + 1 : _MESSAGE], message, *values[_MESSAGE + 1 :])


@lru_cache(maxsize=4096)
def _of_shape(shape: bytes, intent: bytes | None) -> Values:
    """The row of all entries of this shape, but for transfer and message. `intent` is the shape of the intent that an outcome looks back to."""
    value, party = parse(shape), {} if intent is None else parse(intent)
    return tuple(keys_of(facts.facts_of(value, "", str(value.get("kind")), party)).values())

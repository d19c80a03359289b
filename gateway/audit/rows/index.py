"""The index of searches against the log: each entry has the row that follows from it, and there are no others.

A search that leaves an entry out would deceive whoever looks for it. So the index, which can be made anew at any time (`lgsp audit reindex`), is compared
with what the entries say, as far as its watermark goes.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from gateway.audit import facts
from gateway.audit.index import NAME, keys_of
from gateway.audit.rows.findings import Findings, Progress
from gateway.journal import tables

_PAGE: Final = 1000
_COLUMNS: Final = tuple(tables.log_index.c[name] for name in tables.LOG_INDEXED)


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
    astray = connection.execute(select(func.count(), func.min(index.idx)).where(or_(index.idx < 0, index.idx >= upto))).one()
    if astray[0]:
        wrong.add(f"the index of searches: {astray[0]} rows, of entry {astray[1]} first, lie beyond its watermark of {upto} entries")
    wrong.count("rows of the index", _compare(connection, upto, wrong, on_progress))


def _compare(connection: Connection, upto: int, wrong: Findings, on_progress: Progress | None) -> int:
    index, entry, after, count = tables.log_index.c, tables.log_entry.c, -1, 0
    query = select(*facts.COLUMNS, index.idx.label("indexed"), *_COLUMNS).select_from(
        tables.log_entry.outerjoin(tables.log_index, index.idx == entry.idx)
    )
    while rows := connection.execute(query.where(entry.idx > after, entry.idx < upto).order_by(entry.idx).limit(_PAGE)).all():
        for row, logged in zip(rows, facts.read(connection, rows), strict=True):
            _judge(row, logged, wrong)
        after, count = rows[-1][0], count + len(rows)
        if on_progress is not None:
            on_progress(count)
    return count


def _judge(row: Any, logged: facts.Logged, wrong: Findings) -> None:
    name = f"the index of searches: entry {logged.idx} (transfer {logged.facts.transfer}, {logged.facts.kind})"
    at = len(facts.COLUMNS)
    if row[at] is None:
        wrong.add(f"{name}: it has no row")
        return
    expected = keys_of(logged.facts)
    if tuple(row[at + 1 :]) != tuple(expected.values()):
        other = [each for each, stands, wanted in zip(expected, row[at + 1 :], expected.values(), strict=True) if stands != wanted]
        wrong.add(f"{name}: its row has another {', '.join(other)} than the entry")

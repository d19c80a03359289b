"""Checks entries without an index: their bytes are those that were committed, and their order is right.

Ids of different processes are no order. But one process writes one batch after the other, an outcome after its intent,
and an event beside its intent.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.schema import tables
from security.transparency.merkle import leaf_hash

_PAGE: Final = 1000


def check_pending(connection: Connection, wrong: Findings) -> None:
    """Checks pending entries and events, which the sequencer normally moves within a second."""
    table, transfer = tables.log_pending.c, tables.transfer.c
    query = select(table.id, table.transfer, table.phase, table.entry, table.leaf, transfer.process)
    intents: dict[str, int] = {}
    ends: dict[str, int] = {}
    owner: dict[str, str] = {}
    rows = query.select_from(tables.log_pending.outerjoin(tables.transfer, transfer.id == table.transfer)).order_by(
        table.id
    )
    for row in connection.execute(rows.execution_options(yield_per=_PAGE)):
        name = f"a pending entry (transfer {row.transfer}, {row.phase})"
        wrong.count("pending entries")
        if leaf_hash(bytes(row.entry)) != bytes(row.leaf):
            wrong.add(f"{name}: its bytes are not what was committed")
        if row.phase == "intent":
            intents[row.transfer] = row.id
            owner[row.transfer] = row.process
        elif row.phase == "outcome":
            ends[row.transfer] = row.id
    for id, at in ends.items():
        if at < intents.get(id, at):
            wrong.add(f"a pending entry (transfer {id}, outcome): it waits before its intent")
    _events(connection, intents, owner, wrong)


def _events(connection: Connection, intents: dict[str, int], owner: dict[str, str], wrong: Findings) -> None:
    """The events of one process wait in the order of their intents."""
    pending = tables.feed_pending.c
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for id, contract in connection.execute(select(pending.transfer, pending.contract).order_by(pending.id)):
        if id not in intents:
            continue
        before = newest.get((owner[id], contract))
        if before is not None and before[0] > intents[id]:
            wrong.add(
                f"a pending event (transfer {id}): it waits after that of transfer {before[1]},"
                " its intent before that one's"
            )
        newest[owner[id], contract] = intents[id], id

"""Finds altered rows of waiting messages, feeds and invitations. A quick check; `lgsp audit verify` checks all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, or_, select

from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.invitations import check_invitations
from gateway.doctor.findings import Finding, finding
from gateway.journal.schema import tables
from gateway.vault.errors import TRANSFER_TAMPERED

_NAMED: Final = 5


def rows(connection: Connection) -> Iterator[Finding]:
    queue, transfer = tables.queue.c, tables.transfer.c
    other = or_(queue.provider != transfer.provider, queue.body_ref != queue.transfer + "/canonical")
    waiting = (
        select(queue.transfer)
        .join(tables.transfer, transfer.id == queue.transfer)
        .where(queue.state.in_(("waiting", "leased", "held")), other)
    )
    given_up = select(transfer.id).where(transfer.state == "dead", transfer.failure == TRANSFER_TAMPERED.code)
    named: set[str] = set()
    for query in (waiting, given_up):
        named.update(connection.scalars(query.limit(_NAMED)))
    for table in (tables.feed_event, tables.feed_pending):
        named.update(
            connection.scalars(
                select(table.c.transfer).where(table.c.body_ref != table.c.transfer + "/canonical").limit(_NAMED)
            )
        )
    invited = Findings()
    check_invitations(connection, invited)
    if invited.wrong:
        yield finding("invitations.changed", what="; ".join(invited.wrong[:_NAMED]))
    if named:
        yield finding("rows.changed", transfers=", ".join(sorted(named)[:_NAMED]))

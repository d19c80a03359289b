"""Brings the reverted state of a restored database into a safe state, in the restoring transaction.

| state | action |
|---|---|
| processes, lease | processes become dead; the lease is free, its epoch continues |
| queued messages | may have been delivered: idempotent ones stay queued, the others become in-doubt |
| calls in progress | the keeper closes them, as after a crash |
| feeds | a new epoch of offsets: none is used twice |
| replay keys | the instance stays locked while a message from before the restore would be accepted |
| revocation lists | their numbers continue, as if one list had been made each second |
| sessions, links and tokens of the console | end: people sign in again |
| accounts and passkeys of the console | count only as the backed up map has them |
| bulk retries and other jobs of the console | end: what was stated of providers may no longer be true |
| registry, revocations, quotas | listed for an officer, and locked until one confirms |
Invariant: nothing is accepted or sent before the confirmation.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, update

from contracts.canonical.model import Pattern
from gateway.journal import epochs, jobs
from gateway.journal.append import apply
from gateway.journal.schema import tables
from gateway.journal.schema.console_tables import console_job
from gateway.registry.records import ACTIVE, REVOKED, SUSPENDED
from gateway.registry.seals.revisions import revision
from gateway.transfer import outcome
from gateway.transfer.stages import Doubt, OpenTransfer
from gateway.transfer.states import Event, State

RESTORE: Final = "restore"


def bring_back(connection: Connection, now: float) -> dict[str, Any]:
    """Apply the table above except the lock; returns what an officer must review, by counts and names."""
    process, lease = tables.process, tables.lease
    connection.execute(update(process).where(process.c.state == "alive").values(state="dead"))
    connection.execute(update(lease).values(until=0.0))
    doubtful = _doubt(connection, now)
    for ended in (tables.console_session, tables.console_link, tables.console_token):
        connection.execute(delete(ended))
    connection.execute(update(console_job).where(console_job.c.state != jobs.DONE).values(state=jobs.DONE))
    lists = tables.revocation_list
    for row in connection.execute(select(lists.c.issuer, lists.c.number, lists.c.this_update)).all():
        passed = max(1, math.ceil(now - row.this_update))
        connection.execute(update(lists).where(lists.c.issuer == row.issuer).values(number=row.number + passed))
    epochs.begin(connection)
    return {**_gone_back(connection), "in_doubt": doubtful}


def _doubt(connection: Connection, now: float) -> list[str]:
    """Mark queued messages that are not idempotent as in-doubt; returns their ids."""
    transfer, queue = tables.transfer, tables.queue
    queued = (
        *(queue.c[name] for name in ("body_ref", "next_at", "tries", "priority", "order_key", "callback")),
        queue.c.provider.label("queued_for"),
    )
    rows = connection.execute(
        select(transfer.c.id, transfer.c.provider, *queued)
        .select_from(transfer.outerjoin(queue, queue.c.transfer == transfer.c.id))
        .where(
            transfer.c.state == State.QUEUED.value,
            transfer.c.idempotent.is_(False),
            transfer.c.pattern != Pattern.QUERY,
        )
    ).all()
    units = []
    for row in rows:
        opened = OpenTransfer(row.id, None, row.provider, state=State.QUEUED)
        why = Doubt(now, RESTORE, RESTORE, f"in-doubt#{RESTORE}")
        dead = outcome.left_in_queue(row)
        units.append(outcome.abandoned(opened, why, Event.TAKEN_UP, Event.OUTCOME_UNKNOWN)._replace(queue=dead))
    apply(connection, units)
    ids = [row.id for row in rows]
    connection.execute(update(transfer).where(transfer.c.id.in_(ids)).values(process=None))
    return ids


def _gone_back(connection: Connection) -> dict[str, Any]:
    key, grant = tables.system_key.c, tables.access_grant.c

    def names(column: Any, state: Any, value: str) -> list[str]:
        return [
            str(name) for name in connection.execute(select(column).where(state == value).order_by(column)).scalars()
        ]

    def count(table: Any, *where: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    return {
        "registry": revision(connection),
        "keys_active": names(key.key_id, key.state, ACTIVE),
        "keys_revoked": names(key.key_id, key.state, REVOKED),
        "grants_active": names(grant.id, grant.state, ACTIVE),
        "agencies_suspended": names(tables.agency.c.code, tables.agency.c.state, SUSPENDED),
        "systems_suspended": names(tables.system.c.id, tables.system.c.state, SUSPENDED),
        "officers_active": names(tables.officer.c.id, tables.officer.c.state, ACTIVE),
        "contracts": count(tables.contract_in_force),
        "queued": count(tables.queue, tables.queue.c.state.in_(("waiting", "leased", "held"))),
        "forwarding": count(tables.transfer, tables.transfer.c.state == State.FORWARDING.value),
        "quotas": count(tables.quota_use),
    }

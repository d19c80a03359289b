"""What is wrong with systems, as far as rows and the registry tell it.

Invariant: the cost is bounded by the number of keys, and by `LOOKS` messages of the queue, the oldest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from gateway.registry.records import ACTIVE, Key
from gateway.registry.snapshot import Snapshot
from gateway.watch.alarms import Condition

SOON: Final = 30 * 86_400.0  # before a certificate ends
LOOKS: Final = 20_000


def queues(connection: Connection, seconds: float, now: float, away: Collection[str]) -> list[Condition]:
    """Systems for which a message waits longer than `seconds`. Those in `away` have an alarm already."""
    queue, transfer = tables.queue.c, tables.transfer.c
    oldest = select(queue.transfer).where(queue.state == "waiting").order_by(queue.transfer).limit(LOOKS).subquery()
    rows = connection.execute(
        select(queue.provider, transfer.committed)
        .select_from(oldest)
        .join(tables.queue, queue.transfer == oldest.c.transfer)
        .join(tables.transfer, transfer.id == oldest.c.transfer)
    )
    waiting: dict[str, tuple[float, int]] = {}
    for provider, committed in rows:
        first, number = waiting.get(provider, (committed, 0))
        waiting[provider] = min(first, committed), number + 1
    return [
        Condition(system, "", first, {"waiting": number})
        for system, (first, number) in sorted(waiting.items())
        if now - first > seconds and system not in away
    ]


def certificates(snapshot: Snapshot, now: float) -> Iterator[Condition]:
    """Keys whose certificates end soon, or have ended lately, and that no later one of the same use has followed."""
    keys = [each for each in snapshot.keys.values() if each.state == ACTIVE]
    lasting = {(each.system, each.use) for each in keys if each.valid_until >= now + SOON}
    for key in keys:
        if now - SOON < key.valid_until < now + SOON and (key.system, key.use) not in lasting:
            yield Condition(key.system, key.key_id, key.valid_until - SOON, _of(key))


def _of(key: Key) -> dict[str, str]:
    return {"key": key.key_id, "use": key.use, "until": rfc3339(key.valid_until)}

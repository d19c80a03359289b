"""`lgsp queue` and `lgsp feed`: what waits, and what the centre reads."""

from __future__ import annotations

import sys
import time

from sqlalchemy import select

from contracts.base.times import rfc3339
from contracts.canonical.model import Pattern
from contracts.wire.jsontext import text_of
from gateway.commands.actor import actor
from gateway.commands.output import emit
from gateway.doors.api.errors import FEED_UNKNOWN
from gateway.feeds import read
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.key_encryption import AtRest
from gateway.registry.snapshot import load_snapshot
from gateway.settings import Settings
from gateway.transfer import entries
from gateway.transfer.states import State
from gateway.vault.vault import Vault
from security.grants.windows import civil


def queue(settings: Settings, as_json: bool) -> None:
    waiting, transfer = tables.queue, tables.transfer
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        rows = [
            {
                "transfer": row.transfer,
                "provider": row.provider,
                "state": row.state,
                "tries": row.tries,
                "next": rfc3339(row.next_at),
                "last_failure": row.last_failure,
            }
            for row in connection.execute(select(waiting).where(waiting.c.state != "done").order_by(waiting.c.next_at))
        ]
        doubts = [
            {
                "transfer": row.id,
                "contract": row.contract,
                "operation": row.operation,
                "provider": row.provider,
                "since": rfc3339(row.committed),
            }
            for row in connection.execute(
                select(transfer).where(transfer.c.state == State.IN_DOUBT).order_by(transfer.c.committed)
            )
        ]
    lines = [f"{len(rows)} in the queue, {len(doubts)} in doubt"]
    lines += [
        f"  {row['transfer']}  {row['state']:<8} → {row['provider']}, try {row['tries']}, next {civil(row['next'])}, {row['last_failure'] or '—'}"
        for row in rows
    ]
    lines += [
        f"  {row['transfer']}  in doubt → {row['provider']} ({row['contract']} {row['operation']}) since {civil(row['since'])}"
        for row in doubts
    ]
    emit({"ok": True, "queue": rows, "in_doubt": doubts}, as_json, "\n".join(lines))


def feed(settings: Settings, contract: str, after: str | None, limit: int, as_json: bool) -> None:
    """Reading bodies at the command line is logged like any other reading."""
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        known = load_snapshot(connection).contract(contract)
    if known is None or all(each.pattern is not Pattern.SUBMIT for each in known.contract.operations.values()):
        raise FEED_UNKNOWN(contract=contract)
    with writing(engine) as connection:
        append(
            connection, [entries.note("feed-read", {"contract": contract, "limit": limit}, time.time(), actor=actor())]
        )
    with engine.connect() as connection:
        page = read(connection, contract, after, limit, vault=Vault(settings.vault_keys, at_rest=AtRest.of(settings)))
    text = "\n".join(map(text_of, page.events))
    if not as_json and page.events:
        print(f"next: --after {page.next}", file=sys.stderr)
    emit({"ok": True, "events": page.events, "next": page.next, "more": page.more}, as_json, text or "no events")

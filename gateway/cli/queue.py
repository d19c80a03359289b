"""`lgsp queue`: messages that wait for their provider."""

from __future__ import annotations

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

commands = typer.Typer(no_args_is_help=True, help="Messages that wait for their provider.")
commands = typer.Typer(no_args_is_help=True, help="Messages that wait for their provider.")


@commands.command("list")
def queue_list(data: Data = None, as_json: AsJson = False) -> None:
    """Messages that wait, with their last failure; and transfers in doubt."""
    from sqlalchemy import select

    from gateway.journal.database import open_engine
    from gateway.journal.schema import tables
    from gateway.transfer.states import State
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
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
        (
            f"  {row['transfer']}  {row['state']:<8} → {row['provider']}, try {row['tries']}, next"
            f" {civil(row['next'])}, {row['last_failure'] or '—'}"
        )
        for row in rows
    ]
    lines += [
        (
            f"  {row['transfer']}  in doubt → {row['provider']} ({row['contract']}"
            f" {row['operation']}) since {civil(row['since'])}"
        )
        for row in doubts
    ]
    emit({"ok": True, "queue": rows, "in_doubt": doubts}, as_json, "\n".join(lines))

"""`lgsp queue`: messages that wait for their provider."""

from __future__ import annotations

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

commands = typer.Typer(no_args_is_help=True, help="Messages that wait for their provider.")


@commands.command("list")
def queue_list(data: Data = None, as_json: AsJson = False) -> None:
    """Messages that wait, with their last failure and its findings; and transfers in doubt."""
    from sqlalchemy import select

    from gateway.cli.audit.steps import findings
    from gateway.journal.database import open_engine
    from gateway.journal.logged import failed_tries
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
                "last_try": next(reversed(failed_tries(connection, row.transfer).tries), None),
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
    for row in rows:
        lines.append(
            f"  {row['transfer']}  {row['state']:<8} → {row['provider']}, try {row['tries']}, next"
            f" {civil(row['next'])}, {row['last_failure'] or '—'}"
        )
        lines += findings(row["last_try"] or {})
    lines += [
        (
            f"  {row['transfer']}  in doubt → {row['provider']} ({row['contract']}"
            f" {row['operation']}) since {civil(row['since'])}"
        )
        for row in doubts
    ]
    emit({"ok": True, "queue": rows, "in_doubt": doubts}, as_json, "\n".join(lines))


@commands.command("show")
def queue_show(transfer: str, data: Data = None, as_json: AsJson = False) -> None:
    """Each failed try of a delivery: when, why, and what was wrong with the provider's answer."""
    from sqlalchemy import select

    from gateway.audit.search.steps import failure, queue_words, words
    from gateway.cli.audit.steps import findings
    from gateway.cli.common import arguments
    from gateway.cli.common.language import spoken
    from gateway.journal.database import open_engine
    from gateway.journal.logged import failed_tries
    from gateway.journal.schema import tables
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    transfer = arguments.transfer_id(transfer, as_json)
    queue = tables.queue
    with open_engine(settings.database_url).connect() as connection:
        row = connection.execute(select(queue).where(queue.c.transfer == transfer)).mappings().first()
        failed = failed_tries(connection, transfer)
    if row is None and not failed.tries:
        what = f"no delivery of {transfer} failed or waits / không có lần gửi nào bị lỗi hoặc đang chờ"
        then = "`lgsp audit journey` shows any transfer. / Dùng `lgsp audit journey` để xem một giao dịch bất kỳ."
        fail(Exit.NO, "not-queued", what, then, as_json)
    lines = spoken(words("transfer", id=transfer)) + ([] if row is None else spoken(queue_words(dict(row))))
    lines += spoken(words("tries.earlier", earlier=failed.earlier)) if failed.earlier else []
    for each in failed.tries:
        lines += [f"{civil(str(each['at']), seconds=True)}  {each['try']}", *spoken(failure(each["failure"]), "  ")]
        lines += findings(each)
    state = None if row is None else {name: row[name] for name in ("state", "provider", "tries", "last_failure")}
    result = {"ok": True, "transfer": transfer, "queue": state, "failed": failed.tries, "earlier": failed.earlier}
    emit(result, as_json, "\n".join(lines))

"""`lgsp audit show`: the entries of transfers."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from gateway.audit.search import journey
from gateway.audit.search.search import reading
from gateway.commands import given
from gateway.commands.output import Exit, emit, fail
from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.settings import Settings


def show(settings: Settings, transfers: list[str], as_json: bool) -> None:
    """The entries of transfers, in the order given."""
    transfers = [given.transfer_id(each, as_json) for each in transfers]
    with reading(open_engine(settings.database_url)) as connection:
        found = {transfer: entries_of(connection, transfer) for transfer in transfers}
    missing = [transfer for transfer, entries in found.items() if not entries]
    if missing:
        what = f"the log holds nothing of {', '.join(missing)} / nhật ký không có gì về các giao dịch này"
        then = (
            "Transfer ids stand in answers as Lgsp-Transfer. / Mã giao dịch nằm trong trường Lgsp-Transfer của trả lời."
        )
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    entries = [each for some in found.values() for each in some]
    emit({"ok": True, "entries": entries}, as_json, "\n".join(json.dumps(each, ensure_ascii=False) for each in entries))


def entries_of(connection: Connection, transfer: str) -> list[dict[str, Any]]:
    """Of one transfer, and those about it (repeats, notes that name it): of a log that ended with its origin, then in the order of the log, then those
    that wait for an index."""
    entry, pending, past = tables.log_entry, tables.log_pending, tables.past_entry
    before = (
        select(past.c.origin, past.c.idx, past.c.entry)
        .where(past.c.transfer == transfer)
        .order_by(past.c.origin, past.c.idx)
    )
    sequenced = select(entry.c.idx, entry.c.entry).where(entry.c.transfer == transfer)
    waiting = select(pending.c.entry).where(pending.c.transfer == transfer).order_by(pending.c.id)
    about = journey.beside(connection, transfer)
    listed = {row.idx: json.loads(row.entry) for row in connection.execute(sequenced)}
    listed |= {step.index: step.entry for step in about if step.index is not None}
    return [
        *({"origin": row.origin, "index": row.idx, **json.loads(row.entry)} for row in connection.execute(before)),
        *({"index": index, **listed[index]} for index in sorted(listed)),
        *({"index": None, **json.loads(row.entry)} for row in connection.execute(waiting)),
        *({"index": None, **step.entry} for step in about if step.index is None),
    ]

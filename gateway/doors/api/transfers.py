"""Serves `/transfers/{id}`: the state of a transfer, for its sender and its receiver.

Invariant: a transfer of others is answered exactly as one that does not exist. The log decides who is a party; a row
  that contradicts the intent is not shown (`transfer.tampered`).
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, select

from contracts.base.times import rfc3339
from gateway.doors.api.errors import TRANSFER_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.journal.schema import tables
from gateway.transfer.states import FINAL, State
from gateway.vault.integrity import intent_of


async def read_transfer(services: Services, request: ApiRequest) -> Reply:
    transfer = request.params["transfer"]
    status = await services.readers.run(
        request.owner, transfer_status, services.engine, transfer, request.proven.system.id
    )
    if status is None:
        raise TRANSFER_UNKNOWN(transfer=transfer)
    return Reply(200, {"content-type": "application/json"}, json.dumps(status, ensure_ascii=False).encode())


def is_party(engine: Engine, transfer: str, system: str) -> bool:
    table = tables.transfer
    with engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.id == transfer)).first()
        if row is None or system not in (row.caller_system, row.provider):
            return False
        intent_of(connection, row)
    return True


def transfer_status(engine: Engine, transfer: str, system: str) -> dict[str, Any] | None:
    """The state for a party; None for anyone else. Runs in a thread."""
    table, queue = tables.transfer, tables.queue
    with engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.id == transfer)).mappings().first()
        if row is None or system not in (row["caller_system"], row["provider"]):
            return None
        intent_of(connection, SimpleNamespace(**row))
        waiting = connection.execute(select(queue).where(queue.c.transfer == transfer)).mappings().first()
    status: dict[str, Any] = {
        "transfer": row["id"],
        "state": row["state"],
        "final": State(row["state"]) in FINAL,
        "pattern": row["pattern"],
        "contract": row["contract"],
        "operation": row["operation"],
        "messageId": row["message_id"],
        "sender": f"{row['caller_agency']}/{row['caller_system']}",
        "receiver": row["provider"],
        "received": rfc3339(row["received"]),
        "finished": rfc3339(row["finished"]) if row["finished"] is not None else None,
        "status": row["status"],
        "failure": row["failure"],
        "receipt": json.loads(row["receipt"]) if row["receipt"] else None,
    }
    if waiting is not None:
        status["tries"] = waiting["tries"]
        if waiting["state"] == "waiting":
            status["nextTry"] = rfc3339(waiting["next_at"])
            status["failure"] = status["failure"] or waiting["last_failure"]
    return {name: value for name, value in status.items() if value is not None}

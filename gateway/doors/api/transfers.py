"""Serves `/transfers/{id}`: the state of a transfer, for its sender and its receiver.

A refused request has no transfer. Its sender gets what the log keeps of the refusal (`gateway.transfer.entries`).

Invariant: a transfer of others is answered exactly as one that does not exist. The log decides who is a party; a row
  that contradicts the intent is not shown (`transfer.tampered`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, select

from contracts.base.errors import TYPES, Branch
from contracts.base.times import rfc3339
from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from contracts.wire.problems import LANGUAGES
from gateway.delivery import listing
from gateway.delivery.queue import CALLED, WANTED
from gateway.doors.api.errors import TRANSFER_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.api.transfer_files import told_files
from gateway.doors.reply import Reply
from gateway.journal.logged import entry_of, failed_tries
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from gateway.transfer.shown_findings import shown, without_hidden
from gateway.transfer.states import FINAL, State
from gateway.vault.integrity import intent_of


async def read_transfer(services: Services, request: ApiRequest) -> Reply:
    transfer, system = request.params["transfer"], request.proven.system.id
    status = await services.readers.run(request.owner, transfer_status, services.engine, transfer, system)
    if status is None:
        status = await services.readers.run(
            request.owner, refusal_status, services.engine, request.snapshot, transfer, system
        )
    elif status.get("receiver") != system:
        status |= _tries_as_seen(status, request)
    if status is None:
        raise TRANSFER_UNKNOWN(transfer=transfer)
    if status["state"] != "refused":
        files = await services.readers.run(request.owner, told_files, services.engine, services.vault, status, system)
        status |= {"files": files} if files else {}
    return Reply(200, {"content-type": "application/json"}, json.dumps(status, ensure_ascii=False).encode())


def _tries_as_seen(status: Mapping[str, Any], request: ApiRequest) -> dict[str, Any]:
    """The failed tries without findings of the provider's answer at fields that the caller's grants hide."""
    if "failedTries" not in status:
        return {}
    snapshot, name, operation = request.snapshot, status["contract"], status["operation"]
    contract, agency = snapshot.contract(name), request.proven.system.agency
    decision = snapshot.decide(agency, name, operation, request.received.at)
    sees = shown(contract, operation, decision.views)
    return {"failedTries": [without_hidden(each, sees) for each in status["failedTries"]]}


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
        failed = failed_tries(connection, transfer)
        stands = listing.standing(connection, transfer)
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
    if stands is not None:
        status["held"] = stands.held or None
        status["behind"] = stands.behind is not None or None
        if row["caller_system"] == system:
            status["callback"] = _callback(stands)
    if failed.tries:
        status["failedTries"] = failed.tries
        status["earlierTries"] = failed.earlier or None
    return {name: value for name, value in status.items() if value is not None}


def _callback(stands: listing.Standing) -> dict[str, Any] | None:
    """Whether the sender was called back, and why not."""
    if stands.callback is None:
        return None
    waits = stands.callback == WANTED
    told: dict[str, Any] = {
        "state": {WANTED: "waiting", CALLED: "delivered"}.get(stands.callback, "given-up"),
        "tries": stands.callback_tries,
        "failure": stands.callback_failure,
        "nextTry": rfc3339(stands.callback_at) if waits and stands.callback_tries else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def refusal_status(engine: Engine, snapshot: Snapshot, transfer: str, system: str) -> dict[str, Any] | None:
    """What the log keeps of a refused request, for the system that sent it; None for anyone else. Runs in a thread."""
    with engine.connect() as connection:
        logged = entry_of(connection, transfer, "refusal")
    entry = logged.value if logged is not None and logged.sound else {}
    caller = entry.get("caller")
    if not isinstance(caller, dict) or caller.get("system") != system:
        return None
    code, contract = str(entry.get("failure")), snapshot.contract(str(entry.get("contract")))
    findings = entry.get("findings", [])
    known: dict[str, object] = {"transfer": transfer, "agency": caller.get("agency"), "system": system}
    known |= {name: entry[name] for name in ("contract", "operation", "provider") if name in entry}
    if findings:
        known["count"] = len(findings) + int(entry.get("more", 0))
    ask = _whom_to_ask(snapshot, code, contract)
    if ask is not None:
        known["ask"] = ask
    if "nearest" in entry:
        known["grant"] = entry["nearest"]
    operation = contract.contract.operations.get(str(entry.get("operation"))) if contract is not None else None
    if operation is not None:
        known["message"] = operation.request
    status: dict[str, Any] = {
        "transfer": transfer,
        "state": "refused",
        "final": True,
        "contract": entry.get("contract"),
        "operation": entry.get("operation"),
        "sender": f"{caller.get('agency')}/{system}",
        "received": entry.get("at"),
        "status": entry.get("status"),
        "failure": code,
        "messages": messages_of(code, known),
        "findings": findings or None,
        "moreFindings": entry.get("more"),
        "ask": {"vi": ask.vi, "en": ask.en} if ask is not None else None,
        "receipt": {"refusal": base64.b64encode(logged.leaf).decode("ascii")} if logged is not None else None,
    }
    return {name: value for name, value in status.items() if value is not None}


def _whom_to_ask(snapshot: Snapshot, code: str, contract: CompiledContract | None) -> Words | None:
    """The contract's owner for a question of access, else the centre."""
    error = TYPES.get(code)
    if contract is not None and error is not None and error.branch is Branch.POLICY:
        return snapshot.owner_of(contract.contract)
    centre = snapshot.centre()
    return centre.reached if centre is not None else None


def messages_of(code: str, known: Mapping[str, object]) -> dict[str, dict[str, str]] | None:
    """The words of a code in both languages. Facts that the log does not keep are shown as "…"."""
    error = TYPES.get(code)
    if error is None:  # of a later version
        return None
    parts = {"title": error.title, "detail": error.what, "next": error.next}
    return {each: {name: words.say(each, known) for name, words in parts.items()} for each in LANGUAGES}

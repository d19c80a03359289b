"""Serves `/transfers/{id}/answer`: the answer of a transfer, for the system that sent it.

It is what a repeat of the message would get: the answer in the system's own format, masked by what its agency may see
now, encrypted if the contract asks for it; the failure that ended the transfer; or 202 while it has not ended.
Invariant: a transfer of others is answered exactly as one that does not exist. The receiver is one of these others.
Invariant: each reading is an entry of the log.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, Row, select

from contracts.compiled.contract import CompiledContract
from gateway.doors.api.errors import TRANSFER_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.exchange.errors import MESSAGE_ANSWER_GONE
from gateway.journal.schema import tables
from gateway.transfer.stages import Addressed, Answered, Authenticated, Requested
from gateway.vault.integrity import intent_of

RETRY_SECONDS: Final = 2
_XML: Final = "application/xml"


async def read_answer(services: Services, request: ApiRequest) -> Reply:
    transfer = request.params["transfer"]
    row = await services.readers.run(request.owner, _sent, services.engine, transfer, request.proven.system.id)
    if row is None:
        raise TRANSFER_UNKNOWN(transfer=transfer)
    contract = request.snapshot.contract(row.contract)
    if contract is None or row.operation not in contract.contract.operations:
        raise MESSAGE_ANSWER_GONE(transfer=transfer)  # it is no longer in force
    requested = _requested(request, contract, row)
    repeats = services.exchange.repeats
    end = await repeats.recorded(requested, transfer)
    ended = await repeats.again(requested, transfer, end, request.proven.replay)
    reply = services.rest.render(ended) if ended.answer is None else _answer(services, ended)
    if ended.queued:
        reply.headers["retry-after"] = str(RETRY_SECONDS)
    return reply


def _sent(engine: Engine, transfer: str, system: str) -> Row[Any] | None:
    """The row of a transfer that this system sent; None for any other. Runs in a thread."""
    table = tables.transfer
    with engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.id == transfer)).first()
        if row is None or row.caller_system != system:
            return None
        intent_of(connection, row)
        return row


def _requested(request: ApiRequest, contract: CompiledContract, row: Row[Any]) -> Requested:
    """The message of the transfer, as if its sender repeated it now."""
    operation = contract.contract.operations[row.operation]
    caller = request.proven
    addressed = Addressed(request.received, request.call.channel(), contract, operation)
    authenticated = Authenticated(
        addressed=addressed,
        key=request.snapshot.key(caller.key_id),
        replay=caller.replay,
        payload_digest=bytes(row.payload_digest),
        proof=None,
    )
    return Requested(authenticated, row.message_id, operation, operation.request, b"")


def _answer(services: Services, ended: Answered) -> Reply:
    """The door writes JSON. A format of XML is written as the Body of its SOAP answer."""
    requested = ended.requested
    if requested.codec.media != "xml":
        return services.rest.render(ended)
    assert ended.answer is not None
    operation = requested.operation
    body = requested.codec.write_xml(operation.answer, ended.answer, wrapper=f"{operation.name}Response")
    return services.rest.rendered(ended, Reply(200, {"content-type": _XML}, body))

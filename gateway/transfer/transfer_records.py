"""Makes the records of a transfer: its row, its canonical bodies, its event in the feed, its receipt."""

from __future__ import annotations

import base64
import json

from contracts.base.times import rfc3339
from contracts.canonical.model import Pattern
from gateway.journal.write import TransferRow
from gateway.registry.records import System
from gateway.transfer.stages import Decoded, Message, Receipt, Requested
from gateway.transfer.states import Event, after


def row_of(decoded: Decoded, provider: System | None, now: float, process: str, event: Event) -> TransferRow:
    """The row of a new transfer."""
    who = decoded.requested
    assert decoded.authorised.decision.grant is not None
    return TransferRow(
        id=who.received.transfer,
        state=after(None, event).value,
        pattern=who.operation.pattern.value,
        caller_system=who.caller.id,
        caller_agency=who.caller.agency,
        contract=who.contract.contract.name,
        bundle=who.contract.digest,
        operation=who.operation.name,
        message_id=who.message_id,
        payload_digest=who.authenticated.payload_digest,
        grant_id=decoded.authorised.decision.grant.id,
        provider=provider.id if provider is not None else None,
        process=process,
        idempotent=who.operation.idempotent and who.operation.pattern is Pattern.DISPATCH,
        received=who.received.at,
        committed=now,
    )


def canonical(who: Requested, message: Message) -> bytes:
    """The request as canonical JSON."""
    return who.contract.codec("canonical").write_json(who.request, message)


def canonical_answer(who: Requested, answer: Message) -> bytes:
    """The answer as canonical JSON."""
    return who.contract.codec("canonical").write_json(who.operation.answer, answer)


def event(decoded: Decoded, now: float) -> str:
    """The CloudEvents 1.0 attributes of a submitted message; its data is added from the vault when it is read."""
    who = decoded.requested
    event = {
        "specversion": "1.0",
        "id": who.received.transfer,
        "source": f"urn:lgsp:system:{who.caller.id}",
        "type": f"{who.contract.namespace}:{who.operation.name}",
        "time": rfc3339(now),
        "datacontenttype": "application/json",
        "lgspagency": who.caller.agency,
        "lgspformat": who.format,
        "lgspbundle": who.contract.digest,
    }
    key = decoded.message.get(who.operation.key) if who.operation.key else None
    if isinstance(key, str):
        event["subject"] = key
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def receipt_text(receipt: Receipt) -> str:
    """The leaves of a receipt as the transfer's row keeps them."""
    leaves = {"intent": receipt.intent, "outcome": receipt.outcome}
    return json.dumps({name: base64.b64encode(leaf).decode() for name, leaf in leaves.items() if leaf is not None})


def receipt_of(transfer: str, text: object) -> Receipt:
    """The reverse; a transfer without an outcome has no leaves there."""
    leaves = json.loads(str(text)) if text else {}
    return Receipt(transfer, **{name: base64.b64decode(leaf) for name, leaf in leaves.items()})

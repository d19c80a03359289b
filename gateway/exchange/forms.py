"""What the exchange writes and shows of a transfer: canonical bodies, masked answers, feed events, receipts, a failure told once more."""

from __future__ import annotations

import base64
import json

import gateway.exchange.failures  # noqa: F401  registers the code that stands for an unknown one
from contracts.base.errors import KINDS, Branch, Failure, Ours, Policy, Theirs
from contracts.base.times import rfc3339
from contracts.canonical.model import Pattern
from gateway.exchange.stages import Authorised, Decoded, Message, Receipt, Requested
from gateway.exchange.states import State
from gateway.journal.write import TransferRow
from gateway.registry.records import System


def masked(authorised: Authorised, answer: Message) -> Message:
    """What the grant lets the caller see. The answer to a message handed in is our own word, the first time and again: nothing of it is hidden."""
    who = authorised.requested
    if who.operation.pattern is Pattern.SUBMIT:
        return answer
    mask = who.snapshot.mask(who.contract, who.operation.answer, authorised.decision.views)
    return answer if mask is None else mask(answer)


def row_of(
    decoded: Decoded,
    now: float,
    process: str,
    *,
    state: State,
    provider: System | None,
    answered: Receipt | None = None,
) -> TransferRow:
    """The row of a new transfer."""
    who = decoded.requested
    assert decoded.authorised.decision.grant is not None
    return TransferRow(
        id=who.received.transfer,
        state=state.value,
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
        finished=now if answered is not None else None,
        status=200 if answered is not None else None,
        answer_ref=f"{who.received.transfer}/answer" if answered is not None else None,
        receipt=receipt_text(answered) if answered is not None else None,
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


def again(code: str, transfer: str) -> Failure:
    """The failure that a transfer ended with, told once more to the caller who repeats it."""
    kind = KINDS.get(code, KINDS["transfer.in-doubt"])
    branch = {Branch.THEIRS: Theirs, Branch.POLICY: Policy, Branch.OURS: Ours}[kind.branch]
    return branch(kind.code, transfer=transfer)

"""What the contract keeps of a call, and what the grant shows of its answer."""

from __future__ import annotations

from contracts.canonical.model import Pattern
from gateway.transfer.stages import Authorised, Message, Requested
from gateway.vault.classes import Keeping, keeping


def keep_of(requested: Requested) -> Keeping:
    """What the contract keeps of such a call."""
    contract = requested.contract.contract
    return keeping(contract.evidence, contract.retention_months, requested.operation.pattern)


def masked(authorised: Authorised, answer: Message) -> Message:
    """The answer as the grant shows it. The answer to a submitted message is the gateway's own and is not masked."""
    requested = authorised.requested
    if requested.operation.pattern is Pattern.SUBMIT:
        return answer
    mask = requested.snapshot.mask(requested.contract, requested.operation.answer, authorised.decision.views)
    return answer if mask is None else mask(answer)

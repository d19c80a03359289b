"""Holds what a message says about opaque bodies against what its agency uploaded (`gateway.vault.opaque_bodies`).

A field whose whole value is a reference names a body. Its agency uploaded it for this operation, not longer ago than
`seconds`. The transfer is written with a row for each body that it names, in the transaction of its intent.
Invariant: a reference to a body of another agency is refused as one to a body that does not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from contracts.base.errors import Finding
from contracts.canonical.model import Contract, Operation, Pattern
from contracts.wire.body_references import PREFIX, BodyReference, references_in
from gateway.exchange.errors import BODY_NOT_FOR_OPERATION, BODY_NOT_YOURS
from gateway.journal.write import BodyUse
from gateway.transfer.stages import Decoded, Face, Requested
from gateway.vault.attachments import opener
from gateway.vault.classes import keeping
from gateway.vault.opaque_bodies import Described, description
from gateway.vault.vault import Vault

MOST: Final = 32  # bodies that one message may name
HOURS: Final = 24.0
_HOUR: Final = 3600.0
_MARK: Final = PREFIX.encode()


def retention_of(contract: Contract, operation: Operation) -> str:
    """The class of the bodies of such messages: they are kept as the message is. `body.not-for-operation` if it is not
    kept, or is only a question.
    """
    kept = None
    if contract.evidence != "none" and operation.pattern is not Pattern.QUERY:
        kept = keeping(contract.evidence, contract.retention_months, operation.pattern).of("canonical")
    if kept is None:
        raise BODY_NOT_FOR_OPERATION(contract=contract.name, operation=operation.name)
    return kept


@dataclass(frozen=True, slots=True)
class OpaqueBodies:
    """`exists`: whether a message came before. `seconds`: how long a body waits for a document."""

    engine: Engine
    vault: Vault
    clock: Callable[[], float]
    exists: Callable[[Requested], bool]
    seconds: float = HOURS * _HOUR

    async def uses(self, decoded: Decoded) -> tuple[BodyUse, ...]:
        """The bodies that the message names. Raises `body.not-yours` with a finding for each wrong reference."""
        requested = decoded.requested
        if requested.operation.pattern is Pattern.QUERY or not _may_name(requested):
            return ()
        named = list(references_in(decoded.message))
        if not named:
            return ()
        retention_of(requested.contract.contract, requested.operation)
        wrong = [path for path, _ in named[MOST:]] or await asyncio.to_thread(self._wrong, requested, named)
        if wrong and not await asyncio.to_thread(self.exists, requested):  # a repeat is answered as before
            expected = f"a reference to a body that this agency uploaded for this operation; at most {MOST}"
            findings = [Finding("", path, "a reference", "body", expected) for path in wrong]
            raise BODY_NOT_YOURS(findings=findings, count=len(findings))
        transfer = requested.received.transfer
        return tuple(BodyUse(body, transfer) for body in sorted({reference.body for _, reference in named}))

    def _wrong(self, requested: Requested, named: list[tuple[str, BodyReference]]) -> list[str]:
        """The paths of references to anything else than what this agency uploaded for this operation."""
        known: dict[str, Described | None] = {}
        opened, now = opener(self.engine, self.vault), self.clock()
        for _, reference in named:
            if reference.body not in known:
                waits = 0 <= now - _begun(reference.body) + 1 <= self.seconds
                known[reference.body] = description(opened, reference.body) if waits else None
        wrong = []
        for path, reference in named:
            body = known[reference.body]
            mine = (requested.caller.agency, requested.contract.contract.name, requested.operation.name)
            if (
                body is None
                or body.encrypted < (requested.contract.contract.protection == "encrypted")  # it came in clear
                or (body.agency, body.contract, body.operation) != mine
                or body.reference(reference.body) != reference
            ):
                wrong.append(path)
        return wrong


def _may_name(requested: Requested) -> bool:
    """Whether the text of a reference is in what came: cheap, and never wrong but where file or cipher hides it."""
    hidden = requested.received.face is Face.FILES or requested.contract.contract.protection == "encrypted"
    return hidden or _MARK in requested.received.body


def _begun(body: str) -> float:
    """The time in a UUIDv7, in Unix seconds (RFC 9562 §5.7)."""
    return int(body[:8] + body[9:13], 16) / 1000

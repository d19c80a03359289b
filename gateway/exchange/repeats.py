"""Gives the recorded end of a transfer again: to a repeat of its message, and to a caller who comes for its answer.

Invariant: the answer is masked by what the caller may see now, and giving it is an entry of the log.
Invariant: what a quota counted at the first call is not counted again (`quotas.decide_repeat`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from contracts.base.errors import Ours
from contracts.canonical.model import Pattern
from contracts.wire.jsontext import read_json
from gateway.exchange.errors import MESSAGE_ANSWER_GONE, MESSAGE_REPLAYED
from gateway.exchange.quotas import Quotas, grant_query, refused
from gateway.exchange.refusal_log import RefusalLog
from gateway.exchange.repeat_check import RecordedEnd, message_id, recorded_end, repeat_answer
from gateway.exchange.terms import masked
from gateway.journal.database import snapshot
from gateway.journal.write import ReplayKey, Verdict
from gateway.transfer import entries, outcome
from gateway.transfer.stages import Answered, Receipt, Requested
from gateway.transfer.states import State
from gateway.transfer.transfer_records import has_answer, receipt_of
from gateway.vault.errors import TRANSFER_TAMPERED
from gateway.vault.vault import Vault

log = logging.getLogger("lgsp.exchange")


@dataclass(slots=True)
class Repeats:
    """One for each process."""

    engine: Engine
    vault: Vault
    quotas: Quotas
    refusals: RefusalLog
    hash_id: Callable[[str], str]
    clock: Callable[[], float]

    async def recorded(self, requested: Requested, first: str, *, by_key: bool = False) -> RecordedEnd:
        """The recorded end of the transfer `first`, checked against log and vault in one snapshot.

        `by_key`: that transfer has the content of this message, and a message id of its own.
        """
        return await asyncio.to_thread(self._recorded, requested, first, by_key)

    async def again(
        self, requested: Requested, first: str, end: RecordedEnd, replay: ReplayKey | None = None
    ) -> Answered:
        """The end of the transfer `first`, or that it has not ended. `replay` is that of a call that wrote none yet."""
        later = end.state in (State.QUEUED, State.FORWARDING)
        status = 202 if later else end.status or 502
        now = self.clock()
        authorised, uses = await self.quotas.decide_repeat(requested, first, now)
        verdict = await self.refusals.log(entries.repeat(requested, first, status, now), uses, replay)
        if verdict is Verdict.FULL:
            raise refused(grant_query(requested))
        if verdict is Verdict.REPLAYED:
            raise MESSAGE_REPLAYED()
        if later:  # its row has no receipt yet
            return Answered(requested, Receipt(first, intent=end.intent), queued=True)
        receipt = receipt_of(first, end.receipt)
        if end.state is State.ACCEPTED and requested.operation.pattern is Pattern.DISPATCH:
            return Answered(requested, receipt, kept=True)
        if has_answer(end.state, requested.operation.pattern):
            if end.answer is None:  # past its retention, or never kept
                raise MESSAGE_ANSWER_GONE(transfer=first)
            return Answered(requested, receipt, answer=masked(authorised, read_json(end.answer)))
        return Answered(requested, receipt, failure=repeat_answer(end.failure or outcome.UNKNOWN, first))

    def _recorded(self, requested: Requested, first: str, by_key: bool) -> RecordedEnd:
        try:
            with snapshot(self.engine) as connection:
                message = message_id(connection, first) if by_key else requested.message_id
                return recorded_end(connection, self.vault, first, self.hash_id(message))
        except Ours as failure:
            if failure.code == TRANSFER_TAMPERED.code:
                log.critical(
                    "transfer %s: %s was changed in the database; a repeat is not answered",
                    first,
                    failure.facts["what"],
                )
            raise

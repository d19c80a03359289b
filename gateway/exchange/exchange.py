"""One transfer from authentication to outcome: what all doors do alike, written once.

Invariants
- Nothing is forwarded before the intent is committed; no answer leaves before its outcome, with the provider's signed
  bytes, is.
- Freshness is final only at commit: the replay key and the message id are unique rows of the intent's transaction.
- A repeat (same id, same payload, fresh signature) gets the stored answer; it is logged, and appears nowhere twice.
- Every refusal is in the log before the caller hears of it (but for what a flood of callers who proved nothing adds up
  to: `floods`). If even that cannot be written, the caller is told that the gateway is unavailable, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine

from contracts.base.errors import Branch, Failure, Ours
from contracts.base.randomness import random_bytes
from contracts.base.times import rfc3339
from contracts.canonical.model import Pattern
from contracts.wire.jsontext import read_json
from gateway.delivery.forwarder import Forwarder
from gateway.errors import GATEWAY_FAULT
from gateway.exchange.doors import Door, Reading
from gateway.exchange.errors import (
    MESSAGE_ANSWER_GONE,
    MESSAGE_IN_PROGRESS,
    MESSAGE_OTHER_BODY,
    MESSAGE_REPLAYED,
    OPERATION_NEWER,
    ROUTE_NONE,
    ROUTE_SUSPENDED,
)
from gateway.exchange.floods import SECONDS, Floods, Sum
from gateway.exchange.quotas import Quotas, UsedUp, asked_by, decide, refused, uses_of
from gateway.exchange.repeat_check import ANSWERED, Stood, repeat_answer, stood
from gateway.journal.database import snapshot
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import FeedRow, LogRow, QueueRow, QuotaUse, VaultRow, Verdict, Write
from gateway.journal.writer import Journal
from gateway.registry.records import System
from gateway.transfer import entries, outcome
from gateway.transfer.evidence_parts import request_parts
from gateway.transfer.stages import (
    Addressed,
    Answered,
    Authorised,
    Committed,
    Decoded,
    Doubt,
    Ending,
    Message,
    OpenTransfer,
    Reached,
    Receipt,
    Refused,
    Requested,
    authenticated_of,
    received_of,
)
from gateway.transfer.states import Event, State
from gateway.transfer.transfer_records import canonical, canonical_answer, event, receipt_of, row_of
from gateway.vault import binding
from gateway.vault.classes import Keeping, Parts, keeping
from gateway.vault.errors import TRANSFER_TAMPERED
from gateway.vault.vault import Vault
from security.transparency.entry import SALT

BUSY_SECONDS: Final = 1
log = logging.getLogger("lgsp.exchange")


@dataclass(slots=True)
class Exchange:
    """Carries transfers. Shared by all doors of one process; holds no state of any transfer between two calls."""

    journal: Journal
    vault: Vault
    forwarder: Forwarder
    engine: Engine
    process: str
    hash_id: Callable[[str], str]  # keyed hash of a message id, for the log
    clock: Callable[[], float]
    provider_seconds: float
    gate: Callable[[], None] = lambda: None  # raises while new transfers must wait
    floods: Floods = field(default_factory=Floods)
    quotas: Quotas = field(init=False)
    _writing: set[asyncio.Future[Verdict]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.engine)

    async def carry(self, addressed: Addressed, door: Door, reading: Reading | None = None) -> Answered | Refused:
        """`reading`: of a costly body, where its bytes are looked at."""
        reached: Reached = addressed
        try:
            if reading is None:
                reached = authenticated = door.authenticate(addressed)
                reached = requested = door.request(authenticated)
            else:
                reached = authenticated = await reading.run(door.authenticate, addressed)
                reached = requested = await reading.run(door.request, authenticated)
            authorised = self.authorise(requested)
            self.gate()
            authorised = await self.quotas.look(authorised)
            if reading is None:
                message = door.decode(authorised)
            else:
                message = await reading.decode(authorised)
                reading.end()
            decoded = Decoded(authorised, message)
            while True:
                try:
                    return await self._commit(decoded)
                except UsedUp as full:  # once a grant at most
                    decoded = self.quotas.anew(decoded, full)
        except Failure as failure:
            return await self.refuse(reached, failure)

    def authorise(self, requested: Requested) -> Authorised:
        caller, contract, operation = requested.caller, requested.contract.contract, requested.operation
        if operation.name not in requested.codec.rest:
            raise OPERATION_NEWER(contract=contract.name, version=caller.pin(contract.name), operation=operation.name)
        return Authorised(requested, decide(asked_by(requested)))

    # --- intent -------------------------------------------------------------------------------------------------------

    async def _commit(self, decoded: Decoded) -> Answered | Refused:
        who = decoded.requested
        if who.operation.pattern is Pattern.SUBMIT:
            return await self._submit(decoded)
        provider = self._provider(decoded)
        dispatch = who.operation.pattern is Pattern.DISPATCH
        put_aside = dispatch and self.forwarder.is_open(provider.id)
        now = self.clock()
        salt = random_bytes(SALT)
        intent = entries.intent(decoded, provider, salt, now, self.hash_id)
        row = row_of(decoded, provider, now, self.process, Event.PUT_ASIDE if put_aside else Event.SENT_NOW)
        parts = request_parts(who, salt)
        if dispatch:
            parts.append(("canonical", canonical(who, decoded.message)))
        bound = binding.of_transfer(intent.leaf, row)
        write = Write(
            replay=who.authenticated.replay,
            transfer=row,
            log=(intent,),
            vault=self._sealed(who, parts, now, {"request": bound, "canonical": bound}),
            queue=QueueRow(row.id, provider.id, f"{row.id}/canonical", now) if put_aside else None,
            quota=uses_of(decoded.authorised.decision, who.caller.agency, now),
        )
        done = await self._write_new(decoded, write)
        if done is not None:
            return done
        if put_aside:
            return Answered(who, Receipt(row.id, intent=intent.leaf), queued=True)
        transfer = OpenTransfer(
            id=row.id, process=self.process, provider=provider.id, keep=keep_of(who), salt=salt, intent=intent.leaf
        )
        return await self._forward(Committed(decoded, provider, transfer))

    def _provider(self, decoded: Decoded) -> System:
        who = decoded.requested
        snapshot = who.snapshot
        name = snapshot.route(who.contract.contract.name, who.operation.name, decoded.message)
        if name is None:
            raise ROUTE_NONE(contract=who.contract.contract.name, operation=who.operation.name)
        provider = snapshot.systems[name]
        if not provider.active:
            raise ROUTE_SUSPENDED(system=provider.id)
        return provider

    async def _submit(self, decoded: Decoded) -> Answered | Refused:
        """Hand in: intent, feed and outcome in one transaction, since nobody else is asked."""
        who = decoded.requested
        transfer, now = who.received.transfer, self.clock()
        answer: Message = {"transfer": transfer, "messageId": who.message_id, "acceptedAt": rfc3339(now)}
        salt = random_bytes(SALT)
        intent = entries.intent(decoded, None, salt, now, self.hash_id)
        answer_json = canonical_answer(who, answer)
        new = OpenTransfer(transfer, self.process, None, salt=salt, intent=intent.leaf)
        how = Ending(event=Event.HANDED_IN, at=now, status=200, answer=answer_json)
        row, accepted, receipt = outcome.end_new(row_of(decoded, None, now, self.process, how.event), new, how)
        feed = FeedRow(row.contract, transfer, event(decoded, now), f"{transfer}/canonical")
        bound = {
            "request": binding.of_transfer(intent.leaf, row),
            "canonical": binding.of_event(feed.contract, feed.event),
            "answer": accepted.leaf,
        }
        parts = [*request_parts(who, salt), ("canonical", canonical(who, decoded.message)), ("answer", answer_json)]
        write = Write(
            replay=who.authenticated.replay,
            transfer=row,
            log=(intent, accepted),
            vault=self._sealed(who, parts, now, bound),
            feed=feed,
            quota=uses_of(decoded.authorised.decision, who.caller.agency, now),
        )
        done = await self._write_new(decoded, write)
        return done if done is not None else Answered(who, receipt, answer=answer)

    async def _write_new(self, decoded: Decoded, write: Write) -> Answered | Refused | None:
        """Commit a new transfer; None if it stands, else the end of the matter."""
        written = await self.journal.commit(write)
        if written.verdict is Verdict.COMMITTED:
            return None
        who = decoded.requested
        if written.verdict is Verdict.REPLAYED:
            raise MESSAGE_REPLAYED()
        if written.verdict is Verdict.FULL:
            raise UsedUp(written.full)
        if written.verdict is Verdict.FENCED:
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)
        assert written.existing is not None
        return await self._repeat(who, written.existing)

    # --- forward and outcome ------------------------------------------------------------------------------------------

    async def _forward(self, committed: Committed) -> Answered:
        transfer = committed.open
        try:
            incoming = await self.forwarder.forward(committed, self.provider_seconds)
        except Failure as failure:
            return await self._forward_failed(committed, failure)
        except Exception as fault:  # a mistake of ours; whether the provider acted is not known
            log.exception("transfer %s: unexpected fault while forwarding", transfer.id)
            return await self._forward_failed(
                committed, GATEWAY_FAULT(transfer=transfer.id, fault=type(fault).__name__)
            )
        who = committed.requested
        answer = canonical_answer(who, incoming.answer)
        how = Ending(event=Event.ANSWER_CAME, at=self.clock(), status=200, call=incoming, answer=answer)
        receipt = await self._end(transfer, how)
        return Answered(who, receipt, answer=masked(committed.decoded.authorised, incoming.answer))

    async def _forward_failed(self, committed: Committed, failure: Failure) -> Answered:
        who, transfer, now = committed.requested, committed.open, self.clock()
        may_have_acted = getattr(failure, "may_have_acted", True)
        refused = failure.branch is not Branch.OURS or getattr(failure, "final", False)  # the provider itself said no
        waits = who.operation.pattern is Pattern.DISPATCH and not refused
        if waits and (who.operation.idempotent or not may_have_acted):
            queue = self.forwarder.queue_row(transfer, failure, now)
            await self._record(outcome.put_aside(transfer, queue, entries.put_aside(transfer, failure, now)))
            return Answered(who, Receipt(transfer.id, intent=transfer.intent), queued=True)
        if waits:
            await self._record(outcome.unknown(transfer, Doubt(now, self.process, failure.code), failure))
            return Answered(who, Receipt(transfer.id, intent=transfer.intent), failure=failure)
        event = Event.PROVIDER_REFUSED if refused else Event.PROVIDER_DOWN
        receipt = await self._end(transfer, Ending(event, now, failure.status, failure.code, failure))
        return Answered(who, receipt, failure=failure)

    async def _end(self, transfer: OpenTransfer, how: Ending) -> Receipt:
        write, receipt = outcome.end(transfer, how, self.vault)
        await self._record(write)
        return receipt

    async def _record(self, write: Write) -> None:
        written = await self.journal.commit(write)
        if written.verdict is not Verdict.COMMITTED:
            # The keeper took this process for dead and closed the transfer as in-doubt: its word stands, ours is void.
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)

    # --- repeats ------------------------------------------------------------------------------------------------------

    async def _repeat(self, who: Requested, row: Mapping[str, Any]) -> Answered:
        first = str(row["id"])
        stood = await asyncio.to_thread(self._stood, who, first)
        if stood.payload_digest != who.authenticated.payload_digest:
            raise MESSAGE_OTHER_BODY(message=who.message_id)
        state = stood.state
        if state is State.FORWARDING:
            raise MESSAGE_IN_PROGRESS(retry_after=BUSY_SECONDS, transfer=first)
        status = 202 if state is State.QUEUED else stood.status or 502
        now = self.clock()
        authorised, uses = await self.quotas.again(who, first, now)
        if await self._log(entries.repeat(who, first, status, now), uses) is Verdict.FULL:
            raise refused(asked_by(who))
        receipt = receipt_of(first, stood.receipt)
        if state is State.QUEUED:
            return Answered(who, receipt, queued=True)
        if state in ANSWERED:
            if stood.answer is None:  # destroyed by retention, or never kept: what was done then stands all the same
                raise MESSAGE_ANSWER_GONE(transfer=first)
            return Answered(who, receipt, answer=masked(authorised, read_json(stood.answer)))
        return Answered(who, receipt, failure=repeat_answer(stood.failure or outcome.UNKNOWN, first))

    def _stood(self, who: Requested, first: str) -> Stood:
        """In a thread: what stands of the transfer, held against the log and the vault in one moment of the database."""
        try:
            with snapshot(self.engine) as connection:
                return stood(connection, self.vault, first, self.hash_id(who.message_id))
        except Ours as failure:
            if failure.code == TRANSFER_TAMPERED.code:
                log.critical(
                    "transfer %s: %s was changed in the database; a repeat is not answered",
                    first,
                    failure.facts["what"],
                )
            raise

    # --- refusals -----------------------------------------------------------------------------------------------------

    async def refuse(self, reached: Reached, failure: Failure) -> Refused:
        """Put a refusal into the log, then tell. A fault of the journal itself cannot be logged; it is told all the
        same.
        """
        received, authenticated = received_of(reached), authenticated_of(reached)
        if authenticated is None and entries.by_channel(received) is None:
            flood = self.floods.sum_of(received, failure)
            if flood is not None:
                if flood.count == 1:
                    asyncio.get_running_loop().call_later(SECONDS, self._end_flood, flood)
                return Refused(received, failure, Receipt(flood.received.transfer), None)
        entry = entries.refusal(reached, failure, self.clock(), self.hash_id)
        try:
            await self._log(entry)
        except Ours as broken:
            return Refused(received, broken, Receipt(received.transfer), authenticated)
        return Refused(received, failure, Receipt(received.transfer, refusal=entry.leaf), authenticated)

    def _end_flood(self, flood: Sum) -> None:
        if not self.floods.end(flood):
            return
        entry = entries.refusal(flood.received, flood.failure, self.clock(), self.hash_id, count=flood.count)
        task = asyncio.ensure_future(self._log(entry))
        self._writing.add(task)
        task.add_done_callback(self._flood_written)

    async def close(self) -> None:
        """Write what is still being summed up; no call comes any more."""
        for flood in self.floods.under_way():
            self._end_flood(flood)
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _flood_written(self, task: asyncio.Future[Verdict]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("refusals that were summed up could not be logged: %s", task.exception())

    async def _log(self, entry: LogRow, uses: tuple[QuotaUse, ...] = ()) -> Verdict:
        """Commit one entry, unless what it counts against is used up. A process that the keeper took for dead writes
        nothing, so it may not tell what the entry speaks of either.
        """
        written = await self.journal.commit(Write(log=(entry,), quota=uses))
        if written.verdict not in (Verdict.COMMITTED, Verdict.FULL):
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)
        return written.verdict

    # --- small parts --------------------------------------------------------------------------------------------------

    def _sealed(
        self, who: Requested, parts: Parts, now: float, bound: Mapping[str, bytes] = binding.NONE
    ) -> tuple[VaultRow, ...]:
        return self.vault.seal_kept(keep_of(who), who.received.transfer, parts, now, bound)


def keep_of(who: Requested) -> Keeping:
    """What the contract keeps of such a call."""
    contract = who.contract.contract
    return keeping(contract.evidence, contract.retention_months, who.operation.pattern)


def masked(authorised: Authorised, answer: Message) -> Message:
    """What the grant lets the caller see. The answer to a message handed in is our own word, the first time and again:
    nothing of it is hidden.
    """
    who = authorised.requested
    if who.operation.pattern is Pattern.SUBMIT:
        return answer
    mask = who.snapshot.mask(who.contract, who.operation.answer, authorised.decision.views)
    return answer if mask is None else mask(answer)

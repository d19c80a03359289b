"""Carries a transfer from authentication to outcome, the same way for all doors.

Invariant: nothing is forwarded before the intent is committed. No answer leaves before its outcome is committed with
  the provider's signed bytes.
Invariant: what no grant lets the provider receive is refused before the intent (`gateway.registry.receiving`).
Invariant: freshness is final only at commit. The replay key and the message id are unique rows of the intent's
  transaction.
Invariant: a repeat (same id, same payload, fresh signature) gets the stored answer. It is logged, and creates no second
  transfer.
Invariant: a refusal is logged before the caller gets it. Floods of unproven callers are logged as sums (`floods`). If
  the log cannot be written, the caller is only told that the gateway is unavailable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from contracts.base.errors import Branch, Failure
from contracts.base.randomness import random_bytes
from contracts.base.times import rfc3339
from contracts.canonical.model import Pattern
from contracts.wire.jsontext import read_json
from gateway.delivery.forwarder import Forwarder
from gateway.delivery.queue import PRIORITIES
from gateway.errors import GATEWAY_FAULT
from gateway.exchange import addressee, large_contents, sources
from gateway.exchange.addressee import NO_SYSTEM, Here, provider_of, route_of
from gateway.exchange.admission import Judges, admitted
from gateway.exchange.business_keys import TRIES, BusinessKeys, KeysChanged
from gateway.exchange.doors import Door, Reading
from gateway.exchange.errors import (
    MESSAGE_ANSWER_GONE,
    MESSAGE_IN_PROGRESS,
    MESSAGE_OTHER_BODY,
    MESSAGE_REPLAYED,
    OPERATION_NEWER,
    TRANSFER_OUTCOME_UNWRITTEN,
)
from gateway.exchange.feed_answer import unit, value_or_failure
from gateway.exchange.measured import measured
from gateway.exchange.opaque_bodies import HOURS, OpaqueBodies
from gateway.exchange.outcomes import Outcomes, patience_of
from gateway.exchange.placing import placed
from gateway.exchange.queueing import Backlog, first_place
from gateway.exchange.quotas import NO_LIMITS, Quotas, UsedUp, VendorLimits, decide, grant_query, uses_of
from gateway.exchange.refusal_log import BUSY_SECONDS, RefusalLog
from gateway.exchange.repeats import Repeats
from gateway.exchange.terms import keep_of, masked
from gateway.feeds.keys import Settled
from gateway.journal.errors import JOURNAL_BUSY, JOURNAL_FENCED
from gateway.journal.write import FeedRow, LogRow, VaultRow, Verdict, Write
from gateway.journal.writer import Journal
from gateway.registry.receiving import receive
from gateway.registry.routing import FEED
from gateway.transfer import entries, outcome
from gateway.transfer.evidence_parts import parts_of
from gateway.transfer.large_body import HEAVY, off_loop
from gateway.transfer.shown_findings import shown, told
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
)
from gateway.transfer.states import Event, State
from gateway.transfer.transfer_records import canonical_answer, event, facts_of, fed, receipt_of, row_of
from gateway.vault import attachments, binding
from gateway.vault.classes import Parts
from gateway.vault.vault import Vault
from security.transparency.entry import SALT

log = logging.getLogger("lgsp.exchange")


@dataclass(slots=True)
class Exchange:
    """Carries transfers for all doors of one process. Keeps no state of a transfer between two calls."""

    journal: Journal
    vault: Vault
    forwarder: Forwarder
    engine: Engine
    process: str
    hash_id: Callable[[str], str]  # keyed hash of a message id, for the log
    clock: Callable[[], float]
    provider_seconds: float
    admit: Callable[[], None] = lambda: None  # raises while new transfers must wait
    opaque_hours: float = HOURS  # how long an opaque body waits for its document
    judges: Judges = field(default_factory=dict)  # of messages that the gateway itself acts on
    vendors: VendorLimits = NO_LIMITS  # of the tenants of a sandbox
    quotas: Quotas = field(init=False)
    refusals: RefusalLog = field(init=False)
    keys: BusinessKeys = field(init=False)
    repeats: Repeats = field(init=False)
    backlog: Backlog = field(init=False)
    outcomes: Outcomes = field(init=False)
    bodies: OpaqueBodies = field(init=False)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.engine, self.vendors)
        seconds = self.opaque_hours * 3600
        self.bodies = OpaqueBodies(self.engine, self.vault, self.clock, self.quotas.exists, seconds)
        self.refusals = RefusalLog(self.journal, self.hash_id, self.clock)
        self.keys = BusinessKeys(self.engine, self.hash_id)
        self.backlog = Backlog(self.engine, self.clock)
        self.outcomes = Outcomes(self.journal, patience_of(self.engine))
        self.repeats = Repeats(self.engine, self.vault, self.quotas, self.refusals, self.hash_id, self.clock)

    @measured
    async def carry(self, addressed: Addressed, door: Door, reading: Reading | None = None) -> Answered | Refused:
        """Carries one call. `reading` reads a costly body; without it the body is read on the event loop."""
        reached: Reached = addressed
        try:
            if reading is None:
                reached = authenticated = door.authenticate(addressed)
                reached = requested = door.request(authenticated)
            else:
                reached = authenticated = await reading.run(door.authenticate, addressed)
                reached = requested = await reading.run(door.request, authenticated)
            authorised = self.authorise(requested)
            self.admit()
            authorised = await self.quotas.precheck(authorised)
            if reading is None:
                message = door.decode(authorised)
            else:
                message = await reading.decode(authorised)
                reading.end()
            large_contents.check(requested, message)
            await sources.check(requested, message)
            decoded = Decoded(authorised, message)
            decoded = decoded._replace(uses=await self.bodies.uses(decoded))
            while True:
                try:
                    return await self._commit(decoded)
                except UsedUp as full:  # at most once for each grant
                    decoded = self.quotas.decide_again(decoded, full)
        except Failure as failure:
            return await self.refusals.refuse(reached, placed(failure, reached, door))

    def authorise(self, requested: Requested) -> Authorised:
        caller, contract, operation = requested.caller, requested.contract.contract, requested.operation
        if not requested.codec.supports(operation.name):
            raise OPERATION_NEWER(contract=contract.name, version=caller.pin(contract.name), operation=operation.name)
        return Authorised(requested, decide(grant_query(requested)))

    # --- intent -------------------------------------------------------------------------------------------------------

    async def _commit(self, decoded: Decoded) -> Answered | Refused:
        requested = decoded.requested
        if requested.operation.pattern is Pattern.SUBMIT:
            return await self._submit(decoded)
        route = route_of(decoded)
        if route == FEED:
            return await self._from_feed(decoded)
        if route == NO_SYSTEM:
            return await self._keep(decoded)
        provider = provider_of(decoded, route)
        dispatch = requested.operation.pattern is Pattern.DISPATCH
        put_aside = requested.later or dispatch and self.forwarder.is_open(provider.id)
        if put_aside:
            await self.backlog.check(provider.id)
        now = self.clock()
        receiving = receive(requested.snapshot, provider, requested.contract, requested.operation, now)
        salt = random_bytes(SALT)
        heavy, spool, ahead = requested.received.heavy, requested.received.spool, requested.received.ahead
        intent = await off_loop(heavy, entries.intent, decoded, (provider, receiving), salt, now, self.hash_id)
        row = row_of(decoded, provider, now, self.process, Event.PUT_ASIDE if put_aside else Event.SENT_NOW)
        bound = dict.fromkeys(("request", "canonical", attachments.PART), binding.of_transfer(intent.leaf, row))
        parts = await off_loop(heavy, parts_of, decoded, salt, dispatch or put_aside)
        write = Write(
            replay=requested.authenticated.replay,
            transfer=row,
            log=(intent,),
            vault=await off_loop(heavy, self._sealed, requested, parts, now, bound),
            queue=first_place(decoded, row, self.hash_id, now) if put_aside else None,
            quota=uses_of(decoded.authorised.decision, requested.caller.agency, now, self.vendors, ahead),
            uses=decoded.uses,
        )
        done = await self._write_new(decoded, write)
        if done is not None:
            return done
        if put_aside:
            return Answered(requested, Receipt(row.id, intent=intent.leaf), queued=True)
        keep = keep_of(requested)
        told = fed(requested.operation, row)
        if told is not None:
            what = (requested.contract, requested.operation, decoded.message, now + ahead)
            told = told._replace(facts=await off_loop(heavy, facts_of, *what))
        transfer = OpenTransfer(
            row.id,
            self.process,
            provider.id,
            keep=keep,
            salt=salt,
            intent=intent.leaf,
            fed=told,
            spool=spool,
            heavy=heavy,
            fault=requested.received.fault,
            ahead=ahead,
        )
        try:
            return await self._forward(Committed(decoded, provider, receiving, transfer))
        except Failure as failure:
            if failure.code != TRANSFER_OUTCOME_UNWRITTEN.code:
                raise
            return Answered(requested, Receipt(row.id, intent=intent.leaf), failure=failure)

    async def _submit(self, decoded: Decoded) -> Answered | Refused:
        """Compares the business keys with the feed, and writes. Another door may change them meanwhile: then again."""
        requested, keys = decoded.requested, self.keys
        claimed = await keys.claim(decoded)
        known = await keys.read(claimed) if claimed is not None and claimed.refers is not None else {}
        for _try in range(TRIES):
            settled = await keys.settle(claimed, known, requested.received.transfer)
            if settled.repeats is not None:
                return await self._repeat_of_content(requested, settled.repeats)
            done = await self._hand_in(decoded, settled)
            if done is not None:
                return done
            known = await keys.read(claimed)
        raise JOURNAL_BUSY(retry_after=BUSY_SECONDS)

    async def _hand_in(self, decoded: Decoded, settled: Settled) -> Answered | Refused | None:
        """Writes intent, feed event, business keys and outcome in one transaction: no provider is called. None if a key
        was changed meanwhile.
        """
        requested = decoded.requested
        transfer, now = requested.received.transfer, self.clock()
        admission = await admitted(self.judges, decoded, self.quotas)
        ahead = requested.received.ahead
        answer: Message = {"transfer": transfer, "messageId": requested.message_id, "acceptedAt": rfc3339(now + ahead)}
        if admission is not None:
            answer |= admission.told
        salt = random_bytes(SALT)
        heavy = requested.received.heavy
        intent = await off_loop(heavy, entries.intent, decoded, None, salt, now, self.hash_id)
        answer_json = canonical_answer(requested, answer)
        new = OpenTransfer(transfer, self.process, None, salt=salt, intent=intent.leaf, ahead=ahead)
        how = Ending(event=Event.HANDED_IN, at=now, status=200, answer=answer_json, keys=settled.new)
        row, accepted, receipt = outcome.end_new(row_of(decoded, None, now, self.process, how.event), new, how)
        text = await off_loop(heavy, event, decoded, now, settled.kind, settled.replaces)
        feed = FeedRow(row.contract, transfer, text, f"{transfer}/canonical")
        bound = {
            "request": binding.of_transfer(intent.leaf, row),
            "canonical": binding.of_event(feed.contract, feed.event),
            "answer": accepted.leaf,
        }
        parts = [*await off_loop(heavy, parts_of, decoded, salt, True), ("answer", answer_json)]
        write = Write(
            replay=requested.authenticated.replay,
            transfer=row,
            log=(intent, accepted),
            vault=await off_loop(heavy, self._sealed, requested, parts, now, bound),
            feed=(feed,),
            quota=uses_of(decoded.authorised.decision, requested.caller.agency, now, self.vendors, ahead),
            keys=settled.rows,
            uses=decoded.uses,
        )
        if admission is not None:
            write = admission.added_to(write)
        try:
            done = await self._write_new(decoded, write)
        except KeysChanged:
            return None
        return done if done is not None else Answered(requested, receipt, answer=answer)

    async def _from_feed(self, decoded: Decoded) -> Answered | Refused:
        requested, here = decoded.requested, self._here(decoded)
        value = await asyncio.to_thread(value_or_failure, decoded, self.engine, here)
        write, receipt = unit(decoded, value, here)
        done = await self._write_new(decoded, write)
        if done is not None:
            return done
        if isinstance(value, Failure):
            return Answered(requested, receipt, failure=value)
        return Answered(requested, receipt, answer=masked(decoded.authorised, value.answer), as_of=value.at)

    async def _keep(self, decoded: Decoded) -> Answered | Refused:
        """Keeps a message for the agency of its route, which has no system."""
        write, receipt = await off_loop(decoded.requested.received.heavy, addressee.kept, decoded, self._here(decoded))
        done = await self._write_new(decoded, write)
        return done if done is not None else Answered(decoded.requested, receipt, kept=True)

    def _here(self, decoded: Decoded) -> Here:
        return Here(self.vault, self.process, keep_of(decoded.requested), self.hash_id, self.clock(), self.vendors)

    async def _write_new(self, decoded: Decoded, write: Write) -> Answered | Refused | None:
        """Commits a new transfer. None if it was new, else the answer to the repeat."""
        async with large_contents.LargeContents(self.journal, self.vault, self.engine).before(
            decoded, self.clock()
        ) as committed:
            written = await self.journal.commit(write)
            if written.verdict is Verdict.COMMITTED:
                committed.append(True)
                return None
        requested = decoded.requested
        if written.verdict is Verdict.REPLAYED:
            raise MESSAGE_REPLAYED()
        if written.verdict is Verdict.FULL:
            raise UsedUp(written.full)
        if written.verdict is Verdict.TAKEN:
            raise KeysChanged
        if written.verdict is Verdict.FENCED:
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)
        assert written.existing is not None
        return await self._repeat(requested, written.existing)

    # --- forward and outcome ------------------------------------------------------------------------------------------

    async def _forward(self, committed: Committed) -> Answered:
        transfer = committed.open
        try:
            incoming = await self.forwarder.forward(committed, self.provider_seconds)
        except Failure as failure:
            return await self._forward_failed(committed, failure)
        except Exception as fault:  # a fault of the gateway; the provider may have acted
            log.exception("transfer %s: unexpected fault while forwarding", transfer.id)
            return await self._forward_failed(
                committed, GATEWAY_FAULT(transfer=transfer.id, fault=type(fault).__name__)
            )
        requested = committed.requested
        heavy = len(incoming.evidence_in) > HEAVY
        answer = await off_loop(heavy, canonical_answer, requested, incoming.answer)
        how = Ending(event=Event.ANSWER_CAME, at=self.clock(), status=200, call=incoming, answer=answer)
        receipt = await self._end(transfer._replace(heavy=transfer.heavy or heavy), how)
        seen = await off_loop(heavy, masked, committed.decoded.authorised, incoming.answer)
        return Answered(requested, receipt, answer=seen, heavy=heavy)

    async def _forward_failed(self, committed: Committed, failure: Failure) -> Answered:
        requested, transfer, now = committed.requested, committed.open, self.clock()
        may_have_acted = getattr(failure, "may_have_acted", True)
        refused = failure.branch is not Branch.OURS or getattr(failure, "final", False)  # by the provider itself
        waits = requested.operation.pattern is Pattern.DISPATCH and not refused
        if waits and (requested.operation.idempotent or not may_have_acted):
            queue = self.forwarder.queue_row(transfer, failure, now)
            queue = queue._replace(priority=PRIORITIES[requested.operation.priority])
            note = entries.put_aside(transfer, failure, now, committed.contract)
            await self.outcomes.record(transfer.id, outcome.put_aside(transfer, queue, note))
            return Answered(requested, Receipt(transfer.id, intent=transfer.intent), queued=True)
        notes = entries.only_try(transfer, failure, now, committed.contract)
        sees = shown(committed.contract, requested.operation.name, committed.decoded.authorised.decision.views)
        if waits:
            unknown = outcome.unknown(transfer, Doubt(now, self.process, failure.code), failure)
            await self.outcomes.record(transfer.id, outcome.with_notes(unknown, notes))
            return Answered(requested, Receipt(transfer.id, intent=transfer.intent), failure=told(failure, sees))
        event = Event.PROVIDER_REFUSED if refused else Event.PROVIDER_DOWN
        receipt = await self._end(
            transfer, Ending(event=event, at=now, status=failure.status, failure=failure.code, call=failure), notes
        )
        return Answered(requested, receipt, failure=told(failure, sees))

    async def _end(self, transfer: OpenTransfer, how: Ending, notes: tuple[LogRow, ...] = ()) -> Receipt:
        write, receipt = await off_loop(transfer.heavy, outcome.end, transfer, how, self.vault)
        await self.outcomes.record(transfer.id, outcome.with_notes(write, notes))
        return receipt

    # --- repeats ------------------------------------------------------------------------------------------------------

    async def _repeat(self, requested: Requested, row: Mapping[str, Any]) -> Answered:
        first = str(row["id"])
        end = await self.repeats.recorded(requested, first)
        if end.payload_digest != requested.authenticated.payload_digest:
            raise MESSAGE_OTHER_BODY(message=requested.message_id)
        if end.state is State.FORWARDING and not requested.later:
            raise MESSAGE_IN_PROGRESS(retry_after=BUSY_SECONDS, transfer=first)
        return await self.repeats.again(requested, first, end)

    async def _repeat_of_content(self, requested: Requested, first: str) -> Answered:
        """Answers a message whose business keys and content are those of the transfer `first`, as `first` was."""
        end = await self.repeats.recorded(requested, first, by_key=True)
        entry = entries.repeat(requested, first, end.status or 200, self.clock())
        written = await self.journal.commit(Write(replay=requested.authenticated.replay, log=(entry,)))
        if written.verdict is Verdict.REPLAYED:
            raise MESSAGE_REPLAYED()
        if written.verdict is not Verdict.COMMITTED:
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)
        if end.answer is None:
            raise MESSAGE_ANSWER_GONE(transfer=first)
        return Answered(requested, receipt_of(first, end.receipt), answer=read_json(end.answer))

    def _sealed(
        self, requested: Requested, parts: Parts, now: float, bound: Mapping[str, bytes] = binding.NONE
    ) -> tuple[VaultRow, ...]:
        return self.vault.seal_kept(keep_of(requested), requested.received.transfer, parts, now, bound)

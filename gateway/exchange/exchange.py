"""One transfer from authentication to outcome: what all doors do alike, written once.

Invariants
- Nothing is forwarded before the intent is committed; no answer leaves before its outcome, with the provider's signed bytes, is.
- Freshness is final only at commit: the replay key and the message id are unique rows of the intent's transaction.
- A repeat (same id, same payload, fresh signature) gets the stored answer; it is logged, and appears nowhere twice.
- Every refusal is in the log before the caller hears of it (but for what a flood of callers who proved nothing adds up to: `floods`). If
  even that cannot be written, the caller is told that the gateway is unavailable, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import Engine

import gateway.exchange.failures  # noqa: F401  registers the codes raised here
from adapters.model import evidence_of
from contracts.base.errors import Branch, Failure, Ours, Theirs
from contracts.base.randomness import random_bytes
from contracts.base.times import rfc3339
from contracts.model import Pattern
from contracts.wire.jsontext import read_json
from gateway.delivery.forwarder import Forwarder
from gateway.exchange import entries
from gateway.exchange.evidence import pack, request_bytes
from gateway.exchange.floods import SECONDS, Floods, Sum
from gateway.exchange.forms import again, canonical, canonical_answer, event, masked, receipt_of, receipt_text
from gateway.exchange.quotas import Quotas, use_of
from gateway.exchange.stages import (
    Addressed,
    Answered,
    Authenticated,
    Authorised,
    Committed,
    Decoded,
    Message,
    Receipt,
    Received,
    Refused,
    Requested,
)
from gateway.exchange.states import Event, State, after
from gateway.journal.write import FeedRow, LogRow, QueueRow, TransferChange, TransferRow, VaultRow, Verdict, Write
from gateway.journal.writer import Journal
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.vault.vault import Vault
from security.entry import SALT

BUSY_SECONDS: Final = 1
log = logging.getLogger("lgsp.exchange")


class Door(Protocol):
    """What differs between the doors: bytes to message."""

    def authenticate(self, addressed: Addressed) -> Authenticated: ...

    def request(self, authenticated: Authenticated) -> Requested: ...

    def decode(self, authorised: Authorised) -> Message: ...


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
    _writing: set[asyncio.Future[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.engine)

    async def carry(self, addressed: Addressed, door: Door) -> Answered | Refused:
        authenticated: Authenticated | None = None
        requested: Requested | None = None
        try:
            authenticated = door.authenticate(addressed)
            requested = door.request(authenticated)
            authorised = self.authorise(requested)
            self.gate()
            await self.quotas.look(requested, authorised.decision.grant, requested.received.at)
            decoded = Decoded(authorised, door.decode(authorised))
            return await self._commit(decoded)
        except Failure as failure:
            return await self.refuse(addressed.received, addressed.snapshot, failure, addressed, authenticated, requested)

    def authorise(self, requested: Requested) -> Authorised:
        caller, contract, operation = requested.caller, requested.contract.contract, requested.operation
        snapshot = requested.snapshot
        if operation.name not in requested.codec.rest:
            raise Theirs("operation.newer", contract=contract.name, version=caller.pin(contract.name), operation=operation.name)
        decision = snapshot.decide(caller.agency, contract.name, operation.name, requested.received.at)
        if not decision.allowed:
            raise snapshot.refusal(decision, caller.agency, contract, operation.name, requested.received.at)
        return Authorised(requested, decision)

    # --- intent -------------------------------------------------------------------------------------------------------

    async def _commit(self, decoded: Decoded) -> Answered | Refused:
        who = decoded.requested
        if who.operation.pattern is Pattern.SUBMIT:
            return await self._submit(decoded)
        provider = self._provider(decoded)
        put_aside = who.operation.pattern is Pattern.DISPATCH and self.forwarder.is_open(provider.id)
        now = self.clock()
        salt = random_bytes(SALT)
        intent = entries.intent(decoded, provider, salt, now, self.hash_id)
        row = self._row(decoded, now, state=after(None, Event.PUT_ASIDE if put_aside else Event.SENT_NOW), provider=provider)
        stored = self._request(who, salt, now)
        if who.operation.pattern is Pattern.DISPATCH:
            stored.append(self._seal(who, "canonical", canonical(who, decoded.message), now))
        write = Write(
            replay=who.authenticated.replay,
            transfer=row,
            log=(intent,),
            vault=tuple(stored),
            queue=QueueRow(row.id, provider.id, f"{row.id}/canonical", now) if put_aside else None,
            quota=use_of(decoded.authorised.decision.grant, who.caller.agency, now),
        )
        done = await self._write_new(decoded, write, now)
        if done is not None:
            return done
        committed = Committed(decoded, row.id, provider, now, salt, intent.leaf)
        if put_aside:
            return Answered(who, Receipt(row.id, intent=intent.leaf), queued=True)
        return await self._forward(committed)

    def _provider(self, decoded: Decoded) -> System:
        who = decoded.requested
        snapshot = who.snapshot
        name = snapshot.route(who.contract.contract.name, who.operation.name, decoded.message)
        if name is None:
            raise Ours("route.none", contract=who.contract.contract.name, operation=who.operation.name)
        provider = snapshot.systems[name]
        if not provider.active:
            raise Ours("route.suspended", system=provider.id)
        return provider

    async def _submit(self, decoded: Decoded) -> Answered | Refused:
        """Hand in: intent, feed and outcome in one transaction, since nobody else is asked."""
        who = decoded.requested
        transfer, now = who.received.transfer, self.clock()
        answer: Message = {"transfer": transfer, "messageId": who.message_id, "acceptedAt": rfc3339(now)}
        salt = random_bytes(SALT)
        intent = entries.intent(decoded, None, salt, now, self.hash_id)
        answer_json = canonical_answer(who, answer)
        outcome = entries.accepted(decoded, answer_json, salt, now)
        receipt = Receipt(transfer, intent=intent.leaf, outcome=outcome.leaf)
        write = Write(
            replay=who.authenticated.replay,
            transfer=self._row(decoded, now, state=after(None, Event.HANDED_IN), provider=None, answered=receipt),
            log=(intent, outcome),
            vault=(
                *self._request(who, salt, now),
                self._seal(who, "canonical", canonical(who, decoded.message), now),
                self._seal(who, "answer", answer_json, now),
            ),
            feed=FeedRow(who.contract.contract.name, transfer, event(decoded, now), f"{transfer}/canonical"),
            quota=use_of(decoded.authorised.decision.grant, who.caller.agency, now),
        )
        done = await self._write_new(decoded, write, now)
        return done if done is not None else Answered(who, receipt, answer=answer)

    async def _write_new(self, decoded: Decoded, write: Write, now: float) -> Answered | Refused | None:
        """Commit a new transfer; None if it stands, else the end of the matter."""
        written = await self.journal.commit(write)
        if written.verdict is Verdict.COMMITTED:
            return None
        who = decoded.requested
        if written.verdict is Verdict.REPLAYED:
            raise Theirs("message.replayed")
        if written.verdict is Verdict.FULL:
            grant = decoded.authorised.decision.grant
            assert grant is not None  # nothing is written without one
            raise self.quotas.full(who.snapshot, grant, who.caller.agency, who.contract.contract, who.operation.name, now)
        if written.verdict is Verdict.FENCED:
            raise Ours("journal.fenced", retry_after=BUSY_SECONDS)
        assert written.existing is not None
        return await self._repeat(decoded.authorised, who, written.existing)

    # --- forward and outcome ------------------------------------------------------------------------------------------

    async def _forward(self, committed: Committed) -> Answered:
        who = committed.requested
        assert committed.provider is not None
        try:
            incoming = await self.forwarder.forward(
                who.snapshot,
                committed.provider,
                who.contract,
                who.operation,
                committed.decoded.message,
                transfer=committed.transfer,
                caller=who.caller.name,
                timeout=self.provider_seconds,
            )
        except Failure as failure:
            return await self._forward_failed(committed, failure)
        except Exception as fault:  # a mistake of ours; whether the provider acted is not known
            log.exception("transfer %s: unexpected fault while forwarding", committed.transfer)
            return await self._forward_failed(committed, Ours("gateway.fault", transfer=committed.transfer, fault=type(fault).__name__))
        now = self.clock()
        answer_json = canonical_answer(who, incoming.answer)
        outcome = entries.answered(committed, incoming, answer_json, now)
        receipt = Receipt(committed.transfer, intent=committed.intent_leaf, outcome=outcome.leaf)
        await self._step(
            committed,
            Event.ANSWER_CAME,
            now,
            outcome,
            receipt=receipt,
            status=200,
            vault=(
                *[self._seal(who, part, data, now) for part, data in evidence_of(incoming)],
                self._seal(who, "answer", answer_json, now),
            ),
        )
        return Answered(who, receipt, answer=masked(committed.decoded.authorised, incoming.answer))

    async def _forward_failed(self, committed: Committed, failure: Failure) -> Answered:
        who, now = committed.requested, self.clock()
        may_have_acted = getattr(failure, "may_have_acted", True)
        dispatch = who.operation.pattern is Pattern.DISPATCH
        refused = failure.branch is not Branch.OURS or getattr(failure, "final", False)  # the provider itself said no
        waits = dispatch and not refused
        assert committed.provider is not None
        if waits and (who.operation.idempotent or not may_have_acted):
            put_aside = entries.put_aside(committed, failure, now)
            queue = self.forwarder.queue_row(committed.transfer, committed.provider.id, f"{committed.transfer}/canonical", failure, now)
            await self._step(committed, Event.PUT_ASIDE, now, put_aside, receipt=None, status=None, queue=queue)
            return Answered(who, Receipt(committed.transfer, intent=committed.intent_leaf), queued=True)
        if waits:
            doubt = entries.in_doubt(committed, failure, self.process, now)
            await self._step(committed, Event.OUTCOME_UNKNOWN, now, doubt, receipt=None, status=failure.status, failure=failure)
            return Answered(who, Receipt(committed.transfer, intent=committed.intent_leaf), failure=failure)
        sent, back = getattr(failure, "evidence_out", b""), getattr(failure, "evidence_in", b"")
        outcome = entries.failed(committed, failure, sent, back, now)
        receipt = Receipt(committed.transfer, intent=committed.intent_leaf, outcome=outcome.leaf)
        event = Event.PROVIDER_REFUSED if refused else Event.PROVIDER_DOWN
        evidence = tuple(self._seal(who, part, data, now) for part, data in evidence_of(failure))
        await self._step(committed, event, now, outcome, receipt=receipt, status=failure.status, failure=failure, vault=evidence)
        return Answered(who, receipt, failure=failure)

    async def _step(
        self,
        committed: Committed,
        event: Event,
        now: float,
        entry: LogRow,
        *,
        receipt: Receipt | None,
        status: int | None,
        failure: Failure | None = None,
        vault: tuple[VaultRow, ...] = (),
        queue: QueueRow | None = None,
    ) -> None:
        state = after(State.FORWARDING, event)
        change = TransferChange(
            committed.transfer,
            State.FORWARDING.value,
            self.process,
            state.value,  # plain text: the drivers take long over anything else
            finished=now if receipt is not None else None,
            status=status,
            failure=failure.code if failure is not None else None,
            answer_ref=f"{committed.transfer}/answer" if state is State.ANSWERED else None,
            receipt=receipt_text(receipt) if receipt is not None else None,
        )
        await self._log(entry, change=change, vault=vault, queue=queue)

    # --- repeats ------------------------------------------------------------------------------------------------------

    async def _repeat(self, authorised: Authorised, who: Requested, row: Mapping[str, Any]) -> Answered:
        if row["payload_digest"] != who.authenticated.payload_digest:
            raise Theirs("message.other-body", message=who.message_id)
        first, state = str(row["id"]), State(row["state"])
        if state is State.FORWARDING:
            raise Theirs("message.in-progress", retry_after=BUSY_SECONDS, transfer=first)
        status = 202 if state is State.QUEUED else int(row["status"] or 502)
        entry = entries.repeat(who, first, status, self.clock())
        await self._log(entry)
        receipt = receipt_of(first, row["receipt"])
        if state is State.QUEUED:
            return Answered(who, receipt, queued=True)
        if row["answer_ref"]:
            sealed = await asyncio.to_thread(self._open, str(row["answer_ref"]))
            return Answered(who, receipt, answer=masked(authorised, read_json(sealed)))
        return Answered(who, receipt, failure=again(str(row["failure"] or "transfer.in-doubt"), first))

    def _open(self, ref: str) -> bytes:
        with self.engine.connect() as connection:
            return self.vault.open(connection, ref)

    # --- refusals -----------------------------------------------------------------------------------------------------

    async def refuse(
        self,
        received: Received,
        snapshot: Snapshot,
        failure: Failure,
        addressed: Addressed | None = None,
        authenticated: Authenticated | None = None,
        requested: Requested | None = None,
    ) -> Refused:
        """Put a refusal into the log, then tell. A fault of the journal itself cannot be logged; it is told all the same."""
        if authenticated is None and entries.by_channel(received, snapshot) is None:
            flood = self.floods.sum_of(received, snapshot, failure)
            if flood is not None:
                if flood.count == 1:
                    asyncio.get_running_loop().call_later(SECONDS, self._end_flood, flood)
                return Refused(received, failure, Receipt(flood.received.transfer), None)
        entry = entries.refusal(received, snapshot, failure, addressed, authenticated, requested, self.clock(), self.hash_id)
        try:
            await self._log(entry)
        except Ours as broken:
            return Refused(received, broken, Receipt(received.transfer), authenticated)
        return Refused(received, failure, Receipt(received.transfer, refusal=entry.leaf), authenticated)

    def _end_flood(self, flood: Sum) -> None:
        if not self.floods.end(flood):
            return
        entry = entries.refusal(
            flood.received, flood.snapshot, flood.failure, None, None, None, self.clock(), self.hash_id, count=flood.count
        )
        task = asyncio.ensure_future(self._log(entry))
        self._writing.add(task)
        task.add_done_callback(self._flood_written)

    async def close(self) -> None:
        """Write what is still being summed up; no call comes any more."""
        for flood in self.floods.under_way():
            self._end_flood(flood)
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _flood_written(self, task: asyncio.Future[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("refusals that were summed up could not be logged: %s", task.exception())

    async def _log(self, entry: LogRow, **beside: Any) -> None:
        """Commit an entry. A process that the keeper took for dead writes nothing: its word is void, and may not be told either."""
        written = await self.journal.commit(Write(log=(entry,), **beside))
        if written.verdict is not Verdict.COMMITTED:
            raise Ours("journal.fenced", retry_after=BUSY_SECONDS)

    # --- small parts --------------------------------------------------------------------------------------------------

    def _request(self, who: Requested, salt: bytes, now: float) -> list[VaultRow]:
        """The request as it travelled; where its body was encrypted, beside it what the signature covers."""
        parts = [self._seal(who, "request", pack(salt, request_bytes(who.received, who.authenticated)), now)]
        if who.authenticated.opened:
            parts.append(self._seal(who, "request-opened", who.authenticated.opened, now))
        return parts

    def _seal(self, who: Requested, part: str, data: bytes, now: float) -> VaultRow:
        return self.vault.seal(who.received.transfer, part, data, now)

    def _row(self, decoded: Decoded, now: float, *, state: State, provider: System | None, answered: Receipt | None = None) -> TransferRow:
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
            process=self.process,
            idempotent=who.operation.idempotent and who.operation.pattern is Pattern.DISPATCH,
            received=who.received.at,
            committed=now,
            finished=now if answered is not None else None,
            status=200 if answered is not None else None,
            answer_ref=f"{who.received.transfer}/answer" if answered is not None else None,
            receipt=receipt_text(answered) if answered is not None else None,
        )

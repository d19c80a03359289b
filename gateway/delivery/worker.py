"""Delivers queued messages, in the keeper.

1. `run_once` takes up what is due (`queue`) and delivers it concurrently, a few messages to a provider at a time. It
   waits a moment for them. A slower delivery continues in the background and holds up only its own provider.
2. The end of each delivery is one unit of the journal: transfer step, log entry, evidence and queue row.
3. An answer ends it. So does a refusal signed by the provider, or a message that its format cannot express. What surely
   did not arrive is retried by the policy. What may have been acted on is retried only if the operation is idempotent,
   else it is in doubt, and a person decides.
4. A message that has an order key, and was given up or is in doubt, is `held`: later ones of its key wait for it.
5. Before sending, queue, transfer, log and sealed body are checked against each other (`queue.read_contents`). On a
   difference nothing is sent: the transfer ends as `transfer.tampered`, and the log says what was changed.
6. What no grant lets the provider receive any more is not sent (`gateway.registry.receiving`). It waits, and ends under
   that code.
7. A unit that cannot be written is written again, for a minute. Then it is unknown what came of the message, and this
   is written again until it succeeds, or the keeper ends. The next keeper finds what a dead one had `forwarding`. What
   this keeper has without knowing it, it finds itself (`forgotten`).
8. A message is taken up again only when the end of its last try is written.

Invariant: nothing leaves before the transfer is `forwarding` on disk, and no answer is shown before its outcome is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import ClassVar, Final, NamedTuple

from sqlalchemy import Engine

from adapters.errors import Acted, ProviderFailure, ProviderMissing
from adapters.kinds import RATE
from adapters.model import Incoming, Message
from contracts.base.errors import Failure, Ours, Theirs
from contracts.canonical.model import Contract, Operation, Pattern
from contracts.compiled.contract import CompiledContract
from gateway.delivery.breaker import Position
from gateway.delivery.errors import DELIVERY_FAULT, DELIVERY_GIVEN_UP, PROVIDER_NO_ENDPOINT, PROVIDER_RESTING
from gateway.delivery.forgotten import Forgotten
from gateway.delivery.forwarder import SOONEST, Forwarder
from gateway.delivery.pace import Paces
from gateway.delivery.policy import ASKED, RetryPolicy
from gateway.delivery.queue import DEAD, DONE, HELD, WAITING, Job, Taking, comes_due, read_contents, take_due
from gateway.journal.filelock import FileLock
from gateway.journal.logged import Logged, entry_of, free_phase
from gateway.journal.outcomes import commit_outcome, read_for_outcome
from gateway.journal.wakes import QUEUE, SLOW_SECONDS
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from gateway.registry.errors import ROUTE_MASK_UNSHOWN, ROUTE_NOT_GRANTED
from gateway.registry.receiving import Receiving, receive
from gateway.registry.records import System
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenant_clock import REAL, TenantClock
from gateway.signals import spans, traces
from gateway.transfer import entries, outcome
from gateway.transfer.large_body import HEAVY, off_loop
from gateway.transfer.lease import Lease
from gateway.transfer.stages import Doubt, Ending, OpenTransfer
from gateway.transfer.states import Event
from gateway.transfer.transfer_records import facts_of, fed
from gateway.vault.classes import keeping
from gateway.vault.errors import TRANSFER_TAMPERED
from gateway.vault.integrity import tampered
from gateway.vault.vault import Vault
from security.transparency.entry import Json

AT_ONCE: Final = 32
A_PROVIDER: Final = 8
URGENT_BESIDE: Final = 2  # urgent messages that a provider gets beside those that are out
URGENT_BEYOND: Final = 8  # of all providers, beyond AT_ONCE
MOMENT: Final = 1.0  # seconds that one run waits for its deliveries
AGAIN_SECONDS, MOST_SECONDS = 5.0, 300.0  # between two tries to write that an end is unknown
TIMEOUT: Final = 30.0  # seconds that a provider has at least; as long as for a call that somebody waits for
NOT_TO_BE_RECEIVED: Final = frozenset({ROUTE_NOT_GRANTED.code, ROUTE_MASK_UNSHOWN.code})
_logger: Final = logging.getLogger("lgsp.delivery")


class Delivery(NamedTuple):
    """A message of the queue, ready to be forwarded (`forwarder.Forwardable`)."""

    open: OpenTransfer
    snapshot: Snapshot
    provider: System
    receiving: Receiving
    contract: CompiledContract
    operation: Operation
    message: Message
    caller: str  # agency/system


@dataclass(slots=True)
class Deliverer:
    """One for each keeper. `process` is the keeper's row in `process`, which owns its `forwarding` transfers."""

    engine: Engine
    lock: FileLock | None
    journal: Journal
    vault: Vault
    registry: Registry
    forwarder: Forwarder
    process: str
    clock: Callable[[], float]
    at_once: int = AT_ONCE
    timeout: float = TIMEOUT
    rng: Random = field(default_factory=Random)
    paces: Paces = field(init=False)
    _away: set[str] = field(default_factory=set)  # providers whose breaker was not closed at the last round
    _out: Counter[str] = field(default_factory=Counter)  # running deliveries by provider
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _in_hand: set[str] = field(default_factory=set)  # transfers
    _forgotten: Forgotten = field(init=False)
    _soon: bool = True  # whether a message falls due before a slow look
    topic: ClassVar[str] = QUEUE

    def __post_init__(self) -> None:
        self.paces = Paces(full_of=self._rate_of)
        self._forgotten = Forgotten(self.engine, self.process)

    def _rate_of(self, name: str) -> float | None:
        """Messages a second that the system's registration allows."""
        system = self.registry.snapshot.system(name)
        rate = None if system is None or system.endpoint is None else system.endpoint.options.get(RATE.name)
        return None if rate is None else float(rate)

    async def run_once(self, lease: Lease) -> int:
        """Takes up what is due. Returns the number of messages."""
        free = self.at_once - len(self._tasks)
        jobs: list[Job] = []
        if free > -URGENT_BEYOND and self.registry.snapshot.held_until <= self.clock():
            in_hand = frozenset(self._in_hand)  # as of now: one that ends meanwhile is none that was forgotten
            jobs = await asyncio.to_thread(self._take_up, lease, self._taking(free, in_hand))
        for job in jobs:
            self._in_hand.add(job.transfer)
            self._out[job.provider] += 1
            self.paces.took(job.provider, 1, self.clock())
            task = asyncio.create_task(self._deliver(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=MOMENT)
        elif not jobs:
            self._soon = await asyncio.to_thread(comes_due, self.engine, self.clock() + max(SLOW_SECONDS))
        return len(jobs)

    def _take_up(self, lease: Lease, taking: Taking) -> list[Job]:
        jobs = self._forgotten.found(taking.in_hand)
        if jobs:
            _logger.warning("%d messages were taken up although the database did not say so", len(jobs))
            return jobs
        try:
            return take_due(self.engine, self.lock, lease, taking)
        except Exception:
            self._forgotten.failed()
            raise

    def rests(self) -> bool:
        """Its own deliveries make room for others when they end."""
        return not self._tasks and not self._soon

    def _taking(self, free: int, in_hand: frozenset[str]) -> Taking:
        """What may be taken up now. `free` is below zero while urgent messages are out beyond the usual number."""
        now, positions = self.clock(), self.forwarder.positions()
        away = {name for name, position in positions.items() if position is not Position.CLOSED}
        for name in self._away - away:
            self.paces.back(name, now)
        self._away = away
        self.paces.forget(now)
        return Taking(
            process=self.process,
            now=now,
            limit=free,
            in_hand=in_hand,
            resting={name for name in positions if self.forwarder.is_open(name)},
            tried={name for name, position in positions.items() if position is Position.HALF_OPEN},
            each=A_PROVIDER,
            out={name: number for name, number in self._out.items() if number > 0},
            beside=URGENT_BESIDE,
            beyond=max(0, URGENT_BEYOND + min(0, free)),
            room=lambda name: self.paces.room(name, now),
        )

    async def finish(self, seconds: float = 10.0) -> None:
        """Waits for running deliveries. Call it before the session and the journal end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _deliver(self, job: Job) -> None:
        began = time.perf_counter()
        try:
            await self._carry(job)
        except Ours as trouble:
            _logger.critical("transfer %s: its end could not be written: %s", job.transfer, trouble.code)
            await self._say_unknown(job)
        except Exception:
            _logger.exception("transfer %s: its end could not be written", job.transfer)
            await self._say_unknown(job)
        finally:
            self._in_hand.discard(job.transfer)
            self._out[job.provider] -= 1
            facts = {"lgsp.system": job.provider, "lgsp.transfer": job.transfer}
            spans.worked("CONSUMER", "delivery", traces.here(), time.perf_counter() - began, "", facts)

    async def _carry(self, job: Job) -> None:
        traces.enter(job.transfer, system=job.provider)
        transfer, contract = job.open._replace(ahead=self._clock(job).ahead), None
        try:
            contents = await asyncio.to_thread(read_contents, self.engine, self.vault, job)
            transfer = transfer._replace(salt=contents.salt, intent=contents.intent_leaf, spool=contents.spool)
            transfer = transfer._replace(heavy=transfer.spool is not None or len(contents.body) > HEAVY)
            delivery = await self._prepared(job, transfer, contents.body)
            transfer, contract = delivery.open, delivery.contract
            incoming = await self.forwarder.forward(delivery, self.timeout)
            write = await off_loop(transfer.heavy, self._answered, job, delivery, incoming)
        except Failure as failure:
            write = await self._failed(job, await self._told(job, transfer), failure, contract)
        except Exception:
            _logger.exception("transfer %s: unexpected fault", job.transfer)
            acted = Acted.NO if transfer.intent is None else Acted.MAYBE
            fault = DELIVERY_FAULT(acted=acted, system=job.provider)
            write = await self._failed(job, await self._told(job, transfer), fault, contract)
        await self._commit(job, write)

    async def _prepared(self, job: Job, transfer: OpenTransfer, body: bytes) -> Delivery:
        snapshot = self.registry.snapshot
        provider = snapshot.system(job.provider)
        if provider is None or not provider.active:
            raise PROVIDER_NO_ENDPOINT(acted=Acted.NO, system=job.provider)
        contract = await asyncio.to_thread(self.registry.compiled, job.bundle)
        if contract.digest != job.bundle:
            raise tampered(job.transfer, "bundle.content")
        operation = contract.contract.operations[str(job.row.operation)]
        if job.row.idempotent and not operation.idempotent:
            raise tampered(job.transfer, "transfer.idempotent")
        codec = contract.codec("canonical")
        message = await off_loop(transfer.heavy, codec.read_json, operation.request, body)
        transfer = _with_terms(transfer, contract.contract, operation, job)
        if transfer.fed is not None:
            committed = job.row.committed
            at = committed + self._clock(job).ahead_at(committed)
            facts = await off_loop(transfer.heavy, facts_of, contract, operation, message, at)
            transfer = transfer._replace(fed=transfer.fed._replace(facts=facts))
        return Delivery(
            open=transfer,
            snapshot=snapshot,
            provider=provider,
            receiving=receive(snapshot, provider, contract, operation, self.clock()),
            contract=contract,
            operation=operation,
            message=message,
            caller=f"{job.row.caller_agency}/{job.row.caller_system}",
        )

    async def _told(self, job: Job, transfer: OpenTransfer) -> OpenTransfer:
        """With what its event tells if it ends. Its contract may not have been read before it failed."""
        if transfer.keep is not None:
            return transfer
        try:
            contract = (await asyncio.to_thread(self.registry.compiled, job.bundle)).contract
            return _with_terms(transfer, contract, contract.operations[str(job.row.operation)], job)
        except (Failure, LookupError):  # no such contract: it has no feed either
            return transfer

    # --- units of the journal ---

    def _answered(self, job: Job, delivery: Delivery, incoming: Incoming) -> Write:
        answer = delivery.contract.codec("canonical").write_json(delivery.operation.answer, incoming.answer)
        how = Ending(event=Event.ANSWER_CAME, at=self.clock(), status=200, call=incoming, answer=answer)
        return self._ended(job, delivery.open, how, None)

    async def _failed(
        self, job: Job, transfer: OpenTransfer, failure: Failure, contract: CompiledContract | None
    ) -> Write:
        """The unit of a failed try. A note keeps its code and findings: the queue's row has the last code only."""
        if failure.code == TRANSFER_TAMPERED.code:
            return await self._tampered(job, transfer, failure)
        write = await self._after_failure(job, transfer, failure)
        if failure.code == PROVIDER_RESTING.code:
            return write
        phase = await read_for_outcome(partial(self._free_phase, job.transfer, entries.TRY_FAILED))
        note = entries.try_failed(transfer, failure, self.clock(), contract, job.tries + 1)
        return outcome.with_notes(write, (note._replace(phase=phase),))

    async def _after_failure(self, job: Job, transfer: OpenTransfer, failure: Failure) -> Write:
        now, tries, code = self.clock(), job.tries + 1, failure.code
        acted = failure.acted if isinstance(failure, ProviderFailure | ProviderMissing) else Acted.NO
        if isinstance(failure, Theirs) or isinstance(failure, ProviderFailure) and failure.final:
            how = Ending(event=Event.PROVIDER_REFUSED, at=now, status=failure.status, failure=code, call=failure)
            return await off_loop(transfer.heavy, self._ended, job, transfer, how, code)
        if acted is not Acted.NO and not job.repeatable:
            phase = await read_for_outcome(partial(self._free_phase, job.transfer, "in-doubt"))
            write = outcome.unknown(transfer, Doubt(now, self.process, code, phase), failure, self.vault)
            return write._replace(queue=job.queued(HELD if job.ordered else DEAD, now, tries, code))
        if code == PROVIDER_RESTING.code:  # its breaker opened meanwhile: this message was not tried
            return outcome.put_aside(transfer, job.queued(WAITING, now + SOONEST, job.tries, code))
        lost = code.startswith("vault.")  # a retry cannot open it either
        first_at = job.first_at - self._clock(job).since(job.first_at)
        again = self._policy(job).next_try(tries, first_at, now, self.rng, retry_after=failure.retry_after)
        if again is not None and not lost:
            return outcome.put_aside(transfer, job.queued(WAITING, again, tries, code))
        say = _logger.critical if lost else _logger.warning
        say("transfer %s to %s is given up after %d tries: %s", job.transfer, job.provider, tries, code)
        if job.ordered:  # the later messages of its key wait until a person has settled it
            return outcome.put_aside(transfer, job.queued(HELD, now, tries, code))
        named = lost or code in NOT_TO_BE_RECEIVED
        how = Ending(
            event=Event.GIVEN_UP, at=now, status=502, failure=code if named else DELIVERY_GIVEN_UP.code, call=failure
        )
        return await off_loop(transfer.heavy, self._ended, job, transfer, how, code)

    def _clock(self, job: Job) -> TenantClock:
        """That of its sender: of a tenant of a sandbox, else real time."""
        agency = self.registry.snapshot.agency(str(job.row.caller_agency))
        return REAL if agency is None else agency.clock

    def _policy(self, job: Job) -> RetryPolicy:
        policy = self.forwarder.policy
        return policy if job.row.pattern != Pattern.QUERY else replace(policy, seconds=min(policy.seconds, ASKED))

    async def _tampered(self, job: Job, transfer: OpenTransfer, failure: Failure) -> Write:
        """Nothing was sent: rows or entries differ from the sealed ones. Gives the transfer up, unless its outcome is
        logged.
        """
        now, what = self.clock(), str(failure.facts["what"])
        _logger.critical("transfer %s: %s was changed in the database; it is not sent", job.transfer, what)
        facts: dict[str, Json] = {"what": what, "queue": job.provider, "transfer": job.row.provider}
        phase = await read_for_outcome(partial(self._free_phase, job.transfer, TRANSFER_TAMPERED.code))
        note = entries.note(TRANSFER_TAMPERED.code, facts, now, about=job.transfer)._replace(phase=phase)
        intent, logged = await read_for_outcome(partial(self._logged, job.transfer))
        how = Ending(event=Event.GIVEN_UP, at=now, status=failure.status, failure=TRANSFER_TAMPERED.code)
        if logged is not None:
            write = outcome.ended_already(transfer, how)
            return write._replace(log=(note,), queue=job.queued(DEAD, now, job.tries, TRANSFER_TAMPERED.code))
        provider = intent.value.get("provider") if intent is not None else None
        write = self._ended(job, transfer._replace(provider=provider or job.row.provider), how, TRANSFER_TAMPERED.code)
        return write._replace(log=(*write.log, note))

    def _logged(self, transfer: str) -> tuple[Logged | None, Logged | None]:
        with self.engine.connect() as connection:
            return entry_of(connection, transfer, "intent"), entry_of(connection, transfer, "outcome")

    def _free_phase(self, transfer: str, phase: str) -> str:
        with self.engine.connect() as connection:
            return free_phase(connection, transfer, phase)

    def _ended(self, job: Job, transfer: OpenTransfer, how: Ending, last_failure: str | None) -> Write:
        """The end of the transfer and of its row in the queue."""
        state = DEAD if how.event is Event.GIVEN_UP else DONE
        return outcome.end(transfer, how, self.vault).write._replace(
            queue=job.queued(state, how.at, job.tries + 1, last_failure)
        )

    async def _commit(self, job: Job, write: Write) -> None:
        written = await commit_outcome(self.journal, write)
        if written.verdict is not Verdict.COMMITTED:
            _logger.warning("transfer %s was taken from this keeper; what it did counts no more", job.transfer)

    async def _say_unknown(self, job: Job) -> None:
        """Its receiver may have acted: it is sent again by the policy if that does no harm, else it is in doubt."""
        fault, wait = DELIVERY_FAULT(acted=Acted.MAYBE, system=job.provider), AGAIN_SECONDS
        while True:
            await asyncio.sleep(wait)
            try:
                transfer = await self._told(job, job.open._replace(ahead=self._clock(job).ahead))
                await self._commit(job, await self._after_failure(job, transfer, fault))
                return
            except Exception as trouble:
                wait = min(2 * wait, MOST_SECONDS)
                _logger.error("transfer %s: still not written: %s", job.transfer, type(trouble).__name__)


def _with_terms(transfer: OpenTransfer, contract: Contract, operation: Operation, job: Job) -> OpenTransfer:
    """With what its contract keeps of its bodies, and shows in the feed."""
    keep = keeping(contract.evidence, contract.retention_months, Pattern(job.row.pattern))
    return transfer._replace(keep=keep, fed=fed(operation, job.row))

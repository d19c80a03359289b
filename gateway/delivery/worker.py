"""Delivering what is queued: the keeper's part of forwarding.

Theory of operation
1. `run_once` takes up what is due (`queue`), and delivers it concurrently, a few to a provider at a time. It waits a moment for them; one
   that takes longer goes on by itself, so that a slow provider holds up nobody but itself.
2. The end of each is one unit of the journal: the step of the transfer, the entry of the log, the evidence, the queue's row.
3. An answer ends it. A refusal that the provider signed ends it too, as does a message that cannot be put into its format. What surely did
   not arrive is tried again by the policy. What may have been acted on is tried again only if the operation is idempotent; otherwise it is
   in doubt, and a person decides.
4. Before anything is sent, queue, transfer, log and sealed body are held against each other (`queue.read_contents`). Where they differ nothing is
   sent: the transfer ends as `transfer.tampered`, and the log says what was changed.
5. If a unit cannot be written, writing is tried again; a process that dies meanwhile leaves the transfer `forwarding` under its own name,
   where the next keeper finds it.
Invariant: nothing leaves before the transfer is `forwarding` on disk, and no answer is shown before its outcome is.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from sqlalchemy import Engine

import gateway.delivery.failures  # noqa: F401  (registers the codes)
from adapters.failures import Acted, ProviderFailure, ProviderMissing
from adapters.model import Incoming, evidence_of
from contracts.base.errors import Failure, Ours, Theirs
from contracts.canonical.model import Pattern
from gateway.delivery import steps
from gateway.delivery.breaker import Position
from gateway.delivery.forwarder import RESTING, SOONEST, Forwarder
from gateway.delivery.queue import DEAD, DONE, WAITING, Contents, Job, Leading, phase_of, read_contents, take_due
from gateway.delivery.steps import Step
from gateway.journal.filelock import FileLock
from gateway.journal.logged import Logged, entry_of
from gateway.journal.write import LogRow, QueueRow, TransferChange, VaultRow, Verdict, Write
from gateway.journal.writer import Journal
from gateway.registry.registry import Registry
from gateway.vault import binding
from gateway.vault.classes import Parts, keeping
from gateway.vault.integrity import TAMPERED, tampered
from gateway.vault.vault import Vault
from security.transparency.entry import Digest, Entry, InDoubt, Note, Outcome, freeze, salted

AT_ONCE: Final = 32
A_PROVIDER: Final = 8
MOMENT: Final = 1.0  # seconds that one run waits for what it began
TIMEOUT: Final = 30.0
_AGAIN: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 10.0, 10.0, 20.0)
_logger: Final = logging.getLogger("lgsp.delivery")


class Deliverer:
    """One a keeper. `process` is the keeper's row in `process`, under which its transfers are `forwarding`."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        journal: Journal,
        vault: Vault,
        registry: Registry,
        forwarder: Forwarder,
        process: str,
        clock: Callable[[], float],
        *,
        at_once: int = AT_ONCE,
        timeout: float = TIMEOUT,
        rng: Random | None = None,
    ) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._journal: Final = journal
        self._vault: Final = vault
        self._registry: Final = registry
        self._forwarder: Final = forwarder
        self._process: Final = process
        self._clock: Final = clock
        self._at_once: Final = at_once
        self._timeout: Final = timeout
        self._rng: Final = rng or Random()
        self._out: Final[Counter[str]] = Counter()  # how many messages are out with each provider
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def run_once(self, lease: Leading) -> int:
        """Take up what is due; how many messages that were."""
        room = self._at_once - len(self._tasks)
        if room > 0 and self._registry.snapshot.held_until <= self._clock():
            positions = self._forwarder.positions()
            busy = {name for name in positions if self._forwarder.is_open(name)}
            busy.update(name for name, number in self._out.items() if number > 0)
            tried = {name for name, position in positions.items() if position is Position.HALF_OPEN}
            jobs = await asyncio.to_thread(
                take_due,
                self._engine,
                self._lock,
                lease,
                self._process,
                self._clock(),
                room,
                busy,
                tried,
                each=A_PROVIDER,
            )
        else:
            jobs = []
        for job in jobs:
            self._out[job.provider] += 1
            task = asyncio.create_task(self._deliver(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=MOMENT)
        return len(jobs)

    async def finish(self, seconds: float = 10.0) -> None:
        """Wait for what is out; to be called before the session and the journal end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _deliver(self, job: Job) -> None:
        try:
            await self._carry(job)
        finally:
            self._out[job.provider] -= 1

    async def _carry(self, job: Job) -> None:
        contents: Contents | None = None
        try:
            contents = await asyncio.to_thread(read_contents, self._engine, self._vault, job)
            write = await self._answered(job, contents, await self._forward(job, contents))
        except Failure as failure:
            write = await self._failed(job, contents, failure)
        except Exception:
            _logger.exception("transfer %s: unexpected fault", job.transfer)
            # Whatever it was, nobody knows whether the message was out.
            acted = Acted.NO if contents is None else Acted.MAYBE
            write = await self._failed(
                job, contents, ProviderFailure("delivery.fault", acted=acted, system=job.provider)
            )
        await self._commit(job, write)

    async def _forward(self, job: Job, contents: Contents) -> Incoming:
        snapshot = self._registry.snapshot
        provider = snapshot.system(job.provider)
        if provider is None or not provider.active:
            raise ProviderFailure("provider.no-endpoint", acted=Acted.NO, system=job.provider)
        compiled = await asyncio.to_thread(self._registry.compiled, job.bundle)
        if compiled.digest != job.bundle:
            raise tampered(job.transfer, "bundle.content")
        operation = compiled.contract.operations[job.operation]
        if job.idempotent and not operation.idempotent:
            raise tampered(job.transfer, "transfer.idempotent")
        message = compiled.codec("canonical").read_json(operation.request, contents.body)
        return await self._forwarder.forward(
            snapshot,
            provider,
            compiled,
            operation,
            message,
            transfer=job.transfer,
            caller=job.caller,
            timeout=self._timeout,
        )

    # --- what is written ------------------------------------------------------------------------------------------------

    async def _answered(self, job: Job, contents: Contents, incoming: Incoming) -> Write:
        compiled = self._registry.compiled(job.bundle)
        answer = compiled.codec("canonical").write_json(
            compiled.contract.operations[job.operation].answer, incoming.answer
        )
        now, salt = self._clock(), contents.salt
        entry = _row(
            Outcome(
                job.transfer,
                now,
                200,
                provider=job.provider,
                sent=salted(salt, incoming.evidence_out),
                came_back=salted(salt, incoming.evidence_in),
                answered=salted(salt, answer),
            )
        )
        vault = self._kept(job, [*evidence_of(incoming), ("answer", answer)], now, {"answer": entry.leaf})
        return self._end(job, contents, steps.ANSWER_CAME, entry, vault, now, status=200, failure=None, queue=DONE)

    async def _failed(self, job: Job, contents: Contents | None, failure: Failure) -> Write:
        now, tries = self._clock(), job.tries + 1
        if failure.code == TAMPERED:
            return await self._tampered(job, contents, failure, now)
        acted = failure.acted if isinstance(failure, ProviderFailure | ProviderMissing) else Acted.NO
        out, back = getattr(failure, "evidence_out", b""), getattr(failure, "evidence_in", b"")
        if isinstance(failure, Theirs) or isinstance(failure, ProviderFailure) and failure.final:
            vault = self._evidence(job, "", failure, now)
            entry = self._outcome(job, contents, failure.status, failure.code, out, back, now)
            return self._end(
                job,
                contents,
                steps.PROVIDER_REFUSED,
                entry,
                vault,
                now,
                status=failure.status,
                failure=failure.code,
                queue=DONE,
            )
        if acted is not Acted.NO and not job.idempotent:
            frozen = freeze(InDoubt(job.transfer, now, self._process, failure.code))
            phase = await asyncio.to_thread(phase_of, self._engine, job.transfer, frozen.phase)
            entry = LogRow(job.transfer, phase, frozen.entry, frozen.leaf)
            vault = self._evidence(job, f"{phase}-", failure, now)
            change = self._change(job, steps.OUTCOME_UNKNOWN, status=failure.status, failure=failure.code)
            return Write(
                change=change, log=(entry,), vault=vault, queue=self._queue(job, DEAD, now, tries, failure.code)
            )
        if (
            failure.code == RESTING
        ):  # its breaker opened meanwhile: this one was not tried, and is taken up as soon as the breaker lets it
            return Write(
                change=self._change(job, steps.PUT_ASIDE),
                queue=self._queue(job, WAITING, now + SOONEST, job.tries, failure.code),
            )
        lost = failure.code.startswith("vault.")  # what cannot be opened will not be opened later
        again = self._forwarder.policy.next_try(tries, job.first_at, now, self._rng, retry_after=failure.retry_after)
        if again is not None and not lost:
            return Write(
                change=self._change(job, steps.PUT_ASIDE), queue=self._queue(job, WAITING, again, tries, failure.code)
            )
        say = _logger.critical if lost else _logger.warning
        say("transfer %s to %s is given up after %d tries: %s", job.transfer, job.provider, tries, failure.code)
        code = failure.code if lost else "delivery.given-up"
        entry = self._outcome(job, contents, 502, code, out, back, now)
        vault = self._evidence(job, "", failure, now)
        return self._end(
            job, contents, steps.GIVEN_UP, entry, vault, now, status=502, failure=code, queue=DEAD, last=failure.code
        )

    async def _tampered(self, job: Job, contents: Contents | None, failure: Failure, now: float) -> Write:
        """Nothing was sent: its rows or entries are not those with which it was sealed. It is given up, unless the log has its outcome already."""
        what = str(failure.facts["what"])
        _logger.critical("transfer %s: %s was changed in the database; it is not sent", job.transfer, what)
        frozen = freeze(
            Note(
                job.transfer,
                now,
                TAMPERED,
                "gateway",
                {"what": what, "queue": job.provider, "transfer": job.row.provider},
            )
        )
        phase = await asyncio.to_thread(phase_of, self._engine, job.transfer, frozen.phase)
        note = LogRow(job.transfer, phase, frozen.entry, frozen.leaf)
        intent, outcome = await asyncio.to_thread(self._logged, job.transfer)
        if outcome is not None:
            change = self._change(job, steps.GIVEN_UP, status=failure.status, failure=TAMPERED)
            return Write(change=change, log=(note,), queue=self._queue(job, DEAD, now, job.tries, TAMPERED))
        provider = intent.value.get("provider") if intent is not None else None
        entry = _row(
            Outcome(job.transfer, now, failure.status, provider=provider or job.row.provider, failure=TAMPERED)
        )
        end = self._end(
            job, contents, steps.GIVEN_UP, entry, (), now, status=failure.status, failure=TAMPERED, queue=DEAD
        )
        return end._replace(log=(entry, note))

    def _logged(self, transfer: str) -> tuple[Logged | None, Logged | None]:
        with self._engine.connect() as connection:
            return entry_of(connection, transfer, "intent"), entry_of(connection, transfer, "outcome")

    def _outcome(
        self, job: Job, contents: Contents | None, status: int, code: str, out: bytes, back: bytes, now: float
    ) -> LogRow:
        def digest(data: bytes) -> Digest | None:
            return salted(contents.salt, data) if contents is not None and data else None

        return _row(
            Outcome(
                job.transfer, now, status, provider=job.provider, failure=code, sent=digest(out), came_back=digest(back)
            )
        )

    def _evidence(self, job: Job, prefix: str, failure: Failure, now: float) -> tuple[VaultRow, ...]:
        parts = [(f"{prefix}{part}", data) for part, data in evidence_of(failure)]
        return self._kept(job, parts, now) if parts else ()

    def _kept(
        self, job: Job, parts: Parts, now: float, bound: Mapping[str, bytes] = binding.NONE
    ) -> tuple[VaultRow, ...]:
        """What the contract keeps of it; what is queued was dispatched."""
        contract = self._registry.compiled(job.bundle).contract
        keep = keeping(contract.evidence, contract.retention_months, Pattern.DISPATCH)
        return self._vault.seal_kept(keep, job.transfer, parts, now, bound)

    def _end(
        self,
        job: Job,
        contents: Contents | None,
        step: Step,
        entry: LogRow,
        vault: tuple[VaultRow, ...],
        now: float,
        *,
        status: int,
        failure: str | None,
        queue: str,
        last: str | None = None,
    ) -> Write:
        receipt = {"outcome": base64.b64encode(entry.leaf).decode("ascii")}
        if contents is not None:
            receipt["intent"] = base64.b64encode(contents.intent_leaf).decode("ascii")
        change = self._change(
            job,
            step,
            finished=now,
            status=status,
            failure=failure,
            answer_ref=f"{job.transfer}/answer" if step is steps.ANSWER_CAME else None,
            receipt=json.dumps(receipt, sort_keys=True),
        )
        row = self._queue(job, queue, now, job.tries + 1, last or failure)
        return Write(change=change, log=(entry,), vault=vault, queue=row)

    def _change(
        self,
        job: Job,
        step: Step,
        *,
        finished: float | None = None,
        status: int | None = None,
        failure: str | None = None,
        answer_ref: str | None = None,
        receipt: str | None = None,
    ) -> TransferChange:
        return TransferChange(
            job.transfer, step.before, self._process, step.after, finished, status, failure, answer_ref, receipt
        )

    def _queue(self, job: Job, state: str, at: float, tries: int, last: str | None) -> QueueRow:
        return QueueRow(job.transfer, job.provider, job.body_ref, at, state, tries, last)

    async def _commit(self, job: Job, write: Write) -> None:
        for wait in (*_AGAIN, None):
            try:
                written = await self._journal.commit(write)
            except Ours as trouble:
                if wait is None:
                    _logger.critical(
                        "transfer %s: its end could not be written (%s); it stays open until this keeper ends",
                        job.transfer,
                        trouble.code,
                    )
                    return
                await asyncio.sleep(wait)
                continue
            if written.verdict is not Verdict.COMMITTED:
                _logger.warning("transfer %s was taken from this keeper; what it did counts no more", job.transfer)
            return


def _row(entry: Entry) -> LogRow:
    frozen = freeze(entry)
    return LogRow(frozen.transfer, frozen.phase, frozen.entry, frozen.leaf)

"""Forwards one canonical message to its provider: for the doors, where somebody waits, and for the keeper's queue.

Invariants
- The adapter is chosen by the kind of the endpoint, the codec by the provider's registration; nothing else differs.
- A system that keeps failing is left alone (`breaker`), and what is refused for that reason was not sent.
- A connection that was dropped is tried a second time at once only where the operation may be repeated, with a fresh
  signature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, Protocol

import aiohttp

from adapters.errors import PROVIDER_DOWN, PROVIDER_DROPPED, SOUND, Acted, ProviderFailure, ProviderMissing
from adapters.kinds import KINDS
from adapters.model import Adapter, AdapterServices, Incoming, Message, Outgoing
from contracts.base.errors import Failure
from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from gateway.delivery.breaker import Breakers, Position
from gateway.delivery.errors import PROVIDER_NO_ENDPOINT, PROVIDER_NO_FORMAT, PROVIDER_NO_OPERATION, PROVIDER_RESTING
from gateway.delivery.policy import STANDARD, RetryPolicy
from gateway.journal.write import QueueRow
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.transfer.stages import OpenTransfer
from security.encryption_keys import DecryptKey
from security.keys import SigningKey

SOONEST: Final = 0.5  # seconds; a message put aside is first tried again after the policy's wait, but not before this


class Forwardable(Protocol):
    """What is forwarded: `Committed` of the exchange, `Delivery` of the queue. `snapshot` is the one that chose
    `provider`.
    """

    @property
    def open(self) -> OpenTransfer: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def provider(self) -> System: ...
    @property
    def contract(self) -> CompiledContract: ...
    @property
    def operation(self) -> Operation: ...
    @property
    def message(self) -> Message: ...
    @property
    def caller(self) -> str:
        """agency/system"""
        ...


class Forwarder:
    """One a process. `adapters` maps the kind of an endpoint to its adapter; `clock` gives Unix seconds."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        clock: Callable[[], float],
        *,
        breakers: Breakers | None = None,
        policy: RetryPolicy = STANDARD,
        rng: Random | None = None,
    ) -> None:
        self._adapters = adapters
        self._clock = clock
        self._rng = rng or Random()
        self.breakers: Final = breakers or Breakers()
        self.policy: Final = policy

    async def forward(self, what: Forwardable, seconds: float) -> Incoming:
        """The verified answer within `seconds`, or a failure that says whether the provider may have acted."""
        provider, contract, operation = what.provider, what.contract, what.operation
        endpoint = provider.endpoint
        if endpoint is None or not endpoint.keys_by_id or endpoint.kind not in self._adapters:
            raise PROVIDER_NO_ENDPOINT(acted=Acted.NO, system=provider.id)
        name = contract.contract.name
        try:
            codec = what.snapshot.codec(provider, contract)
        except LookupError:  # a queued message keeps its contract, and that one may not know the system's newer format
            raise PROVIDER_NO_FORMAT(
                acted=Acted.NO, system=provider.id, format=provider.format(name), contract=name
            ) from None
        if operation.name not in codec.rest:
            raise PROVIDER_NO_OPERATION(
                acted=Acted.NO,
                system=provider.id,
                operation=operation.name,
                version=provider.pin(name),
                contract=name,
            )
        breaker = self.breakers.of(provider.id)
        wait = breaker.admit(self._clock())
        if wait > 0:
            seconds = math.ceil(wait)
            raise PROVIDER_RESTING(acted=Acted.NO, retry_after=seconds, system=provider.id, seconds=seconds)
        outgoing = Outgoing(
            transfer=what.open.id,
            caller=what.caller,
            operation=operation,
            codec=codec,
            message=what.message,
            timeout=seconds,
            encrypted=contract.contract.protection == "encrypted",
        )
        adapter = self._adapters[endpoint.kind]
        try:
            try:
                incoming = await adapter.call(endpoint, outgoing)
            except ProviderFailure as failure:
                if failure.code != PROVIDER_DROPPED.code or not operation.idempotent:
                    raise
                incoming = await adapter.call(endpoint, outgoing)
        except (ProviderFailure, ProviderMissing) as failure:
            if failure.code in SOUND:
                breaker.succeeded()
            else:
                breaker.failed(self._clock(), unreachable=failure.type is PROVIDER_DOWN)
            raise
        except (
            BaseException
        ):  # cancelled, a message that cannot be expressed, a fault of ours: nothing of it is the provider's
            breaker.abandoned()
            raise
        breaker.succeeded()
        return incoming

    def is_open(self, system: str) -> bool:
        """Whether calls to this system are held back just now."""
        return self.breakers.of(system).wait(self._clock()) > 0

    def listens(self, system: str) -> None:
        """It was seen to take connections."""
        self.breakers.of(system).listens(self._clock())

    def positions(self) -> dict[str, Position]:
        return self.breakers.positions(self._clock())

    def queue_row(self, transfer: OpenTransfer, failure: Failure, now: float) -> QueueRow:
        """The row of a message that is put aside after its first try failed. How long this process leaves the system
        alone does not bind the keeper, who has a breaker of its own, and looks whether the system is back.
        """
        after = None if failure.type is PROVIDER_RESTING else failure.retry_after
        at = self.policy.next_try(1, now, now, self._rng, retry_after=after)
        assert transfer.provider is not None
        next_at = max(now + SOONEST, at or now)
        return QueueRow(
            transfer.id, transfer.provider, f"{transfer.id}/canonical", next_at, tries=1, last_failure=failure.code
        )


def forwarder_over(
    session: aiohttp.ClientSession, key: SigningKey, decrypt: Sequence[DecryptKey], clock: Callable[[], float]
) -> Forwarder:
    """A forwarder with an adapter of each kind over one session, signing with the gateway's key, and decrypting with its keys."""
    services = AdapterServices(session, key, decrypt, clock)
    return Forwarder({name: kind.make(services) for name, kind in KINDS.items()}, clock)

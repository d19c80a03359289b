"""Forwards one canonical message to its provider, for the doors and for the keeper's queue.

Invariant: the endpoint's kind selects the adapter, the provider's registration selects the codec. Nothing else differs.
Invariant: the provider sees what its grants to receive show (`gateway.registry.receiving`), nothing else.
Invariant: a call that the breaker refuses was not sent. A call with an ordered fault, which only stand-ins of a
  sandbox get, does not count there: one vendor's faults keep nobody else from a system.
Invariant: a dropped connection is retried once at once, with a fresh signature, only if the operation is idempotent.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, Protocol

import aiohttp

from adapters.errors import PROVIDER_DOWN, PROVIDER_DROPPED, SOUND, Acted, ProviderFailure, ProviderMissing
from adapters.kinds import KINDS
from adapters.model import Adapter, AdapterServices, Endpoint, Incoming, Message, Outgoing
from adapters.posting import SignedPosts
from contracts.base.errors import Failure
from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from gateway.delivery.breaker import STANDARD as STANDARD_BREAKER
from gateway.delivery.breaker import Breakers, Position, Rules
from gateway.delivery.errors import (
    PROVIDER_NO_ENDPOINT,
    PROVIDER_NO_FORMAT,
    PROVIDER_NO_OPERATION,
    PROVIDER_RESTING,
    SANDBOX_BUSY,
)
from gateway.delivery.faults import FaultOrders, Scope
from gateway.delivery.policy import STANDARD, RetryPolicy
from gateway.journal.write import QueueRow
from gateway.registry.receiving import Receiving
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import is_tenant
from gateway.signals import meters, spans, traces
from gateway.transfer.large_body import off_loop
from gateway.transfer.stages import OpenTransfer
from security.encryption_keys import DecryptKey
from security.keys import SigningKey

_MAKES: Final = {name: kind.load() for name, kind in KINDS.items() if kind.load is not None}
SOONEST: Final = 0.5  # seconds: the least wait before the second try
A_TENANT: Final = 6  # calls of one vendor at once: those that hang leave connections for everybody else


class Forwardable(Protocol):
    """`Committed` of the exchange, or `Delivery` of the queue. `snapshot` is the one that chose `provider`."""

    @property
    def open(self) -> OpenTransfer: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def provider(self) -> System: ...
    @property
    def receiving(self) -> Receiving: ...
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
    """One for each process. `adapters` maps the kind of an endpoint to its adapter; `clock` gives Unix seconds."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        clock: Callable[[], float],
        *,
        breakers: Breakers | None = None,
        policy: RetryPolicy = STANDARD,
        rng: Random | None = None,
        posts: SignedPosts | None = None,
        faults: FaultOrders | None = None,
    ) -> None:
        self._adapters = adapters
        self._faults = faults  # only a sandbox passes on what somebody wants to go wrong
        self._tenants: Final = Counter[str]()  # running calls of each tenant of a sandbox
        self._clock = clock
        self._rng = rng or Random()
        self.breakers: Final = breakers or Breakers()
        self.policy: Final = policy
        self.posts: Final = posts  # None: systems are not called back

    async def forward(self, what: Forwardable, seconds: float) -> Incoming:
        """The verified answer within `seconds`, or a failure that says whether the provider may have acted.

        A fault that the caller wants, or that was ordered, is passed on in a sandbox, and dropped everywhere else.
        """
        agency, _, _ = what.caller.partition("/")
        if not is_tenant(agency):
            return await self._forward(what, seconds)
        if self._tenants[agency] >= A_TENANT:
            raise SANDBOX_BUSY(acted=Acted.NO, retry_after=1, agency=agency, most=A_TENANT)
        self._tenants[agency] += 1
        try:
            return await self._forward(what, seconds)
        finally:
            self._tenants[agency] -= 1

    async def _forward(self, what: Forwardable, seconds: float) -> Incoming:
        provider, contract, operation = what.provider, what.contract, what.operation
        endpoint = provider.endpoint
        if endpoint is None or not endpoint.keys_by_id or endpoint.kind not in self._adapters:
            raise PROVIDER_NO_ENDPOINT(acted=Acted.NO, system=provider.id)
        name = contract.contract.name
        try:
            codec = what.snapshot.codec(provider, contract)
        except LookupError:  # the contract of a queued message may not know a newer format
            raise PROVIDER_NO_FORMAT(
                acted=Acted.NO, system=provider.id, format=provider.format(name), contract=name
            ) from None
        if not codec.supports(operation.name):
            raise PROVIDER_NO_OPERATION(
                acted=Acted.NO,
                system=provider.id,
                operation=operation.name,
                version=provider.pin(name),
                contract=name,
            )
        fault = await self._fault(what)
        breaker = self.breakers.of(provider.id)
        if (wait := (breaker.wait if fault else breaker.admit)(self._clock())) > 0:
            seconds = math.ceil(wait)
            raise PROVIDER_RESTING(acted=Acted.NO, retry_after=seconds, system=provider.id, seconds=seconds)
        outgoing = Outgoing(
            transfer=what.open.id,
            caller=what.caller,
            operation=operation,
            codec=codec,
            message=await off_loop(what.open.heavy, what.receiving.shown, what.message),
            timeout=seconds,
            encrypted=contract.contract.protection == "encrypted",
            spool=what.open.spool,
            heavy=what.open.heavy,
            fault=fault,
            trace=traces.outgoing(what.open.id),
        )
        adapter = self._adapters[endpoint.kind]
        if fault:
            return await _called(adapter, endpoint, outgoing)
        result, began = "broken", time.perf_counter()
        try:
            incoming = await _called(adapter, endpoint, outgoing)
            result = "answered"
        except (ProviderFailure, ProviderMissing) as failure:
            result = failure.code
            if failure.code in SOUND:
                breaker.succeeded()
            else:
                breaker.failed(self._clock(), unreachable=failure.type is PROVIDER_DOWN)
            raise
        except BaseException:  # not a fault of the provider
            breaker.abandoned()
            raise
        finally:
            took = time.perf_counter() - began
            meters.provider(provider.id, name, result, took)
            spans.called(
                f"{name}/{operation.name}",
                traces.here(),
                outgoing.trace,
                took,
                "" if result == "answered" else result,
                system=provider.id,
                transfer=what.open.id,
            )
        breaker.succeeded()
        return incoming

    async def _fault(self, what: Forwardable) -> str:
        if self._faults is None or is_tenant(what.provider.agency):
            return ""
        agency, _, _ = what.caller.partition("/")
        scope = Scope(agency, what.provider.id, what.contract.contract.name, what.operation.name)
        return what.open.fault or await self._faults.fault(scope, what.provider.agency)

    def is_open(self, system: str) -> bool:
        """Whether calls to this system are refused now."""
        return self.breakers.of(system).wait(self._clock()) > 0

    def listens(self, system: str) -> None:
        """The system was seen to accept connections."""
        self.breakers.of(system).listens(self._clock())

    def positions(self) -> dict[str, Position]:
        return self.breakers.positions(self._clock())

    def queue_row(self, transfer: OpenTransfer, failure: Failure, now: float) -> QueueRow:
        """The row of a message whose first try failed. This process's breaker does not bind the keeper, which has its
        own.
        """
        after = None if failure.type is PROVIDER_RESTING else failure.retry_after
        at = self.policy.next_try(1, now, now, self._rng, retry_after=after)
        assert transfer.provider is not None
        next_at = max(now + SOONEST, at or now)
        return QueueRow(
            transfer=transfer.id,
            provider=transfer.provider,
            body_ref=f"{transfer.id}/canonical",
            next_at=next_at,
            tries=1,
            last_failure=failure.code,
        )


async def _called(adapter: Adapter, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
    try:
        return await adapter.call(endpoint, outgoing)
    except ProviderFailure as failure:
        if failure.code != PROVIDER_DROPPED.code or not outgoing.operation.idempotent:
            raise
        return await adapter.call(endpoint, outgoing)


def forwarder_over(
    session: aiohttp.ClientSession,
    key: SigningKey,
    decrypt: Sequence[DecryptKey],
    clock: Callable[[], float],
    rules: Rules = STANDARD_BREAKER,
    *,
    faults: FaultOrders | None = None,
) -> Forwarder:
    """A forwarder with one adapter of each kind over one session and the gateway's keys."""
    services = AdapterServices(session, key, decrypt, clock)
    return Forwarder(
        {name: make(services) for name, make in _MAKES.items()},
        clock,
        breakers=Breakers(rules),
        posts=SignedPosts(session, key, clock),
        faults=faults,
    )

"""Ordered faults: each kind acts on the calls that the order names, as often as it says, and on nobody else's."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from adapters.errors import ProviderFailure
from contracts.compiled.contract import catalogue
from gateway.delivery import faults
from gateway.delivery.breaker import Breakers, Position, Rules
from gateway.delivery.faults import FaultOrders, Order, Scope
from gateway.delivery.forwarder import A_TENANT, Forwarder
from gateway.delivery.worker import Delivery
from gateway.journal.database import snapshot, writing
from gateway.registry.receiving import Receiving
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.sandbox.simulation.answers import examples
from gateway.sandbox.simulation.faults import KINDS
from gateway.transfer.stages import OpenTransfer
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

REPORTS = {each.contract.name: each for each in catalogue()}["field-report/v1"]
NAME, OPERATION = "field-report/v1", "createRequest"
HERS, ANOTHERS = "NCC.AAAA0001", "NCC.BBBB0002"
SCOPE = Scope(HERS, "", NAME, OPERATION)


@dataclass
class Sandbox:
    """Doors that look at the orders at each call; they leave a system that fails alone after two failures."""

    simulated: Simulated
    snapshot: Snapshot
    provider: System
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.forwarder = self.door()

    def door(self) -> Forwarder:
        orders = FaultOrders(self.simulated.engine, lambda: self.now, every=0.0)
        breakers = Breakers(Rules(failures=2, rest=5.0))
        return Forwarder(self.simulated.adapters, lambda: self.now, breakers=breakers, faults=orders)

    def order(self, kind: str, scope: Scope = SCOPE, **how: Any) -> Order:
        wanted = Order(scope, kind, how.get("seconds", 0.0), how.get("calls", 1), how.get("until"), "test", self.now)
        with writing(self.simulated.engine) as connection:
            faults.put(connection, wanted)
        return wanted

    async def coming(
        self,
        caller: str = HERS,
        *,
        provider: System | None = None,
        forwarder: Forwarder | None = None,
        seconds: float = 30.0,
    ) -> str:
        """What comes of a call of this agency: the code of a failure; empty if it is answered."""
        message = examples(REPORTS, REPORTS.contract.operations[OPERATION].request)[0]
        what = Delivery(
            open=OpenTransfer(str(uuid.uuid4()), "door-1", SYSTEM),
            snapshot=self.snapshot,
            provider=provider or self.provider,
            receiving=Receiving(()),
            contract=REPORTS,
            operation=REPORTS.contract.operations[OPERATION],
            message=message,
            caller=f"{caller}/he-thong",
        )
        try:
            await (forwarder or self.forwarder).forward(what, seconds)
        except ProviderFailure as failure:
            return failure.code
        return ""

    def code(self, caller: str = HERS, **how: Any) -> str:
        return str(self.soon(self.coming(caller, **how)).result(60))

    def soon(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self.simulated.loop)


@pytest.fixture
def sandbox(simulated: Simulated) -> Iterator[Sandbox]:
    with snapshot(simulated.engine) as connection:
        known = load_snapshot(connection)
    endpoint = replace(simulated.endpoint, kind="rest", url=f"{simulated.url}/{SYSTEM}", options={})
    yield Sandbox(simulated, known, replace(known.systems[SYSTEM], endpoint=endpoint, formats={}))
    with writing(simulated.engine) as connection:
        faults.reset(connection, None)


@pytest.mark.sampled("*", but=("silent", "late"))
@pytest.mark.parametrize("kind", [name for name in KINDS if name not in ("none", "slow", "out-of-order", "strict")])
def test_each_kind_acts_once_on_her_call_and_on_nobody_elses(sandbox: Sandbox, kind: str) -> None:
    assert sandbox.code() == "", "for `duplicate`: the answer before"
    sandbox.order(kind)
    assert sandbox.code(ANOTHERS) == sandbox.code("H14.5") == ""
    assert sandbox.code(seconds=3.0 if kind in ("silent", "late") else 30.0) == KINDS[kind].code
    assert sandbox.code() == "", "the next one is well again"


@pytest.mark.parametrize("kind", ["slow", "out-of-order"])
def test_what_only_takes_time_is_answered(sandbox: Sandbox, kind: str) -> None:
    sandbox.order(kind, seconds=0.4)
    before = time.monotonic()
    assert sandbox.code() == "" and time.monotonic() - before >= 0.4


def test_one_vendors_faults_keep_nobody_else_from_the_system(sandbox: Sandbox) -> None:
    """So many failures of a system would open its breaker: then everybody's calls were refused."""
    sandbox.order("down", calls=0)
    assert {sandbox.code() for _ in range(6)} == {"provider.dropped"}
    assert sandbox.forwarder.positions()[SYSTEM] is Position.CLOSED
    assert sandbox.code(ANOTHERS) == ""


@pytest.mark.full
def test_calls_that_hang_are_bounded_for_each_vendor(sandbox: Sandbox) -> None:
    """A flood of calls to what never answers takes six connections of a process, and no more."""
    sandbox.order("silent", calls=0)

    async def together() -> list[str]:
        return await asyncio.gather(*(sandbox.coming(seconds=5.0) for _ in range(18)))

    flood = sandbox.soon(together())
    assert sandbox.code(ANOTHERS) == sandbox.code("H14.5") == ""
    codes = Counter(flood.result(60))
    assert codes["provider.timeout"] == A_TENANT and codes["sandbox.busy"] == 18 - A_TENANT
    assert sandbox.code(seconds=3.0) == "provider.timeout", "places are free again"


def test_no_answer_of_another_vendor_is_sent_once_more(sandbox: Sandbox) -> None:
    """`duplicate` sends the answer before: hers. The bytes would be in the evidence of her call."""
    newcomer = "NCC.CCCC0003"
    assert sandbox.code(ANOTHERS) == ""
    sandbox.order("duplicate", SCOPE._replace(agency=newcomer), calls=2)
    assert sandbox.code(newcomer) == "", "there is no answer before"
    assert sandbox.code(newcomer) == "provider.bad-signature"


def test_her_own_provider_is_never_hit(sandbox: Sandbox) -> None:
    sandbox.order("down", calls=0)
    for agency in (HERS, ANOTHERS):
        assert sandbox.code(provider=replace(sandbox.provider, agency=agency)) == ""


@pytest.mark.parametrize(
    ("scope", "hit"),
    [
        (Scope(), True),
        (Scope(system=SYSTEM), True),
        (Scope(contract=NAME), True),
        (Scope(HERS, SYSTEM, NAME, OPERATION), True),
        (Scope(ANOTHERS), False),
        (Scope(system="dan-cu"), False),
        (Scope(contract="field-report/v2"), False),
        (Scope(HERS, "", NAME, "getRequest"), False),
    ],
)
def test_what_an_order_is_for(sandbox: Sandbox, scope: Scope, hit: bool) -> None:
    sandbox.order("down", scope)
    assert sandbox.code() == ("provider.dropped" if hit else "")


def test_what_names_more_goes_first(sandbox: Sandbox) -> None:
    sandbox.order("down", Scope())
    sandbox.order("bad-signature")
    assert [sandbox.code() for _ in range(3)] == ["provider.bad-signature", "provider.dropped", ""]


def test_an_order_ends_by_its_count_by_its_time_and_by_a_newer_one(sandbox: Sandbox) -> None:
    first = sandbox.order("down", calls=2, until=sandbox.now + 60)
    assert sandbox.code() == "provider.dropped"
    sandbox.now += 61
    assert sandbox.code() == ""
    assert sandbox.order("other-key", calls=0).mark == first.mark
    assert {sandbox.code() for _ in range(3)} == {"provider.bad-signature"}
    with writing(sandbox.simulated.engine) as connection:
        assert [each.mark for each in faults.reset(connection, ANOTHERS)] == []
        assert [each.mark for each in faults.reset(connection, HERS)] == [first.mark]
    assert sandbox.code() == ""


def test_several_doors_never_exceed_the_count(sandbox: Sandbox) -> None:
    sandbox.order("bad-signature", calls=3)
    doors = [sandbox.door() for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda number: sandbox.code(forwarder=doors[number % 4]), range(16)))
    assert codes.count("provider.bad-signature") == 3 and codes.count("") == 13

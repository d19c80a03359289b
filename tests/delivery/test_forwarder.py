"""The forwarder: which adapter, when a system is left alone, and what counts against it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from adapters.errors import (
    PROVIDER_DOWN,
    PROVIDER_DROPPED,
    PROVIDER_FAULT,
    PROVIDER_NOT_FOUND,
    PROVIDER_REFUSED,
    Acted,
    ProviderFailure,
)
from adapters.model import Endpoint, Incoming, Outgoing
from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from contracts.errors import MESSAGE_NOT_EXPRESSIBLE
from gateway.delivery.breaker import Breakers, Position, Rules
from gateway.delivery.errors import PROVIDER_RESTING
from gateway.delivery.forwarder import Forwarder
from gateway.delivery.worker import Delivery
from gateway.registry.receiving import Receiving
from gateway.registry.records import System
from gateway.registry.snapshot import load_snapshot
from gateway.transfer.stages import OpenTransfer
from tests.registry.making import NOW, House, contracts, filled, new_database, province

TRANSFER = "01935b6e-0000-7000-8000-000000000001"
OPEN = OpenTransfer(TRANSFER, "door-1", "do-thi")
INCOMING = Incoming({"x": 1}, b"out", b"in", "k", 200, 0.1)


class Scripted:
    """Stands where an adapter stands, and does what it is told."""

    def __init__(self) -> None:
        self.results: list[Incoming | BaseException] = []
        self.calls: list[tuple[Endpoint, Outgoing]] = []

    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        self.calls.append((endpoint, outgoing))
        result = self.results.pop(0) if self.results else INCOMING
        if isinstance(result, BaseException):
            raise result
        return result


class Office:
    def __init__(self, engine: Engine) -> None:
        with engine.connect() as connection:
            self.snapshot = load_snapshot(connection)
        self.now = 1000.0
        self.rest, self.soap = Scripted(), Scripted()
        self.forwarder = Forwarder(
            {"rest": self.rest, "soap": self.soap},
            lambda: self.now,
            breakers=Breakers(Rules(failures=2, rest=5.0)),
            rng=Random(1),
        )

    async def forward(self, system: str, contract: str, operation: str) -> Incoming:
        compiled = contracts()[contract]
        return await self.forwarder.forward(self.delivery(self.snapshot.systems[system], compiled, operation), 1.0)

    def delivery(self, provider: System, compiled: CompiledContract, operation: str) -> Delivery:
        return Delivery(
            open=OpenTransfer(TRANSFER, "door-1", provider.id),
            snapshot=self.snapshot,
            provider=provider,
            receiving=Receiving(()),
            contract=compiled,
            operation=compiled.contract.operations[operation],
            message={},
            caller="H14.0/dieu-hanh",
        )

    async def ask(self) -> Incoming:
        return await self.forward("kinh-te", "indicator/v1", "getValue")

    async def failing(self) -> Failure:
        with pytest.raises(Failure) as caught:
            await self.ask()
        return caught.value


@pytest.fixture
def office(tmp_path: Path, keys: House) -> Office:
    engine = new_database(tmp_path)
    filled(engine, province(), [keys.identity(name, NOW) for name in ("kinh-te", "do-thi")])
    return Office(engine)


def down() -> ProviderFailure:
    return PROVIDER_DOWN(acted=Acted.NO, system="kinh-te", reason="x")


async def test_the_endpoint_chooses_the_adapter_and_the_registration_the_format(office: Office) -> None:
    assert await office.ask() is INCOMING
    assert await office.forward("do-thi", "field-report/v1", "createRequest") is INCOMING
    ((endpoint, outgoing),) = office.rest.calls
    assert (
        endpoint.system == "kinh-te" and outgoing.codec.name == "kinh-te-json" and outgoing.caller == "H14.0/dieu-hanh"
    )
    assert office.soap.calls[0][1].codec.name == "do-thi-xml"


async def test_a_system_without_key_or_address_is_not_called(office: Office) -> None:
    for system, contract, operation in (
        ("truong-ha", "field-report/v1", "createRequest"),
        ("y-te", "indicator/v1", "getValue"),
    ):
        with pytest.raises(ProviderFailure) as caught:
            await office.forward(system, contract, operation)
        assert caught.value.code == "provider.no-endpoint" and not caught.value.may_have_acted
    assert not office.rest.calls


async def test_a_format_that_the_contract_does_not_have(office: Office) -> None:
    known = office.snapshot.systems["kinh-te"]
    newer = System(known.id, known.agency, known.title, {"indicator/v1": "kinh-te-json-2"}, known.endpoint)
    compiled = contracts()["indicator/v1"]
    with pytest.raises(ProviderFailure) as caught:
        await office.forwarder.forward(office.delivery(newer, compiled, "getValue"), 1.0)
    assert caught.value.code == "provider.no-format" and office.forwarder.breakers.of("kinh-te").wait(office.now) == 0


async def test_a_failing_system_is_left_alone_and_tried_with_one_call(office: Office) -> None:
    office.rest.results = [down(), down()]
    assert (await office.failing()).code == "provider.down" and not office.forwarder.is_open("kinh-te")
    assert (await office.failing()).code == "provider.down" and office.forwarder.is_open("kinh-te")
    resting = await office.failing()
    assert isinstance(resting, ProviderFailure)
    assert (resting.code, resting.status, resting.retry_after, resting.may_have_acted) == (
        "provider.resting",
        503,
        5,
        False,
    )
    assert len(office.rest.calls) == 2 and office.forwarder.positions() == {"kinh-te": Position.OPEN}
    assert not office.forwarder.is_open("do-thi")
    office.now += 5.0
    assert await office.ask() is INCOMING
    assert office.forwarder.positions()["kinh-te"] is Position.CLOSED


@pytest.mark.parametrize(
    "failure",
    [
        lambda: PROVIDER_REFUSED(acted=Acted.NO, system="kinh-te", provider_status=400),
        lambda: PROVIDER_NOT_FOUND(system="kinh-te"),
    ],
)
async def test_a_refusal_says_that_the_system_is_well(office: Office, failure: Any) -> None:
    office.rest.results = [down(), failure(), down(), failure(), down()]
    for _ in range(5):
        await office.failing()
    assert not office.forwarder.is_open("kinh-te")


async def test_what_is_not_the_systems_fault_does_not_count(office: Office) -> None:
    def ours() -> list[BaseException]:
        return [
            MESSAGE_NOT_EXPRESSIBLE(message="x", format="y"),
            RuntimeError("bug"),
            asyncio.CancelledError(),
        ]

    for result in [*ours(), *ours()]:
        office.rest.results = [result]
        with pytest.raises(type(result)):
            await office.ask()
    assert not office.forwarder.is_open("kinh-te")


@pytest.mark.parametrize(
    ("contract", "operation", "again"),
    [("indicator/v1", "getValue", True), ("incident-alert/v1", "submitAlert", False)],
)
async def test_a_dropped_call_is_repeated_only_where_that_is_safe(
    office: Office, contract: str, operation: str, again: bool
) -> None:
    office.rest.results = [
        PROVIDER_DROPPED(acted=Acted.MAYBE, system="kinh-te", reason="x"),
        INCOMING,
    ]
    if again:
        assert await office.forward("kinh-te", contract, operation) is INCOMING
    else:
        with pytest.raises(ProviderFailure):
            await office.forward("kinh-te", contract, operation)
    assert len(office.rest.calls) == (2 if again else 1)


def test_a_message_put_aside_waits_a_little(office: Office) -> None:
    row = office.forwarder.queue_row(OPEN, down(), 1000.0)
    assert (row.state, row.tries, row.last_failure) == (
        "waiting",
        1,
        "provider.down",
    ) and 1000.5 <= row.next_at <= 1002.5
    slow = PROVIDER_FAULT(acted=Acted.NO, system="x", provider_status=503, retry_after=40)
    assert office.forwarder.queue_row(OPEN, slow, 1000.0).next_at >= 1040.0


def test_the_rest_that_a_door_allows_does_not_bind_the_keeper(office: Office) -> None:
    resting = PROVIDER_RESTING(acted=Acted.NO, system="do-thi", seconds=60, retry_after=60)
    assert office.forwarder.queue_row(OPEN, resting, 1000.0).next_at <= 1002.0


async def test_only_what_could_not_be_reached_is_called_as_soon_as_it_listens(office: Office) -> None:
    fault = PROVIDER_FAULT(acted=Acted.NO, system="kinh-te", provider_status=503)
    office.rest.results = [down(), fault]
    for _ in range(2):
        await office.failing()
    office.forwarder.listens("kinh-te")
    assert office.forwarder.is_open("kinh-te")
    office.now += 5.0
    office.rest.results = [down()]
    await office.failing()
    assert office.forwarder.is_open("kinh-te")
    office.forwarder.listens("kinh-te")
    assert not office.forwarder.is_open("kinh-te") and await office.ask() is INCOMING


class Ordered:
    """A sandbox where nobody ordered a fault: only what a caller wants by its header goes wrong."""

    async def fault(self, call: Any, owner: str) -> str:
        return ""


@pytest.mark.attack("limits")
async def test_a_call_with_a_fault_does_not_pass_the_breaker_by(office: Office) -> None:
    office.forwarder._faults = cast(Any, Ordered())
    office.rest.results = [down(), down()]
    for _ in range(2):
        await office.failing()
    wanted = office.delivery(office.snapshot.systems["kinh-te"], contracts()["indicator/v1"], "getValue")
    wanted = wanted._replace(open=wanted.open._replace(fault="slow"))
    with pytest.raises(Failure) as resting:
        await office.forwarder.forward(wanted, 1.0)
    assert resting.value.type is PROVIDER_RESTING and len(office.rest.calls) == 2


@pytest.mark.attack("limits")
async def test_the_provider_of_a_tenant_gets_no_fault_and_counts(office: Office) -> None:
    office.forwarder._faults = cast(Any, Ordered())
    own = replace(office.snapshot.systems["kinh-te"], agency="NCC.0123ABCD")
    wanted = office.delivery(own, contracts()["indicator/v1"], "getValue")
    wanted = wanted._replace(open=wanted.open._replace(fault="slow"))
    office.rest.results = [down(), down()]
    for _ in range(2):
        with pytest.raises(ProviderFailure):
            await office.forwarder.forward(wanted, 1.0)
    assert [outgoing.fault for _, outgoing in office.rest.calls] == ["", ""] and office.forwarder.is_open("kinh-te")

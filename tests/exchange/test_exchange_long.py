"""A body of 4 MB holds up no other call: the event loop of a door runs on while it is read, translated and written."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from adapters.model import Incoming
from contracts.compiled.contract import CompiledContract
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.jsontext import read_json, write_json
from contracts.wire.soap import parse_xml
from gateway.doors.http.costly import Reader, Reading, Readings
from gateway.doors.http.costs import Budgets
from gateway.doors.http.reader import Job
from gateway.exchange.exchange import Exchange
from gateway.transfer.stages import Addressed, Answered, Authorised, Message
from tests.exchange.house import Gateway, PlainDoor, Provider, house, received_at, sample
from tests.registry.making import NOW

SIZE = 4_000_000  # bytes
PAUSE = 1 / 5  # of the time of the call: the longest pause of the loop
WORK = 1 / 20  # of the processor time of the call: the longest work of the loop at once
TRIES = 3


def long_values(compiled: CompiledContract, number: int) -> Message:
    """Many values, each with a business key of its own."""
    message = sample(compiled, "IndicatorValues")
    item = message["values"][0]
    count = SIZE // len(write_json(item))
    places = range(number * count, (number + 1) * count)
    values = [{**item, "value": Decimal(at) / 4, "period": f"{1000 + at // 12:04d}-{at % 12 + 1:02d}"} for at in places]
    return {**message, "values": values}


def long_answer(compiled: CompiledContract) -> Message:
    answer: Any = next(read_json(each.canonical) for each in compiled.samples if b'"result"' in each.canonical)
    papers = answer["dossier"]["result"]
    return {**answer, "dossier": {**answer["dossier"], "result": papers * (SIZE // len(write_json(papers)))}}


class LongDoor(PlainDoor):
    """A door whose body is read as REST bodies are: in the reader process."""

    def __init__(self, message_id: str, body: bytes) -> None:
        PlainDoor.__init__(self, message_id, {})
        self.body = body

    def job(self, authorised: Authorised) -> Job | None:
        requested = authorised.requested
        return Job(self.body, requested.contract.digest, requested.format, requested.request, requested.received.at)


class XmlDoor(LongDoor):
    """A door whose body is read as SOAP bodies are: in a thread."""

    def job(self, authorised: Authorised) -> None:
        return None

    def decode(self, authorised: Authorised) -> Message:
        requested = authorised.requested
        return requested.codec.read_xml(requested.request, parse_xml(self.body), requested.received.at)


class LongProvider(Provider):
    body: bytes = b""

    async def forward(self, *given: Any, **named: Any) -> Incoming:
        return Incoming(self.answer, b"what went out", self.body, "key-1", 200, 0.1)


def bundle_of(digest: str) -> Bundle:
    return next(each for each in map(Bundle.from_folder, catalogue_folders()) if each.digest == digest)


async def longest_pause(call: Any) -> tuple[Any, float, float]:
    """What the call returns; the longest pause of the loop as a part of the time of the call; and the longest work of
    the loop without a pause, as a part of the processor time of the call in this process.
    """
    pause, work, ended = 0.0, 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal pause, work
        while not ended.is_set():
            last, spent = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            pause, work = max(pause, time.perf_counter() - last), max(work, time.thread_time() - spent)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    pause = work = 0.0
    began, spent = time.perf_counter(), time.process_time()
    result = await call
    took, spent = time.perf_counter() - began, time.process_time() - spent
    ended.set()
    await beating
    return result, pause / took, work / spent


@pytest.fixture
def frozen() -> Iterator[None]:
    """As in a door: no collection examines what was there before, and threads take turns soon."""
    interval = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


async def handed_in(gateway: Gateway, exchange: Exchange, compiled: CompiledContract, door: LongDoor) -> Any:
    budgets, readings = Budgets(1_000.0), Readings(Reader(bundle_of))
    operation = compiled.contract.operations["submitValues"]
    received = received_at(NOW, gateway.snapshot)._replace(body=door.body)
    turn = await budgets.begin("a")
    addressed = Addressed(received, cast(Any, None), compiled, operation)
    try:
        return await longest_pause(exchange.carry(addressed, door, Reading(readings, turn, door)))
    finally:
        await readings.close()


async def submitted(gateway: Gateway, exchange: Exchange, compiled: CompiledContract, number: int) -> Any:
    """Each time under other keys."""
    door = LongDoor(f"m-{number}", write_json(long_values(compiled, number)))
    return await handed_in(gateway, exchange, compiled, door)


async def submitted_as_xml(gateway: Gateway, exchange: Exchange, compiled: CompiledContract, number: int) -> Any:
    """Without a job for the reader process, as at the SOAP door."""
    message = long_values(compiled, number)
    raw = compiled.codec("canonical").write_xml("IndicatorValues", message, "submitValues")
    return await handed_in(gateway, exchange, compiled, XmlDoor(f"x-{number}", raw))


async def answered(gateway: Gateway, exchange: Exchange, compiled: CompiledContract, number: int) -> Any:
    operation = compiled.contract.operations["getStatus"]
    provider = LongProvider(long_answer(compiled))
    provider.body = write_json(provider.answer)
    exchange.forwarder = cast(Any, provider)
    addressed = Addressed(received_at(NOW, gateway.snapshot, "GET"), cast(Any, None), compiled, operation)
    door = PlainDoor(f"q-{number}", sample(compiled, operation.request))
    return await longest_pause(exchange.carry(addressed, door))


@pytest.mark.sampled("submitted-*")
@pytest.mark.parametrize(
    ("way", "name"), [(submitted, "indicator/v1"), (submitted_as_xml, "indicator/v1"), (answered, "dossier-status/v1")]
)
def test_a_long_body_does_not_stop_the_loop(sqlite: Engine, tmp_path: Path, frozen: None, way: Any, name: str) -> None:
    pauses, works = list[float](), list[float]()
    with house(sqlite, tmp_path) as gateway:
        compiled, provider = gateway.snapshot.contracts[name], cast(Any, Provider({}))
        exchange = Exchange(gateway.journal, gateway.vault, provider, gateway.engine, "door-1", str, lambda: NOW, 20.0)
        for number in range(TRIES):
            ended, pause, work = asyncio.run(way(gateway, exchange, compiled, number))
            assert isinstance(ended, Answered) and ended.answer is not None and ended.heavy is (way is answered), (
                getattr(ended, "failure", ended)
            )
            print(f"{way.__name__}: the longest pause {pause:.3f}, the longest work {work:.3f} of the call")
            pauses.append(pause)
            works.append(work)
    assert min(pauses) <= PAUSE, "what stops the loop does so each time, and the machine's own noise does not"
    assert median(works) <= WORK

"""One agency's heavy requests of the gateway's own APIs: others on the same door are answered meanwhile, and the cost
stays linear."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contracts.base.ids import new_id
from gateway.audit.search.index import Indexer
from gateway.audit.search.reconcile import Claimant, compare
from gateway.audit.search.search import reading
from gateway.client.audit.reconciliation import Claim, Key, Statement
from gateway.doors.api import reconciliation, transfers
from gateway.journal.database import lock_of, writing
from tests.audit.making import write
from tests.cost import seconds
from tests.doors.api.client import Answer, World, opened
from tests.doors.api.test_api_reconciliation import COUNT, exchanged, midnight, post, said
from tests.registry.making import House
from tests.size import examples

MESSAGES = 2_000  # of yesterday, in the log
SMALL = "/transfers/0190163d-8694-739b-aea5-966c26f8ad91"
TIMES = 5  # what others may take, of what they take alone


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path / "world", House.make(tmp_path, time.time())) as made:
        object.__setattr__(made.services.settings, "body_limit", 5_000_000)
        yield made


def filled(world: World, messages: int = MESSAGES) -> None:
    rows = []
    for number in range(messages):
        at = midnight(1).timestamp() + 3600 + number * 70_000 / messages
        id = new_id(int(at * 1000))
        alert, outcome = exchanged(id, at, f"m-{number}")
        rows += [(at, alert), (at + 1, outcome)]
    with writing(world.engine) as connection:
        write(connection, rows)
    for _ in Indexer(world.engine, lock_of(world.engine), limit=4_000).remake():
        pass


def hostile(lines: int, each: int) -> dict[str, Any]:
    """Lines of the sender's own, each with messages that were counted under another operation: each one is to be
    explained."""
    return said(
        *({**COUNT, "operation": f"op{n}", "messages": [f"m-{n}-{k}" for k in range(each)]} for n in range(lines))
    )


async def median(call: Callable[[], Awaitable[Answer]], enough: Callable[[list[float]], bool]) -> float:
    taken: list[float] = []
    while not enough(taken):
        began = time.perf_counter()
        assert (await call()).status == 404
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@pytest.mark.attack("a slow comparison")
async def test_others_are_answered_while_one_agency_compares(world: World) -> None:
    filled(world)

    async def small() -> Answer:
        return await world.signed("thuc-phan", SMALL)

    async with asyncio.timeout(120):
        await median(small, lambda taken: len(taken) == 10)
        alone = await median(small, lambda taken: len(taken) == 60)
        slow = asyncio.create_task(post(world, "canh-bao", hostile(2_000, examples(10))))
        while not reconciliation._under_way:
            assert not slow.done()
            await asyncio.sleep(0.01)
        during = await median(small, lambda taken: len(taken) == 60 or len(taken) > 10 and slow.done())
        other = await post(world, "thuc-phan", said())
        assert other.status == 200, "another agency's comparison does not wait for this one"
        again = await post(world, "canh-bao", said())
        assert slow.done() or (again.status, again.json["code"]) == (503, "reconciliation.busy")
        answer = await slow
    assert answer.status == 200 and len(answer.json["lines"]) == 2_001
    assert during <= TIMES * alone


@pytest.mark.full
@pytest.mark.attack("a slow comparison")
async def test_what_a_comparison_costs_is_bounded_by_the_day_and_not_by_what_is_claimed(world: World) -> None:
    filled(world, 1_000)

    def cost(each: int) -> float:
        claims = {
            Key("canh-bao", "incident-alert/v1", f"op{n}", "sent"): Claim(
                each, tuple(f"m-{n}-{k}" for k in range(each))
            )
            for n in range(250)
        }
        statement, now = Statement(midnight(1).date(), claims), time.time()
        with reading(world.engine) as connection:
            run = partial(compare, connection, Claimant("H14.2", ["canh-bao"]), statement, lambda text: text, now)
            run()
            return seconds(run, 1)

    assert cost(24) <= 3 * cost(4), "six times as many messages to be explained"


@pytest.mark.attack("all places of the own APIs")
async def test_one_agency_does_not_hold_all_threads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty readings that take long, of one agency: another agency's reading is answered, and so is a stranger's."""
    let_go, began = threading.Event(), threading.Semaphore(0)
    plain = transfers.transfer_status

    def slow(engine: Any, transfer: str, system: str) -> Any:
        if system == "canh-bao":
            began.release()
            let_go.wait(60)
        return plain(engine, transfer, system)

    monkeypatch.setattr(transfers, "transfer_status", slow)
    calls = [asyncio.create_task(world.signed("canh-bao", SMALL)) for _ in range(40)]
    try:
        while not began.acquire(blocking=False):
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            assert (await world.signed("thuc-phan", SMALL)).status == 404
            assert (await world.public("GET", "/audit/tile/0/000")).status == 404
    finally:
        let_go.set()
    assert {answer.status for answer in await asyncio.gather(*calls)} <= {404, 429}


@pytest.mark.attack("all places of the own APIs")
async def test_whoever_waits_too_long_for_its_own_places_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(transfers, "transfer_status", lambda *_: let_go.wait(60) and None)
    monkeypatch.setattr(world.services.readers, "seconds", 0.2)
    calls = [asyncio.create_task(world.signed("canh-bao", SMALL)) for _ in range(5)]
    done, waiting = await asyncio.wait(calls, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 3:
        more, waiting = await asyncio.wait(waiting, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    for one in done:
        answer = one.result()
        assert (answer.status, json.loads(answer.body)["code"]) == (429, "limit.agency") and int(
            answer.headers["retry-after"]
        ) > 0
    let_go.set()
    assert {one.result().status for one in (await asyncio.wait(waiting, timeout=30))[0]} == {404}
    await asyncio.sleep(0.1)
    assert not world.services.readers._of, "nothing of it is kept"

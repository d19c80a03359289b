"""Too much at once: one agency, or one address, fills its own places and nobody else's."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import ssl
from collections import Counter

import pytest

from examples.clients.rest import AsyncRestClient
from examples.story.world import World
from gateway.settings import Settings
from tests.attacks.conftest import QUESTION
from tests.attacks.raw import head, port_of

pytestmark = pytest.mark.server


@pytest.mark.attack("limits")
async def test_calls_of_one_agency_at_once(world: World, instance: Settings) -> None:
    """A slow provider: one agency's calls pile up until its places are taken, and another's are answered all the while."""
    places = instance.agency_calls * instance.door_count
    client, other = world.rest("y-te"), world.rest("dieu-hanh")
    client.token(), other.token()
    world.fault("kinh-te", "slow", seconds=1.0, count=10_000)
    try:
        async with AsyncRestClient(client, connections=places + 40) as many, AsyncRestClient(other) as few:
            calls = [asyncio.create_task(many.call("GET", QUESTION)) for _ in range(places + 40)]
            await asyncio.sleep(0.7)
            others = await asyncio.gather(*(few.call("GET", QUESTION) for _ in range(4)))
            answers = await asyncio.gather(*calls)
    finally:
        world.fault("kinh-te", "none")
    counts = Counter(answer.status for answer in answers)
    assert counts[429] >= 40 and counts[200] == len(answers) - counts[429], counts
    assert {answer.status for answer in others} == {200}, "another agency was kept waiting or turned away"
    for answer in answers:
        if answer.status == 429:
            assert answer.problem is not None and answer.problem["code"] == "limit.agency" and int(answer.headers["retry-after"]) >= 1
    assert world.rest("y-te").call("GET", QUESTION).ok, "places are given back"


@pytest.mark.attack("limits")
async def test_connections_of_an_address_that_shows_no_certificate(world: World, instance: Settings) -> None:
    identity = world.identity("y-te")
    context = identity.client_context(with_certificate=False)
    most = instance.source_connections * instance.door_count
    told: Counter[bytes] = Counter()
    held: list[asyncio.StreamWriter] = []

    async def one() -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(identity), ssl=context, server_hostname="localhost")
            held.append(writer)
            try:
                told[(await asyncio.wait_for(reader.read(100), 0.7))[:12]] += 1
            except TimeoutError:
                told[b""] += 1
        except (ConnectionError, ssl.SSLError):
            told[b"closed"] += 1

    await asyncio.gather(*(one() for _ in range(most + 20)))
    assert told[b"HTTP/1.1 429"] >= 20 and told[b""] >= instance.source_connections, told
    assert world.rest("y-te").call("GET", QUESTION).ok, "who shows a certificate is served"
    for writer in held:
        writer.close()


@pytest.mark.attack("limits")
async def test_a_flood_of_refusals_is_summed_up_in_the_log(world: World) -> None:
    """Each is answered and each is accounted for, but not each buys a row."""
    identity = world.identity("y-te")
    context = identity.client_context(with_certificate=False)
    number = 300
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(identity), ssl=context, server_hostname="localhost")
    target = "/incident-alert/v1/alerts"
    named: Counter[str] = Counter()
    for _ in range(number):
        writer.write(head("POST", target))
        top = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert top.startswith("http/1.1 401")
        size = int(top.split("content-length: ")[1].split("\r\n")[0])
        named[json.loads(await reader.readexactly(size))["transfer"]] += 1
    writer.close()

    def logged() -> dict[str, int]:
        base = sqlite3.connect(f"file:{world.data / 'lgsp.db'}?mode=ro", uri=True, timeout=10)
        try:
            query = " union all ".join(f"select transfer, entry from {table}" for table in ("log_entry", "log_pending"))
            entries = [json.loads(entry) for transfer, entry in base.execute(query) if transfer in named]
        finally:
            base.close()
        return {entry["transfer"]: entry.get("count", 1) for entry in entries}

    world.wait("the sums in the log", lambda: sum(logged().values()) == number)
    assert logged() == named and len(named) < number / 2

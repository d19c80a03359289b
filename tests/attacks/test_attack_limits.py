"""Too much at once: one agency, or one address, fills its own places and nobody else's."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter

import pytest

from examples.story.world import World
from gateway.exchange import floods
from gateway.sample_client.identity import Identity
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.attacks.conftest import QUESTION
from tests.attacks.raw import head, port_of
from tests.stored import rows

pytestmark = pytest.mark.server


async def opened(
    identity: Identity, *, with_certificate: bool = True
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = identity.client_context(with_certificate=with_certificate)
    return await asyncio.open_connection("127.0.0.1", port_of(identity), ssl=context, server_hostname="localhost")


@pytest.mark.attack("limits")
async def test_calls_of_one_agency_at_once(world: World, instance: Settings) -> None:
    """One agency begins calls and does not end them, until its places are taken; another's are answered all the
    while."""
    beyond = 20
    number = instance.agency_calls * instance.door_count + beyond
    begun = head("POST", "/incident-alert/v1/alerts", [("content-type", "application/json"), ("content-length", "100")])
    identity = world.identity("y-te")
    writers: list[asyncio.StreamWriter] = []
    refused: list[tuple[str, str]] = []
    full = asyncio.Event()

    async def one() -> None:
        reader, writer = await opened(identity)
        writers.append(writer)
        writer.write(begun)
        top = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(top.split("content-length: ")[1].split("\r\n")[0])
        refused.append((top, json.loads(await reader.readexactly(size))["code"]))
        if len(refused) >= beyond:
            full.set()

    calls = [asyncio.create_task(one()) for _ in range(number)]
    try:
        async with asyncio.timeout(60):
            await full.wait()
        answer = await asyncio.to_thread(
            world.rest("bao-chay").call, "POST", "/incident-alert/v1/alerts", messages.fire_alarm()
        )
        assert answer.status == 200, "another agency was turned away"
    finally:
        for call in calls:
            call.cancel()
        for writer in writers:
            writer.close()
    for top, code in refused:
        assert top.startswith("http/1.1 429") and code == "limit.agency" and "retry-after: 1" in top
    world.wait("places are given back", lambda: world.rest("y-te").call("GET", QUESTION).ok)


@pytest.mark.attack("limits")
async def test_connections_of_an_address_that_shows_no_certificate(world: World, instance: Settings) -> None:
    identity = world.identity("y-te")
    most = instance.source_connections * instance.door_count
    told: Counter[bytes] = Counter()
    held: list[asyncio.StreamWriter] = []

    async def one() -> None:
        try:
            reader, writer = await opened(identity, with_certificate=False)
            held.append(writer)
            told[(await reader.read(100))[:12]] += 1
        except (ConnectionError, ssl.SSLError):
            told[b"closed"] += 1

    async def refused() -> None:
        while told[b"HTTP/1.1 429"] < 20:
            await asyncio.sleep(0.05)

    opening = [asyncio.create_task(one()) for _ in range(most + 20)]
    try:
        await asyncio.wait_for(refused(), 60)
        assert (await asyncio.to_thread(world.rest("y-te").call, "GET", QUESTION)).ok, (
            "who shows a certificate is served"
        )
    finally:
        for each in opening:
            each.cancel()
        for writer in held:
            writer.close()
    assert set(told) <= {b"HTTP/1.1 429", b"closed", b""}, told


async def at_once(reader: asyncio.StreamReader) -> bytes:
    """What comes without being asked for."""
    try:
        return await asyncio.wait_for(reader.read(12), 0.3)
    except TimeoutError:
        return b""


@pytest.mark.attack("limits")
async def test_a_flood_of_refusals_is_summed_up_in_the_log(world: World) -> None:
    """Each is answered and each is accounted for, but not each buys a row."""
    identity = world.identity("y-te")
    number = 300
    target = "/incident-alert/v1/alerts"
    named: Counter[str] = Counter()
    reader, writer = await opened(identity, with_certificate=False)
    for _ in range(20):  # places of the test before are given back when its connections have ended
        if not (await at_once(reader)).startswith(b"HTTP/1.1 429"):
            break
        await asyncio.sleep(0.2)
        reader, writer = await opened(identity, with_certificate=False)
    began = time.monotonic()
    for _ in range(number):
        writer.write(head("POST", target))
        top = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert top.startswith("http/1.1 401")
        size = int(top.split("content-length: ")[1].split("\r\n")[0])
        named[json.loads(await reader.readexactly(size))["transfer"]] += 1
    writer.close()
    seconds = time.monotonic() - began

    def logged() -> dict[str, int]:
        query = " union all ".join(f"select transfer, entry from {table}" for table in ("log_entry", "log_pending"))
        entries = [json.loads(entry) for transfer, entry in rows(world.data, query) if transfer in named]
        return {entry["transfer"]: entry.get("count", 1) for entry in entries}

    world.wait("the sums in the log", lambda: sum(logged().values()) == number)
    assert logged() == named
    assert len(named) <= (floods.SINGLE + 2) * (seconds + 2), "as many entries as a second may have, not one each"

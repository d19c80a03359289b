"""A vendor of a sandbox whose host's name leads inside after she enrolled: no call, probe or connection test goes
there."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio

from adapters.errors import Acted, ProviderFailure
from adapters.http import Call, send
from adapters.model import Endpoint
from adapters.opening import ConnectionProbe, Forbidden, Peers, open_session
from contracts.base.words import Words
from gateway.keeper.connection_test import ConnectionTest
from gateway.push.peers import known_peers
from gateway.registry.records import System
from gateway.settings import Settings
from security.http_signatures import HttpRequest

INSIDE = (
    *("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.7", "192.168.1.1", "172.17.0.1", "169.254.169.254"),
    *("fd00:ec2::254", "fe80::1", "0.0.0.0", "::", "100.64.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1"),
    "8.8.8.8 127.0.0.1",  # all addresses of a name count
)
TENANT, OTHER = "vendor.example", "province.example"


@dataclass
class Inside:
    """A listener that only this host reaches, and names that lead where a test says."""

    port: int
    taken: list[str] = field(default_factory=list)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    async def lookup(self, host: str, port: int) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in self.names[host.lower()]
        ]

    def peers(self, kind: str = "sandbox") -> Peers:
        known = (
            System(id, agency, Words(id, id), {}, Endpoint(id, "rest", f"https://{host.upper()}:{self.port}/in"))
            for id, agency, host in (("one", "NCC.0123ABCD", TENANT), ("two", "H14.3", OTHER))
        )
        snapshot = SimpleNamespace(systems={each.id: each for each in known}, tls_key=lambda thumbprint: None)
        settings = Settings(Path("nowhere"), kind=cast(Any, kind), push_networks="")
        tls = ssl.create_default_context()
        return known_peers(tls, lambda _: False, settings, lambda: cast(Any, snapshot), lookup=self.lookup)


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Inside]:
    made = Inside(0)

    async def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.taken.append("one")
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.mark.attack("ssrf")
@pytest.mark.parametrize("address", INSIDE)
async def test_nothing_goes_to_an_address_inside(inside: Inside, address: str) -> None:
    inside.names[TENANT] = tuple(address.split())
    await nothing_goes(inside, TENANT)


@pytest.mark.attack("ssrf")
@pytest.mark.parametrize("address", [*INSIDE[:-1], "fec0::1", "192.88.99.1", "2001:20::1", "203.0.113.1"])
async def test_a_literal_address_inside_is_judged_too(inside: Inside, address: str) -> None:
    inside.names[address] = (address,)
    await nothing_goes(inside, f"[{address}]" if ":" in address else address)


async def nothing_goes(inside: Inside, host: str) -> None:
    peers, told = inside.peers(), list[list[dict[str, Any]]]()
    for scheme in ("http", "https"):
        assert not await ConnectionProbe(peers)(f"{scheme}://{host}:{inside.port}/in", "one")
        async with open_session(peers) as session:
            call = Call(HttpRequest("POST", f"{scheme}://{host}:{inside.port}/in", {}, b"x"), 5.0)
            with pytest.raises(ProviderFailure) as failed:
                await send(session, "one", call)
        assert failed.value.acted is Acted.NO and failed.value.facts["reason"] == Forbidden.why

    async def tell(steps: list[dict[str, Any]]) -> None:
        told.append(steps)

    steps = await ConnectionTest(peers, "one", time.time, tell).run(f"http://{host}:{inside.port}/in", None)
    assert [(each["name"], each["why"]) for each in steps if each["state"] == "bad"] == [("dns", Forbidden.why)]
    assert inside.taken == []


@pytest.mark.attack("ssrf")
async def test_what_is_told_of_addresses_inside_is_no_port_scan(inside: Inside) -> None:
    """Where somebody listens, where nobody does, where the network has no way: one answer."""
    told = set()
    for number, (address, port) in enumerate((("127.0.0.1", inside.port), ("127.0.0.1", 1), ("10.255.255.1", 443))):
        host = f"{number}.{TENANT}"
        inside.names[host] = (address,)
        async with open_session(inside.peers()) as session:
            with pytest.raises(ProviderFailure) as failed:
                await send(session, "one", Call(HttpRequest("GET", f"https://{host}:{port}/", {}, b""), 5.0))
        told.add((failed.value.code, failed.value.facts["reason"]))
    assert told == {("provider.down", Forbidden.why)} and inside.taken == []


async def test_what_officers_approved_is_called_where_it_is(inside: Inside) -> None:
    inside.names[OTHER] = ("127.0.0.1",)
    for kind in ("sandbox", "production"):
        assert await ConnectionProbe(inside.peers(kind))(f"http://{OTHER}:{inside.port}/in", "two")

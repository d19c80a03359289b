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

import aiohttp
import pytest
import pytest_asyncio

from adapters.http import ConnectionProbe, open_session
from adapters.model import Endpoint
from contracts.base.words import Words
from gateway.keeper.connection_test import ConnectionTest
from gateway.push.addresses import CheckedResolver, resolver_of_systems
from gateway.registry.records import System
from gateway.settings import Settings

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

    def resolver(self, kind: str = "sandbox") -> CheckedResolver | None:
        known = (
            System(id, agency, Words(id, id), {}, Endpoint(id, "rest", f"https://{host.upper()}:{self.port}/in"))
            for id, agency, host in (("one", "NCC.0123ABCD", TENANT), ("two", "H14.3", OTHER))
        )
        registry = SimpleNamespace(snapshot=SimpleNamespace(systems={each.id: each for each in known}))
        settings = Settings(Path("nowhere"), kind=cast(Any, kind), push_networks="")
        return resolver_of_systems(settings, cast(Any, registry), self.lookup)


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
    resolver, tls, told = inside.resolver(), ssl.create_default_context(), list[list[dict[str, Any]]]()
    for scheme in ("http", "https"):
        assert not await ConnectionProbe(tls, resolver)(f"{scheme}://{TENANT}:{inside.port}/in")
    async with open_session(tls, resolver) as session:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await session.post(f"http://{TENANT}:{inside.port}/in")

    async def tell(steps: list[dict[str, Any]]) -> None:
        told.append(steps)

    steps = await ConnectionTest(tls, time.time, tell, resolver).run(f"http://{TENANT}:{inside.port}/in", None)
    assert [each["name"] for each in steps if each["state"] == "bad"] == ["dns"] and address not in str(steps)
    assert inside.taken == []


async def test_what_officers_approved_is_called_where_it_is(inside: Inside) -> None:
    inside.names[OTHER] = ("127.0.0.1",)
    assert await ConnectionProbe(ssl.create_default_context(), inside.resolver())(f"http://{OTHER}:{inside.port}/in")
    assert inside.resolver("production") is None  # it has no tenants

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.adapters.providers import Provider, session_of
from tests.registry.making import House, Identity


@pytest.fixture(scope="session")
def gateway_identity(keys: House) -> Identity:
    return keys.identity("gateway", time.time())


@pytest.fixture(scope="session")
def provider_identity(keys: House) -> Identity:
    return keys.identity("do-thi", time.time())


@pytest.fixture(scope="session")
def stranger(keys: House) -> Identity:
    return keys.identity("kinh-te", time.time())


@pytest_asyncio.fixture
async def session(keys: House, gateway_identity: Identity) -> AsyncIterator[aiohttp.ClientSession]:
    opened = session_of(keys, gateway_identity)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def provider(keys: House, gateway_identity: Identity, provider_identity: Identity) -> AsyncIterator[Provider]:
    server = Provider(provider_identity, gateway_identity.sign, provider_identity.sign)
    await server.start(keys)
    yield server
    await server.stop()

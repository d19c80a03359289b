from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.doors.api.client import World, opened
from tests.push.receiving import Receiver, allow_loopback, receiving
from tests.registry.making import House


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: House) -> AsyncIterator[World]:
    async with opened(tmp_path, keys) as made:
        allow_loopback(made)
        yield made


@pytest_asyncio.fixture
async def receiver(world: World) -> AsyncIterator[Receiver]:
    async with receiving(world.identities["dieu-hanh"]) as made:
        made.gateway = world.gateway
        yield made

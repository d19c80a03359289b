from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.doors.api.client import World, opened
from tests.registry.making import House


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: House) -> AsyncIterator[World]:
    async with opened(tmp_path, keys) as made:
        yield made

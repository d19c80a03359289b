from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.apis.client import World, opened
from tests.registry.making import House


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.make(tmp_path_factory.mktemp("keys"), time.time())


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: House) -> AsyncIterator[World]:
    async with opened(tmp_path, keys) as made:
        yield made

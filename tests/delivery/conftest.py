from __future__ import annotations

import time

import pytest

from tests.delivery.posting import post  # noqa: F401  the fixture
from tests.registry.making import House


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.make(tmp_path_factory.mktemp("keys"), time.time())

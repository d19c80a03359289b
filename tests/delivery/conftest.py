from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import pytest

from tests.registry.making import House

NAME = "lgsp_test_databases"
if NAME not in sys.modules:
    spec = importlib.util.spec_from_file_location(NAME, Path(__file__).parents[1] / "journal" / "databases.py")
    assert spec is not None and spec.loader is not None
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])

from tests.delivery.posting import post  # noqa: E402,F401  the fixture

database = sys.modules[NAME].database
sqlite = sys.modules[NAME].sqlite


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.make(tmp_path_factory.mktemp("keys"), time.time())

"""Fixtures of the tests of the command line."""

from __future__ import annotations

import time

import pytest

from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from tests.attacks.audit.instances import base  # noqa: F401  a fixture


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An instance of the whole province that no process runs."""
    settings = load(tmp_path_factory.mktemp("sandbox") / "data", environment={})
    endpoints = dict.fromkeys(("do-thi", "kinh-te", "mo-phong", "truong-ha"), "https://localhost:1")
    make_instance(settings, endpoints, time.time(), province=True)
    return settings

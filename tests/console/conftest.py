from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from gateway.console.accounts import secrets
from gateway.console.work import integrity
from gateway.keys.keyring import make_keys
from gateway.settings import Settings
from tests.console.people import Desk, checks_ended
from tests.doors.api.client import World
from tests.doors.api.conftest import world  # noqa: F401  a fixture


@pytest.fixture(scope="session")
def instance_keys(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The keys of an instance, for tests that copy them."""
    settings = Settings(tmp_path_factory.mktemp("instance"), origin="localhost/lgsp-test")
    make_keys(settings, time.time(), hosts=("localhost",))
    return settings


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost little: what they cost is the promise of one test alone."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(secrets, "_hasher", hasher)
    monkeypatch.setattr(secrets, "_NOBODY", hasher.hash("nobody"))


@pytest.fixture
def people(world: World, quick: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:  # noqa: F811  the fixture
    """Its folder is no whole instance, so that `lgsp audit verify` could not run there."""
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", ""])
    yield Desk(world)
    checks_ended()


@pytest.fixture
def wide(world: World, quick: None) -> Desk:  # noqa: F811  the fixture
    """With the limit of bodies that instances have."""
    world.services.settings = replace(world.services.settings, body_limit=5_000_000)
    return Desk(world)

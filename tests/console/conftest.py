from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from gateway.console.accounts import secrets
from tests.console.people import Desk
from tests.doors.api.client import World
from tests.doors.api.conftest import world  # noqa: F401  a fixture


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost little: what they cost is the promise of one test alone."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(secrets, "_hasher", hasher)
    monkeypatch.setattr(secrets, "_NOBODY", hasher.hash("nobody"))


@pytest.fixture
def people(world: World, quick: None) -> Desk:  # noqa: F811  the fixture
    return Desk(world)

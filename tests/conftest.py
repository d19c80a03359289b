"""What all tests share: one running instance a run, for those marked `server`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.story import World
from gateway.commands.demo import demo_settings, running
from gateway.sandbox import live
from gateway.settings import Settings


def world_of(settings: Settings) -> World:
    """An instance as the story sees it."""
    return World(
        data=settings.data, identities=settings.identities, command=[sys.executable, "-m", "gateway"], standins=live.endpoints(settings)
    )


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A sandbox in real processes: doors, keeper, desk, stand-ins (one of them down)."""
    with running(demo_settings(tmp_path_factory.mktemp("instance") / "data")) as settings:
        yield settings


@pytest.fixture(scope="session")
def world(instance: Settings) -> World:
    return world_of(instance)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a test that needs an instance of its own puts it."""
    return tmp_path / "data"

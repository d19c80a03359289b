"""The story holds, step by step, against real processes."""

from __future__ import annotations

import pytest

from examples.story.run import STEPS
from examples.story.world import Telling, World
from tests.commandline import AS_A_PROGRAM

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands as anybody gives them: each is a program of its own."""
    monkeypatch.setattr(World, "lgsp", AS_A_PROGRAM)


@pytest.mark.parametrize("step", STEPS, ids=[name for name, _ in STEPS])
def test_step(step: Telling, world: World) -> None:
    """In order: later steps need what earlier ones did."""
    name, telling = step
    assert telling(world), name

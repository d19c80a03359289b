from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from gateway.console.work import integrity
from tests.console.people import Desk, checks_ended
from tests.doors.api.client import World
from tests.doors.api.conftest import world  # noqa: F401  a fixture


@pytest.fixture
def people(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:  # noqa: F811  the fixture
    """Its folder is no whole instance, so that `lgsp audit verify` could not run there."""
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", ""])
    yield Desk(world)
    checks_ended()

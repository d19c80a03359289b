from __future__ import annotations

import pytest

from tests.console.people import Desk
from tests.doors.api.client import World
from tests.doors.api.conftest import world  # noqa: F401  a fixture


@pytest.fixture
def people(world: World) -> Desk:  # noqa: F811  the fixture
    return Desk(world)

from __future__ import annotations

from tests.console.conftest import people, quick  # noqa: F401  fixtures
from tests.doors.api.conftest import world  # noqa: F401  a fixture

from __future__ import annotations

from tests.doors.api.conftest import world  # noqa: F401  a fixture

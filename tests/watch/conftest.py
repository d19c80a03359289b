from __future__ import annotations

from tests.delivery.posting import post  # noqa: F401  the fixture

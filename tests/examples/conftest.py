from __future__ import annotations

from tests.sample_client.conftest import door, province  # noqa: F401  fixtures

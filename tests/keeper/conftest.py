from __future__ import annotations

from tests.audit.conftest import make_log  # noqa: F401  a fixture

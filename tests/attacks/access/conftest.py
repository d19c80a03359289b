from __future__ import annotations

from tests.attacks.audit.instances import base, instance  # noqa: F401  fixtures
from tests.delivery.posting import post  # noqa: F401  the fixture

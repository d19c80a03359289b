from __future__ import annotations

from tests.push.conftest import receiver as receiver
from tests.push.conftest import world as world

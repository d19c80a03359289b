from __future__ import annotations

from tests.feeds.conftest import place as place

"""The contracts whose messages the gateway makes itself: no system hands one in, and only the centre reads their feeds.

Their events are those of all agencies, and readers of a feed have no view by agency. An agency sees what concerns it at
`/transfers`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

FEED: Final = "feed"  # the operation that permits to read a contract's feed
QUALITY: Final = "quality-event/v1"
HANDLING: Final = "handling/v1"
OWN: Final = frozenset({QUALITY, HANDLING})
WITH_CATALOGUE: Final = (Path(__file__).parents[1] / "workflow" / "handling" / "v1",)  # published with it
CENTRE: Final = "centre"


def is_closed(contract: str, operation: str, roles: Collection[str]) -> bool:
    """Whether no grant permits the operation to an agency of these roles."""
    return contract in OWN and (operation != FEED or CENTRE not in roles)

"""The contract whose messages the gateway makes itself: no system hands one in, and only the centre reads its feed.

Its events are those of all agencies, and readers of a feed have no view by agency. An agency sees what concerns it at
`/transfers`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

FEED: Final = "feed"  # the operation that permits to read a contract's feed
QUALITY: Final = "quality-event/v1"
CENTRE: Final = "centre"


def is_closed(contract: str, operation: str, roles: Collection[str]) -> bool:
    """Whether no grant permits the operation to an agency of these roles."""
    return contract == QUALITY and (operation != FEED or CENTRE not in roles)

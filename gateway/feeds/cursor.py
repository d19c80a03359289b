"""Encodes cursors of a feed: opaque to readers; inside are a version, the feed, and the offset of the last event read.

Invariant: a cursor of one feed is refused by another, as is any text that we did not write.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import gateway.failures  # noqa: F401  registers the codes raised here
from contracts.base.errors import Theirs, Words
from contracts.base.integers import whole_number

_VERSION: Final = "1"
_LONGEST: Final = 300
_STRANGE: Final = Words("không phải con trỏ do trục này cấp", "not a cursor that this gateway gave")


def encode(contract: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{_VERSION} {contract} {offset}".encode()).decode("ascii").rstrip("=")


def decode(cursor: str, contract: str) -> int:
    """The offset in a cursor of this feed; `feed.bad-cursor` for anything else."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        version, feed, text = (
            base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("utf-8").split(" ")
        )
        offset = whole_number(text)
        if version != _VERSION or offset is None or encode(feed, offset) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise Theirs("feed.bad-cursor", contract=contract, reason=_STRANGE) from None
    if feed != contract:
        raise Theirs(
            "feed.bad-cursor",
            contract=contract,
            reason=Words(f"con trỏ của nguồn tin {feed}", f"it belongs to the feed {feed}"),
        )
    return offset

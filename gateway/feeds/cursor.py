"""Encodes cursors of a feed, opaque to readers: a version, the feed, and the offset of the last event read.

Invariant: a cursor of another feed is refused, as is any text that the gateway did not write.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from contracts.base.integers import whole_number
from contracts.base.words import WordsFile
from gateway.feeds.errors import FEED_BAD_CURSOR

_VERSION: Final = "1"
_LONGEST: Final = 300
words = WordsFile(__file__)


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
        raise FEED_BAD_CURSOR(contract=contract, reason=words("cursor.not-ours")) from None
    if feed != contract:
        raise FEED_BAD_CURSOR(contract=contract, reason=words("cursor.other-feed", feed=feed))
    return offset

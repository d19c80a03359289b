"""Encodes cursors, opaque to readers: a version, the feeds' log, and for each feed the offset of the last event read.

    1 <contract> <offset>                            of earlier releases; they still read
    2 <log> <contract> <offset> [<contract> <offset> …]

Invariant: a cursor of other feeds is refused, as is any text that the gateway did not write.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from contracts.base.integers import whole_number
from contracts.base.words import WordsFile
from gateway.feeds.errors import FEED_BAD_CURSOR

LONGEST: Final = 1200  # characters
words = WordsFile(__file__)


class Place(NamedTuple):
    """`log`: the name of the feeds' log (`gateway.journal.feed_log`); empty in a cursor of an earlier release."""

    log: str
    offsets: Mapping[str, int]


def encode(contract: str, offset: int, log: str = "") -> str:
    return encode_all({contract: offset}, log)


def encode_all(offsets: Mapping[str, int], log: str = "") -> str:
    """Of several feeds. `log` is empty only before anything was sequenced."""
    pairs = " ".join(f"{contract} {offset}" for contract, offset in offsets.items())
    text = f"2 {log} {pairs}" if log else f"1 {pairs}"
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def decode(cursor: str, contracts: Collection[str]) -> Place:
    """The place that a cursor of exactly these feeds names; `feed.bad-cursor` for anything else."""
    named = ", ".join(contracts)
    try:
        if len(cursor) > LONGEST:
            raise ValueError
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, *parts = base64.urlsafe_b64decode(padded).decode("utf-8").split(" ")
        log = parts.pop(0) if version == "2" else ""
        offsets = {contract: whole_number(text) for contract, text in zip(parts[::2], parts[1::2], strict=True)}
        read = {contract: offset for contract, offset in offsets.items() if offset is not None}
        if not read or encode_all(read, log) != cursor:
            raise ValueError
    except (ValueError, IndexError, binascii.Error):
        raise FEED_BAD_CURSOR(contract=named, reason=words("cursor.not-ours")) from None
    if set(read) != set(contracts):
        raise FEED_BAD_CURSOR(contract=named, reason=words("cursor.other-feed", feed=", ".join(read)))
    return Place(log, read)

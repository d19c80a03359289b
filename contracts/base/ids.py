"""Identifiers: UUIDv7 (RFC 9562 §5.7) for transfers, so that ids sort by time of arrival."""

from __future__ import annotations

import hashlib
import time

from contracts.base.randomness import random_bytes


def new_id(now_ms: int | None = None) -> str:
    """A UUIDv7 as 36 characters: 48 bits of Unix milliseconds, then 74 random bits."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return _text(ms, int.from_bytes(random_bytes(10), "big") >> 6)


def _text(ms: int, rand: int) -> str:
    value = (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (rand >> 62) << 64 | 0b10 << 62 | rand & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def part_id(whole: str, number: int) -> str:
    """The id of part `number` of `whole`: deterministic, unique to that part, with the same timestamp."""
    bits = int.from_bytes(hashlib.sha256(f"{whole}:{number}".encode("ascii")).digest()[:10], "big") >> 6
    return _text(int(whole.replace("-", "")[:12], 16), bits)


def derived_id(text: str, ms: int) -> str:
    """The id of what `text` names: deterministic, with the Unix milliseconds `ms` as its timestamp."""
    return _text(ms, int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big") >> 6)


def arrived(transfer: str) -> float:
    """The time in the id of a transfer (UUIDv7, RFC 9562, 5.7), in Unix seconds; 0 for another id."""
    try:
        return int(transfer.replace("-", "")[:12], 16) / 1000
    except ValueError:
        return 0.0

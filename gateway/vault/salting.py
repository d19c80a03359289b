"""Stores the salt of a transfer with its evidence, so that the log's digests, SHA-256(salt, bytes), end with it.

Invariant: `unpack` returns what `pack` was given, and refuses anything else.
"""

from __future__ import annotations

from typing import Final

_MARK: Final = b"Lgsp-Salt: "


def pack(salt: bytes, data: bytes) -> bytes:
    """Evidence with the transfer's salt on a line before it."""
    return _MARK + salt.hex().encode("ascii") + b"\r\n" + data


def unpack(packed: bytes) -> tuple[bytes, bytes]:
    """(salt, data); ValueError for bytes that `pack` did not make."""
    line, end, data = packed.partition(b"\r\n")
    if not end or not line.startswith(_MARK):
        raise ValueError("evidence without its salt")
    return bytes.fromhex(line.removeprefix(_MARK).decode("ascii")), data

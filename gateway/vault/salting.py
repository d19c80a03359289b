"""How evidence bears the salt of its transfer: the log's digests are SHA-256(salt, bytes), so that they die with the evidence.

Invariant: what `pack` made, `unpack` gives back; anything else is refused.
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

"""The reply of a door."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have lower-case names. `body` is complete."""

    status: int
    headers: dict[str, str]
    body: bytes

"""What a door sends back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` with lower-case names; `body` whole."""

    status: int
    headers: dict[str, str]
    body: bytes

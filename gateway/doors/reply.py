"""The reply of a door."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Protocol


class Parts(Protocol):
    """The parts of a streamed body, in order. `aclose` is called at the end, also if no part was asked for."""

    def next_part(self) -> Coroutine[None, None, bytes | None]:
        """The next part; None at the end."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have lower-case names. `body` is complete, unless `parts` gives it piece by piece."""

    status: int
    headers: dict[str, str]
    body: bytes
    parts: Parts | None = None

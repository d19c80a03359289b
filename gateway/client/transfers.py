"""The system's own transfers at the gateway (openapi/transfers.yaml), for `AsyncClient`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from gateway.client.answers import Answer
from gateway.client.listing import Listing, path_of

_PAUSE: Final = 1.0  # seconds between two looks for an answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transfers a list has; all conditions hold together. Times have their zone; `until` is excluded."""

    role: str | None = None  # sender | receiver
    state: str | None = None
    contract: str | None = None
    failure: str | None = None
    since: datetime | str | None = None
    until: datetime | str | None = None


EVERY = Wanted()


class Transfers(Listing):
    """The calls of a client about its transfers."""

    async def transfer(self, transfer: str) -> dict[str, Any]:
        """The state of a transfer of this system."""
        return await self._object(path_of("transfers", transfer))

    async def answer(self, transfer: str, *, seconds: float = 0.0) -> Answer:
        """The answer of a transfer that this system sent. Waits up to `seconds` for its end; its status is 202 if it
        has not ended then. Raises `Refused` for a transfer that failed.
        """
        until = asyncio.get_running_loop().time() + seconds
        while True:
            answer = await self._read("GET", path_of("transfers", transfer, "answer"), lambda answer: answer)
            left = until - asyncio.get_running_loop().time()
            if answer.status != 202 or left <= 0:
                return answer
            await asyncio.sleep(min(_PAUSE, left))

    def transfers(self, wanted: Wanted = EVERY, limit: int = 100) -> AsyncIterator[dict[str, Any]]:
        """The transfers that this system sent or received, and its refused requests, newest first."""
        return self._rows("/transfers", "transfers", asdict(wanted) | {"limit": str(limit)})

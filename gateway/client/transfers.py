"""The system's own transfers at the gateway (openapi/transfers.yaml), for `AsyncClient`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from gateway.client.answers import Answer

T = TypeVar("T")
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

    def query(self, after: str | None, limit: int) -> str:
        """Raises ValueError for a time without its zone."""
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        for name in ("role", "state", "contract", "failure", "since", "until"):
            value = getattr(self, name)
            if isinstance(value, datetime):
                if value.tzinfo is None:
                    raise ValueError(f"{name}: a time without its zone")
                value = value.isoformat()
            if value:
                query[name] = value
        return urlencode(query)


EVERY = Wanted()


class Transfers(ABC):
    """The calls of a client about its transfers. `_read` makes a signed call and reads its verified answer."""

    @abstractmethod
    async def _read(
        self, method: str, path: str, read: Callable[[Answer], T], body: dict[str, Any] | None = None
    ) -> T: ...

    async def transfer(self, transfer: str) -> dict[str, Any]:
        """The state of a transfer of this system."""
        content: dict[str, Any] = await self._read("GET", _path(transfer), lambda answer: answer.json())
        return content

    async def answer(self, transfer: str, *, seconds: float = 0.0) -> Answer:
        """The answer of a transfer that this system sent. Waits up to `seconds` for its end; its status is 202 if it
        has not ended then. Raises `Refused` for a transfer that failed.
        """
        until = asyncio.get_running_loop().time() + seconds
        while True:
            answer = await self._read("GET", f"{_path(transfer)}/answer", lambda answer: answer)
            left = until - asyncio.get_running_loop().time()
            if answer.status != 202 or left <= 0:
                return answer
            await asyncio.sleep(min(_PAUSE, left))

    async def transfers(self, wanted: Wanted = EVERY, limit: int = 100) -> AsyncIterator[dict[str, Any]]:
        """The transfers that this system sent or received, and its refused requests, newest first."""
        after: str | None = None
        while True:
            page = await self._read("GET", f"/transfers?{wanted.query(after, limit)}", _page)
            for each in page["transfers"]:
                yield each
            after = page.get("next")
            if after is None:
                return


def _path(transfer: str) -> str:
    return f"/transfers/{quote(transfer, safe='')}"


def _page(answer: Answer) -> dict[str, Any]:
    page = answer.json()
    if not isinstance(page, dict) or not isinstance(page.get("transfers"), list):
        raise ValueError("no page of transfers")
    return page

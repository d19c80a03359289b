"""The system's own transfers at the gateway (openapi/transfers.yaml), for `AsyncClient`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from gateway.client.answers import Answer

T = TypeVar("T")


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


class Transfers:
    """The calls of a client about its transfers. `_read` makes a signed call and reads its verified answer."""

    async def _read(self, method: str, path: str, read: Callable[[Answer], T], body: dict[str, Any] | None = None) -> T:
        raise NotImplementedError

    async def transfer(self, transfer: str) -> dict[str, Any]:
        """The state of a transfer of this system."""
        content: dict[str, Any] = await self._read("GET", _path(transfer), lambda answer: answer.json())
        return content

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

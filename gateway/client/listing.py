"""Reads lists of the gateway page by page: the calls of `AsyncClient` for transfers, handlings and cases share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from gateway.client.answers import Answer

T = TypeVar("T")
Asked = Mapping[str, str | datetime | None]


class Listing(ABC):
    """`_read` makes a signed call and reads its verified answer."""

    @abstractmethod
    async def _read(
        self, method: str, path: str, read: Callable[[Answer], T], body: dict[str, Any] | None = None
    ) -> T: ...

    async def _object(self, path: str) -> dict[str, Any]:
        return await self._read("GET", path, object_of)

    async def _rows(self, path: str, name: str, asked: Asked) -> AsyncIterator[dict[str, Any]]:
        """The rows under `name` of all pages. Raises ValueError for a time without its zone."""
        query = {each: text for each, value in asked.items() if (text := _text(each, value))}

        def page(answer: Answer) -> dict[str, Any]:
            found = object_of(answer)
            if not isinstance(found.get(name), list):
                raise ValueError(f"no page of {name}")
            return found

        while True:
            found = await self._read("GET", f"{path}?{urlencode(query)}", page)
            for each in found[name]:
                yield each
            after = found.get("next")
            if after is None:
                return
            query["after"] = after


def object_of(answer: Answer) -> dict[str, Any]:
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def path_of(collection: str, *names: str) -> str:
    return "/".join((f"/{collection}", *(quote(each, safe="") for each in names)))


def _text(name: str, value: str | datetime | None) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name}: a time without its zone")
        return value.isoformat()
    return value or ""

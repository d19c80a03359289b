"""The calls of `AsyncClient` that read feeds: in pages, as a stream, and what stands now."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from contracts.base.errors import Failure
from gateway.client import access_token, rest
from gateway.client.answers import Answer
from gateway.client.errors import NoConnection, Refused
from gateway.client.feeds import FeedEvent, FeedPage, export_query, page_query, state_query
from gateway.client.identities.trusted import TrustedKeys
from gateway.client.streams import SealedStream, Sent
from gateway.client.transport import RawAnswer, StreamTransport, Transport
from security import jose
from security.stream_seals import NotSealed

_PAUSES: Final = (0.2, 5.0)  # seconds before connecting again: after an end, and at most
_WAITS: Final = 30  # seconds; a longer `Retry-After` ends a stream
_AFTER_END: Final = frozenset({"lease", "stopping", "fault", "refused"})  # of the last, the next answer says why
T = TypeVar("T")


def stream_path(contract: str | Sequence[str], after: str | None, **filters: str) -> str:
    """The address of a stream, with its query."""
    query = {"form": "events", **filters} | ({"after": after} if after else {})
    if isinstance(contract, str):
        return f"/feeds/{contract}?{urlencode(query, safe=',')}"
    return f"/feeds/events?{urlencode({'feeds': ','.join(contract), **query}, safe=',/')}"


class FeedCalls(ABC):
    """What a client with these parts can do with feeds."""

    _transport: Transport
    _trusted: TrustedKeys
    _token: access_token.AccessToken
    _opener: jose.Opener | None
    _clock: Callable[[], float]
    _seconds: float

    @abstractmethod
    async def _read(self, method: str, path: str, read: Callable[[Answer], T]) -> T: ...

    @abstractmethod
    async def _opened(self, path: str) -> rest.Prepared:
        """A signed request, valid once."""

    @abstractmethod
    async def _proven(self, prepared: rest.Prepared, raw: RawAnswer) -> Answer:
        """The verified answer to it, its checkpoint checked. Raises `Refused` for a refusal."""

    @abstractmethod
    async def _judged(self, judge: Callable[[], T]) -> T: ...

    async def feeds(self) -> list[dict[str, Any]]:
        """The feeds that this system may read: where each stands, who hands in (`Feeds` of openapi/feeds.yaml)."""
        listed: list[dict[str, Any]] = await self._read("GET", "/feeds", lambda answer: answer.json()["feeds"])
        return listed

    async def feed(
        self,
        contract: str,
        after: str | None = None,
        limit: int = 100,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        wait: int = 0,
    ) -> FeedPage:
        """One page of a contract's feed, after a cursor, of events sequenced from `since` to before `until`. For an
        empty page the gateway waits up to `wait` seconds (30 at most, and less than the limit of a request).
        """
        query = page_query(after, limit, since, until, min(wait, int(self._seconds) - 5))
        return await self._read("GET", f"/feeds/{contract}?{query}", FeedPage.read)

    async def pages(
        self, contract: str, after: str | None = None, limit: int = 100, *, wait: int = 0
    ) -> AsyncIterator[FeedPage]:
        """All pages up to now; with `wait` it goes on without an end, and gives a page whenever events came. To miss
        no event, store the events of a page first, then its `next`.
        """
        more = True
        while more or wait:
            page = await self.feed(contract, after, limit, wait=wait)
            if page.events or not wait:
                yield page
            after, more = page.next, page.more

    async def state(
        self, contract: str, limit: int = 1000, *, at: datetime | str | None = None
    ) -> AsyncIterator[FeedPage]:
        """What stands now, or stood at a time, by business key. Go on with `pages(contract, after=…)`, from `goes_on`
        of the first page.
        """
        after, more = "", True
        while more:
            query = state_query(after, limit, at)
            page = await self._read("GET", f"/feeds/{contract}/state?{query}", FeedPage.read)
            yield page
            after, more = page.next, page.more

    async def export(
        self,
        contract: str,
        form: str,
        *,
        after: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncGenerator[bytes]:
        """A range of a feed as a table, in pieces: `csv`, `xlsx` or `parquet`. The signature covers the head of the
        answer; compare the rows with `digests`. Raises `NoConnection` if it breaks off: then the file is not whole.
        """
        prepared = await self._opened(f"/feeds/{contract}/export?{export_query(form, after, since, until)}")
        if not isinstance(self._transport, StreamTransport):
            raise TypeError("this transport has no streams")
        async with self._transport.stream(prepared.method, prepared.url, prepared.headers) as raw:
            if raw.status != 200:
                await self._proven(prepared, await raw.whole())
                raise rest.not_proven(prepared.method, prepared.url, raw.status, "no table")
            await self._proven(prepared, RawAnswer(raw.status, raw.headers, b""))
            async for part in raw.parts():
                yield part

    async def stream(
        self, contract: str | Sequence[str], after: str | None = None, **filters: str
    ) -> AsyncGenerator[FeedEvent]:
        """The events of a feed, or of several with one cursor for all, as they come; without an end. It connects
        again by itself, and misses nothing meanwhile. To miss no event over a restart either, store an event first,
        then its `cursor`. `filters`: `agency`, `type`, `area`, `since`, `until` (with which there is an end), as in
        openapi/feeds.yaml.

        Raises `Refused` if the feed may not be read any more, and for a cursor that does not hold (410).
        """
        pause = _PAUSES[0]
        while True:
            try:
                async with aclosing(self.stream_once(contract, after, **filters)) as batches:
                    async for batch in batches:
                        for event in batch.events:
                            pause, after = _PAUSES[0], event.cursor
                            yield event
                        if batch.end is not None and batch.end.get("reason") not in _AFTER_END:
                            return
                waits = 0.0
            except NoConnection:
                waits = 0.0
            except Refused as no:
                if no.code in access_token.ENDED:
                    self._token.discard()
                    if pause > _PAUSES[0]:
                        raise
                elif no.status not in (429, 503) or (no.retry_after or 0) > _WAITS:
                    raise
                waits = float(no.retry_after or 0)
            await asyncio.sleep(max(waits, random.uniform(0, pause)))  # noqa: S311
            pause = min(pause * 2, _PAUSES[1])

    async def stream_once(
        self, contract: str | Sequence[str], after: str | None = None, **filters: str
    ) -> AsyncGenerator[Sent]:
        """The proven batches of one connection, as `stream` reads them. Raises `NotProven` for any other."""
        async with aclosing(self.stream_path(stream_path(contract, after, **filters), after)) as batches:
            async for batch in batches:
                yield batch

    async def stream_path(self, path: str, after: str | None) -> AsyncGenerator[Sent]:
        """The same of an address with its query, which names this cursor."""
        prepared = await self._opened(path)
        stream = SealedStream(prepared.headers, after or "", self._opener)
        if not isinstance(self._transport, StreamTransport):
            raise TypeError("this transport has no streams")
        async with self._transport.stream(prepared.method, prepared.url, prepared.headers) as raw:
            if raw.status != 200:
                await self._proven(prepared, await raw.whole())
                raise rest.not_proven(prepared.method, prepared.url, raw.status, "no stream")
            await self._proven(prepared, RawAnswer(raw.status, raw.headers, b""))
            try:
                async for part in raw.parts():
                    for seal in stream.take(part):
                        found = seal
                        yield await self._judged(lambda: self._unsealed(prepared, stream, found))  # noqa: B023
            except ValueError as wrong:
                raise rest.not_proven(prepared.method, prepared.url, raw.status, str(wrong)) from None

    def _unsealed(self, prepared: rest.Prepared, stream: SealedStream, seal: bytes) -> Sent:
        try:
            return stream.unsealed(seal, self._trusted.by_id, self._clock())
        except NotSealed as wrong:
            raise rest.not_proven(prepared.method, prepared.url, 200, str(wrong)) from None
        except Failure as failure:
            raise rest.not_proven(prepared.method, prepared.url, 200, rest.why(failure)) from None

"""Streams the events of feeds as server-sent events (WHATWG HTML section 9.2) on the addresses of their pages.

    retry: 3000                   first of all: milliseconds after which a browser connects again
    id: <cursor>                  an event; `id` is the cursor behind it. Of a contract with encrypted bodies the event
    data: <CloudEvent>            is of the type `jose`, and its data are JWS in JWE for the reader
    event: seal                   after each batch, and after the end: a JWS of the gateway over all bytes before
    event: end                    the last event: why the stream ends, and the cursor to go on from
    :                             a comment, if nothing came for HEARTBEAT seconds

Invariant: who reads is judged anew for each batch, at each heartbeat, and as soon as the registry changes.
Invariant: a stream that waits holds no thread and no connection of the database.
Invariant: masks, quotas and entries of the log are those of pages (`feed_readings`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from contracts.base.errors import Failure, Finding
from contracts.wire import server_events
from contracts.wire.problems import problem
from contracts.wire.server_events import MEDIA_TYPE
from gateway.doors.api.errors import API_INVALID
from gateway.doors.api.feed_pages import JSON, Part, make_page
from gateway.doors.api.feed_readings import decided, judged_anew, reading
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.errors import GATEWAY_FAULT
from gateway.exchange.answer_keys import demand_key
from gateway.feeds import cursor as cursors
from gateway.feeds.places import ALWAYS, Times, offsets
from gateway.feeds.stream_lease import StreamLease
from gateway.journal import feed_log
from gateway.journal.limits import unavailable
from gateway.journal.write import ReplayKey
from security import jose
from security.encryption_keys import EncryptKey
from security.http_signatures import signature_of
from security.stream_seals import END, SEAL, Running, Sealed

RETRY_MILLISECONDS: Final = 3000
MOST: Final = 100  # events of a batch
LARGE: Final = 1_048_576  # bytes; after a batch of more the next ones have fewer events
JOSE: Final = "jose"  # the type of an encrypted event
_log: Final = logging.getLogger("lgsp.feeds")


class _Batch(NamedTuple):
    """Events as they are sent. `complete`: no event will follow."""

    events: Sequence[bytes]
    more: bool = False
    complete: bool = False


NOTHING: Final = _Batch(())


def is_asked_for(request: ApiRequest) -> bool:
    """By `form=events`, or as `EventSource` asks. Refuses what a stream cannot be."""
    accepted = request.received.headers.get("accept", "").split(",", 1)[0].partition(";")[0].strip().lower()
    if request.params["form"] != "events" and accepted != MEDIA_TYPE:
        return False
    if request.params["coding"] != "identity":
        raise API_INVALID(count=1, findings=[Finding("query coding", "", "text", "enum", "identity, of a stream")])
    return True


async def opened(services: Services, request: ApiRequest, names: tuple[str, ...], part: Part) -> Reply:
    """The reply with a stream. Its first batch is read before, so that a refusal is an answer of its own."""
    after = request.params["Last-Event-ID"] or part.after  # a browser that connects again sends both
    stream = FeedStream(services, request, names, part._replace(after=after))
    services.streams.enter(stream, request.proven.system.agency)
    try:
        await stream.begin()
    except BaseException:
        await stream.aclose()
        raise
    return Reply(200, {"content-type": MEDIA_TYPE, "x-accel-buffering": "no"}, b"", stream)


@dataclass(slots=True, eq=False, weakref_slot=True)
class FeedStream:
    """One stream: the `parts` of a reply. `part.after` is the cursor where it began."""

    services: Services
    request: ApiRequest
    names: tuple[str, ...]
    part: Part
    _proven: ApiRequest = field(init=False)
    _log: str = ""
    _offsets: dict[str, int] = field(default_factory=dict)
    _times: Times = ALWAYS
    _limit: int = MOST
    _seals: Running = field(init=False)
    _parts: AsyncGenerator[bytes] | None = None

    async def begin(self) -> None:
        """Reads the first batch. Raises what a page would."""
        self._limit, self._times, self._proven = min(self.part.limit, MOST), self.part.times, self.request
        self._seals = Running(signature_of(self.request.received.headers))
        for name in self.names:  # before anything of the feeds is read
            decided(self.services, self.request, name)
        self._log, self._offsets = await self.services.readers.run(self.request.owner, self._start)
        self._parts = self._run(await self._batch(self.request, replay=self.request.proven.replay))

    async def next_part(self) -> bytes | None:
        return None if self._parts is None else await anext(self._parts, None)

    async def aclose(self) -> None:
        self.services.streams.leave(self, self.request.proven.system.agency)
        if self._parts is not None:
            await self._parts.aclose()

    def _start(self) -> tuple[str, dict[str, int]]:
        with self.services.engine.connect() as connection:
            return feed_log.name(connection), offsets(connection, self.part.after, self.names)

    async def _run(self, batch: _Batch) -> AsyncGenerator[bytes]:
        services = self.services
        lease = StreamLease(services.settings.stream_seconds, self._stopping, services.arrivals, services.registry)
        begin = server_events.retry(RETRY_MILLISECONDS)
        try:
            while True:
                if batch.events or begin:  # a seal at once: the reader knows that the stream is the gateway's
                    yield self._sealed(b"".join((begin, *batch.events)))
                    self._adapt(sum(map(len, batch.events)))
                    begin = b""
                if batch.complete:
                    yield self._ended({"reason": "complete"})
                    return
                if (over := lease.over()) is not None:
                    yield self._ended({"reason": over})
                    return
                more = batch.more or await lease.wait(self._offsets, self._proven.snapshot)
                if lease.stopping():
                    batch = NOTHING  # what was sent is not sent again
                    continue
                self._proven = judged_anew(self.services, self.request, self._proven)
                if more or self._times.until is not None:
                    batch = await self._batch(self._proven)
                else:
                    for name in self.names:
                        decided(self.services, self._proven, name)
                    batch = NOTHING
                if not batch.events:
                    yield self._taken(server_events.BEAT)
        except Failure as failure:
            await self.services.exchange.refusals.refuse(self.request.received, failure)
            yield self._ended({"reason": "refused", "problem": problem(failure, transfer=None, language="vi")})
        except Exception as trouble:
            fault = unavailable(trouble)
            if fault is None:
                _log.exception("transfer %s: unexpected fault in a stream", self.request.received.transfer)
                fault = GATEWAY_FAULT(transfer=self.request.received.transfer)
            yield self._ended({"reason": "fault", "problem": problem(fault, transfer=None, language="vi")})

    def _stopping(self) -> bool:
        return self.request.call.shell.draining

    async def _batch(self, request: ApiRequest, replay: ReplayKey | None = None) -> _Batch:
        """The next events of each feed, and moves the place behind them."""
        texts: list[bytes] = []
        offsets, more, complete = dict(self._offsets), False, True
        for name in self.names:
            contract, decision = decided(self.services, request, name)
            key = demand_key(contract.contract, request.snapshot, request.proven.system, request.received.at)
            after = cursors.encode(name, offsets[name], self._log)
            part = Part(after, self._limit, self._times, self.part.filter)
            make = partial(make_page, self.services, contract, part)
            page = await reading(self.services, request, contract, decision, make, replay)
            replay = None
            events, type = page.events, ""
            if key is not None:
                events, type = await self.services.readers.run(request.owner, self._encrypted, events, key), JOSE
            for offset, event in zip(page.offsets, events, strict=True):
                offsets[name] = offset
                texts.append(server_events.written(event, id=cursors.encode_all(offsets, self._log), type=type))
            offsets[name] = cursors.decode(page.next, (name,)).offsets[name]
            more, complete = more or page.more, complete and page.place.get("complete") is True
        self._offsets, self._times = offsets, self._times._replace(since=None)
        return _Batch(texts, more, complete and not more)

    def _encrypted(self, events: Sequence[bytes], key: EncryptKey) -> list[bytes]:
        """Runs in a thread."""
        signer = self.services.rest.signing_key
        return [jose.seal(event, JSON, signer, key)[0] for event in events]

    def _adapt(self, size: int) -> None:
        """Keeps batches small, of whatever size the events are."""
        if size > LARGE:
            self._limit = max(1, self._limit // 4)
        elif size < LARGE // 8:
            self._limit = min(self._limit * 2, self.part.limit, MOST)

    def _ended(self, why: Mapping[str, Any]) -> bytes:
        cursor = cursors.encode_all(self._offsets, self._log)
        text = json.dumps({**why, "next": cursor}, ensure_ascii=False, separators=(",", ":")).encode()
        return self._sealed(server_events.written(text, id=cursor, type=END))

    def _sealed(self, data: bytes) -> bytes:
        self._taken(data)
        cursor = cursors.encode_all(self._offsets, self._log)
        seal = self._seals.seal(Sealed(self.part.after or "", cursor), self.services.rest.signing_key)
        return data + self._taken(server_events.written(seal, type=SEAL))

    def _taken(self, data: bytes) -> bytes:
        self._seals.take(data)
        return data

"""Reads streams of events (docs/wire.md, "Streams of events"). No network.

Invariant: an event is given out only when a seal behind it was verified: the gateway sent it, in answer to this
  request, in this order and without a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from contracts.wire.jsontext import read_json
from contracts.wire.server_events import Event, Reader
from gateway.client.errors import CLIENT_IDENTITY
from gateway.client.feeds import FeedEvent
from security import jose
from security.http_signatures import signature_of
from security.keys import VerifyKey
from security.stream_seals import END, SEAL, NotSealed, Running

JOSE: Final = "jose"
LARGEST: Final = 64_000_000  # bytes without a seal


class Sent(NamedTuple):
    """A proven batch: its events, and what the last event of the stream says. `cursor`: behind the batch."""

    events: tuple[FeedEvent, ...]
    end: Mapping[str, Any] | None
    cursor: str


class SealedStream:
    """One stream, from its first byte. `take` its bytes; call `unsealed` for each seal at once."""

    def __init__(self, sent: Mapping[str, str], after: str, opener: jose.Opener | None) -> None:
        """`sent`: the headers of the request. `after`: the cursor that it named."""
        self._running: Final = Running(signature_of(sent))
        self._after: Final = after
        self._opener: Final = opener
        self._reader: Final = Reader()
        self._waiting: list[Event] = []
        self._size = 0

    def take(self, data: bytes) -> Iterator[bytes]:
        """The seals in the stream. ValueError for a stream without seals."""
        for event in self._reader.take(data):
            if event.type == SEAL:
                yield event.data
            elif event.data:
                self._waiting.append(event)
            self._size += len(event.raw)
            if self._size > LARGEST:
                raise ValueError(f"{LARGEST} bytes without a seal")
            self._running.take(event.raw)

    def unsealed(self, seal: bytes, find_key: Callable[[str], VerifyKey | None], now: float) -> Sent:
        """The batch before a seal. Raises `NotSealed`, or a failure if no key of the gateway signed it."""
        sealed = self._running.check(seal, find_key, now)
        if sealed.start != self._after:
            raise NotSealed("from: another cursor than was asked for")
        events, end = [], None
        for event in self._waiting:
            if event.type == END:
                end = read_json(event.data)
            elif event.id is None:
                raise NotSealed("an event without its cursor")
            else:
                events.append(FeedEvent(event.id, read_json(self._content(event, find_key, now))))
        self._waiting, self._size = [], 0
        return Sent(tuple(events), end, sealed.cursor)

    def _content(self, event: Event, find_key: Callable[[str], VerifyKey | None], now: float) -> bytes:
        if event.type != JOSE:
            return event.data
        if self._opener is None:
            raise CLIENT_IDENTITY(folder="–", reason="encrypt.key, encrypt.crt ∄")
        return self._opener.open(event.data, find_key, now).payload

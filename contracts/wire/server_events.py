"""Writes and reads server-sent events (WHATWG HTML section 9.2).

Invariant: no text can end its line or event early: data are split at line ends, other fields refuse them.
Invariant: reading takes time linear in the bytes, and keeps at most LARGEST of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

MEDIA_TYPE: Final = "text/event-stream"
BEAT: Final = b":\n\n"  # a comment, which readers ignore
LARGEST: Final = 64_000_000  # bytes of one event


class Event(NamedTuple):
    """`raw`: the bytes that it came as, with the empty line behind it. `type` is empty for plain events."""

    raw: bytes
    id: str | None
    type: str
    data: bytes


def written(data: bytes, *, id: str | None = None, type: str = "") -> bytes:
    """ValueError for an id or a type with a line end."""
    fields = [(b"id", id), (b"event", type or None)]
    if any(value is not None and ("\n" in value or "\r" in value or "\0" in value) for _, value in fields):
        raise ValueError("a field of an event has one line")
    lines = [name + b": " + value.encode() for name, value in fields if value is not None]
    lines += [b"data: " + line for line in data.splitlines() or [b""]]
    return b"\n".join(lines) + b"\n\n"


def retry(milliseconds: int) -> bytes:
    """Tells the reader how long to wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds


class Reader:
    """Takes the bytes of a stream as they come. Of line ends only LF is read, as the gateway writes them."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0  # bytes of the rest without an end of an event in them

    def take(self, data: bytes) -> Iterator[Event]:
        """The events that are complete now. ValueError for one that is too large."""
        self._rest += data
        while (end := self._rest.find(b"\n\n", max(0, self._seen - 1))) >= 0:
            raw = bytes(self._rest[: end + 2])
            del self._rest[: end + 2]
            self._seen = 0
            yield _event(raw)
        self._seen = len(self._rest)
        if self._seen > LARGEST:
            raise ValueError(f"an event of more than {LARGEST} bytes")


def _event(raw: bytes) -> Event:
    id, type, data = None, "", []
    for line in raw.split(b"\n"):
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data" and colon:
            data.append(value)
        elif name == b"id":
            id = value.decode("utf-8", "replace")
        elif name == b"event":
            type = value.decode("utf-8", "replace")
    return Event(raw, id, type, b"\n".join(data))

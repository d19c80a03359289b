"""The load generator: prepared requests over persistent connections, each answer checked on arrival.

It uses raw asyncio protocols on uvloop, so that it costs little of what it measures. Requests are whole bytes, signed
just before the round. Invariant: every request is sent once. A round with a wrong answer raises.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop


@dataclass(frozen=True, slots=True)
class Shot:
    """One request as sent, and the bytes that the body of its answer must contain."""

    wire: bytes
    expected: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as received."""

    status: int
    head: bytes
    body: bytes


@dataclass(slots=True)
class Round:
    """The measurements of a round. `replies` holds every `keep`-th answer, by the number of its shot."""

    count: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    replies: dict[int, Reply] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class WrongAnswers(RuntimeError):
    """Some answers were wrong; the text has the first few."""


def http_bytes(method: str, path: str, host: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._at = -1
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from it
        self._run.connected(self)

    def fire(self) -> None:
        number = self._run.next()
        if number is None or self._transport is None:
            return
        self._at, self._sent = number, time.perf_counter()
        self._transport.write(self._run.shots[number].wire)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end]
        lower = head.lower()
        at = lower.find(b"\r\ncontent-length:")
        if at < 0:
            self._run.fail(f"an answer without Content-Length: {head[:200]!r}")
            return
        line_end = lower.find(b"\r\n", at + 2)
        length = int(lower[at + 17 : line_end if line_end > 0 else None])
        if len(self._buffer) < end + 4 + length:
            return
        body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
        self._run.answered(self._at, time.perf_counter() - self._sent, Reply(int(head[9:12]), head, body))
        self._at = -1
        self.fire()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._at >= 0:
            self._run.fail(f"the connection broke with request {self._at} open: {exc}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Run:
    def __init__(self, shots: Sequence[Shot], connections: int, keep: int, began: Callable[[], object]) -> None:
        self.shots = shots
        self._began = began
        self.measured = Round(len(shots))
        self._keep = keep
        self._connections: list[_Connection] = []
        self._wanted = connections
        self._next = 0
        self._open = len(shots)
        self._started = 0.0
        self._wrong: list[str] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connected(self, connection: _Connection) -> None:
        self._connections.append(connection)
        if len(self._connections) == self._wanted:  # all start together, so handshakes are not measured
            self._began()
            self._started = time.perf_counter()
            for each in self._connections:
                each.fire()

    def next(self) -> int | None:
        if self._next >= len(self.shots):
            return None
        self._next += 1
        return self._next - 1

    def answered(self, number: int, seconds: float, reply: Reply) -> None:
        shot = self.shots[number]
        if reply.status != shot.status or shot.expected not in reply.body:
            self._wrong.append(
                f"request {number}: status {reply.status}: {reply.body[:400].decode('utf-8', 'replace')}"
            )
        self.measured.latencies.append(seconds)
        if number % self._keep == 0:
            self.measured.replies[number] = reply
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.measured.seconds = time.perf_counter() - self._started
            if self._wrong:
                self.fail(f"{len(self._wrong)} wrong answers; " + "; ".join(self._wrong[:3]))
            else:
                self.done.set_result(None)

    def fail(self, text: str) -> None:
        if not self.done.done():
            self.done.set_exception(WrongAnswers(text))

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


async def fire(
    shots: Sequence[Shot],
    port: int,
    context: ssl.SSLContext | None,
    *,
    connections: int = 16,
    keep: int = 50,
    seconds: float = 60.0,
    began: Callable[[], object] = lambda: None,
) -> Round:
    """Send all shots to `localhost:port` and measure. `seconds` limits the round. `began` is called before the first
    shot, when all connections stand.
    """
    loop = asyncio.get_running_loop()
    run = _Run(shots, min(connections, len(shots)), keep, began)
    try:
        async with asyncio.timeout(seconds):
            for _ in range(min(connections, len(shots))):
                server = "localhost" if context is not None else None
                await loop.create_connection(
                    lambda: _Connection(run), "127.0.0.1", port, ssl=context, server_hostname=server
                )
            await run.done
    finally:
        run.close()
    return run.measured


def fire_now(
    shots: Sequence[Shot],
    port: int,
    context: ssl.SSLContext | None,
    *,
    keep: int = 50,
    began: Callable[[], object] = lambda: None,
) -> Round:
    """`fire` for callers without an event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(fire(shots, port, context, keep=keep, began=began))

"""Sends a streamed reply: its parts in small pieces, as fast as the reader takes them.

Invariant: at most one part of a stream is in memory. The next one is made when the reader has taken the last.
Invariant: a reader that takes nothing for STALLED seconds loses its connection, as does the reader of a stream that
  fails, so that the break is seen (RFC 9112 section 8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

from gateway.doors.http.body import ABORT, Receive, Scope, Send
from gateway.doors.reply import Reply

STALLED: Final = 30.0  # seconds
PIECE: Final = 65_536  # bytes
_log: Final = logging.getLogger("lgsp.door")


async def send_stream(reply: Reply, scope: Scope, receive: Receive, send: Send, *, stalled: float = STALLED) -> None:
    """Sends head and parts. The connection ends with the stream."""
    parts = reply.parts
    assert parts is not None
    gone = asyncio.create_task(_gone(receive))
    try:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        while scope["method"] != "HEAD":
            part = await _before(gone, parts.next_part())
            if part is None:
                break
            for at in range(0, len(part), PIECE):
                async with asyncio.timeout(stalled):
                    piece = part[at : at + PIECE]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not gone.done():
            async with asyncio.timeout(stalled):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
    except TimeoutError:
        _log.warning("%s: a reader took nothing of its stream for %g s", scope["path"], stalled)
        _abort(scope)
    except Exception:
        _log.exception("%s: unexpected fault in a stream", scope["path"])
        _abort(scope)
    finally:
        gone.cancel()
        await parts.aclose()


async def _gone(receive: Receive) -> None:
    """Returns when the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _before(gone: asyncio.Task[None], coming: Coroutine[None, None, bytes | None]) -> bytes | None:
    """The part; None if the caller leaves before."""
    making = asyncio.create_task(coming)
    try:
        await asyncio.wait({making, gone}, return_when=asyncio.FIRST_COMPLETED)
        return making.result() if making.done() and not gone.done() else None
    finally:
        if not making.done():
            making.cancel()
            await asyncio.wait({making})


def _abort(scope: Scope) -> None:
    abort = scope.get(ABORT)
    if abort is not None:
        abort()

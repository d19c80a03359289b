"""Passes streams of feeds on to the old system, as server-sent events without the gateway's seals.

Invariant: an event is passed on only when the gateway's seal behind it was verified. Encrypted ones are decrypted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import parse_qsl, urlencode

from contracts.wire import server_events
from contracts.wire.jsontext import text_of
from gateway.agent.link import Streamed
from gateway.agent.listener import Head
from gateway.client.errors import ClientError
from gateway.client.streams import Sent
from security.stream_seals import END

FEEDS: Final = "/feeds/"
TOGETHER: Final = "/feeds/events"
HEARTBEAT: Final = 15.0  # seconds
RETRY_MILLISECONDS: Final = 3000
log = logging.getLogger("lgsp.agent")


def is_stream(head: Head) -> bool:
    """Whether server-sent events of a feed are asked for, as `EventSource` asks or by `form=events`."""
    accepted = head.headers.get("accept", "").split(",", 1)[0].partition(";")[0].strip().lower()
    pairs = _pairs(head)
    if pairs is None:  # the gateway refuses as many
        return False
    named = ("form", "events") in pairs
    return head.method == "GET" and head.path.startswith(FEEDS) and (named or accepted == server_events.MEDIA_TYPE)


def _pairs(head: Head) -> list[tuple[str, str]] | None:
    """None for too many."""
    try:
        return parse_qsl(head.query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return None


def feeds_of(head: Head) -> list[str]:
    """The contracts that a request for several feeds names."""
    return [each for name, value in _pairs(head) or () if name == "feeds" for each in value.split(",")]


def asked(head: Head) -> tuple[str, str]:
    """The address at the gateway, and the cursor in it. `Last-Event-ID` becomes part of it, and so is signed."""
    pairs = _pairs(head) or []
    query = [each for each in pairs if each[0] not in ("form", "after")]
    after = head.headers.get("last-event-id") or dict(pairs).get("after", "")
    query += [("form", "events")] + ([("after", after)] if after else [])
    return f"{head.path}?{urlencode(query, safe=',/')}", after


async def passed_on(stream: Streamed) -> AsyncGenerator[bytes]:
    """The events as they come, and a comment if none came for a while."""
    coming: asyncio.Future[Sent | None] = asyncio.get_running_loop().create_future()
    coming.set_result(stream.first)
    yield server_events.retry(RETRY_MILLISECONDS)
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT)
            if not done:
                yield server_events.BEAT
                continue
            sent = coming.result()
            if sent is None:
                return
            for cursor, event in sent.events:
                yield server_events.written(text_of(event).encode(), id=cursor)
            if sent.end is not None:
                yield server_events.written(text_of(dict(sent.end)).encode(), id=sent.cursor, type=END)
            coming = asyncio.ensure_future(anext(stream.batches, None))
    except ClientError as trouble:  # the old system connects again, and is told then
        log.warning("a stream broke off: %s", trouble)
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
        await stream.batches.aclose()

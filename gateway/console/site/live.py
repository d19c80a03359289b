"""Server-sent events that say that a page has changed (HTML, 9.2). The browser then fetches the page again.

All readers of one page share one poll of the database, which ends with the last of them. An event's id is a digest of
what the page shows, so that a browser that connects again is told nothing that it knows.
Invariant: a stream ends after `SECONDS`, with its reader's session, and with its reader. It holds no thread.
Invariant: a stream does not keep a session from ending, and neither does a page that it has fetched again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gateway.console.site.page import Live

SECONDS: Final = 60.0
BEAT: Final = 15.0  # seconds of silence, at most
MOST: Final = 256  # streams of one desk
_END: Final = b"event: end\ndata: \n\n"  # the browser does not ask again
FETCHED: Final = "lgsp-live"  # the header of a page that a stream had fetched


@dataclass(slots=True)
class _Watched:
    """One page that somebody reads. `mark`: of its present state, empty before the first look."""

    readers: int = 0
    mark: str = ""
    ended: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        """Wakes every reader."""
        self.moved.set()
        self.moved = asyncio.Event()


class Hub:
    """The pages that are read live. It is used in one event loop."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, ...], tuple[_Watched, asyncio.Task[None]]] = {}
        self.readers = 0
        self.stopping = False  # the desk ends

    def stop(self) -> None:
        """Ends every stream. A browser connects again, to whichever desk comes next."""
        self.stopping = True
        for watched, _ in self._watched.values():
            watched.tell()

    def enter(self, live: Live) -> _Watched:
        """One more reader; he leaves by `leave`."""
        if (known := self._watched.get(live.key)) is None:
            own = _Watched()
            task = asyncio.create_task(self._poll(live, own))
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())  # readers were told
            known = self._watched[live.key] = own, task
        known[0].readers += 1
        self.readers += 1
        return known[0]

    def leave(self, live: Live, watched: _Watched) -> None:
        watched.readers -= 1
        self.readers -= 1
        if watched.readers == 0:
            self._forget(live, watched)

    async def _poll(self, live: Live, watched: _Watched) -> None:
        try:
            while not watched.ended:
                mark, going = await asyncio.to_thread(_look, live)
                if mark != watched.mark or not going:
                    watched.mark, watched.ended = mark, not going
                    watched.tell()
                await asyncio.sleep(live.pause)
        finally:  # also after a look that failed: the page itself says why
            watched.ended = True
            watched.tell()
            self._forget(live, watched)

    def _forget(self, live: Live, watched: _Watched) -> None:
        if (known := self._watched.get(live.key)) is not None and known[0] is watched:
            del self._watched[live.key]
            known[1].cancel()


async def events(hub: Hub, live: Live, seen: str, holds: Callable[[], bool]) -> AsyncIterator[bytes]:
    """`seen`: the id of the last event that the browser had. `holds`: whether the session does; it runs in a thread."""
    if hub.readers >= MOST:
        yield _END
        return
    until = time.monotonic() + SECONDS
    watched = hub.enter(live)
    try:
        yield b"retry: 2000\n\n"
        while (left := until - time.monotonic()) > 0 and not hub.stopping:
            moved = watched.moved
            if not await asyncio.to_thread(holds):
                yield _END
                return
            if watched.mark not in ("", seen):
                seen = watched.mark
                yield f"id: {seen}\nevent: changed\ndata: \n\n".encode()
            else:
                yield b": \n\n"
            if watched.ended:
                yield _END
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), min(BEAT, left))
    finally:
        hub.leave(live, watched)


def _look(live: Live) -> tuple[str, bool]:
    going = live.going is None or live.going()  # before the probe, whose answer is then the last one
    return hashlib.sha256(repr(live.probe()).encode()).hexdigest()[:16], going

"""Server-sent events that say that a page has changed (HTML, 9.2). The browser then fetches the page again.

All readers of one page share one poll of the database, which ends with the last of them. An event's id is a digest of
what the page shows, so that a browser that connects again is told nothing that it knows.
Invariant: a stream ends after `SECONDS`, with its reader's session, and with its reader. It holds no thread.
Invariant: a stream does not keep a session from ending, and neither does a page that it has fetched again.
Invariant: nobody keeps others from their streams. A session and an account have a share each. Where the desk is full,
  whoever has most gives one up to whoever has fewer. Who has to wait is told `later`, and his page polls meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.console.site.page import Live

SECONDS: Final = 60.0
BEAT: Final = 15.0  # seconds of silence, at most
MOST: Final = 256  # streams of one desk
OF_ACCOUNT: Final = 16
OF_SESSION: Final = 8  # a browser has one for each page that is looked at
RETRY: Final = 15  # seconds
_LIVE: Final = b"retry: 2000\nevent: live\ndata: \n\n"
_LATER: Final = f"retry: {RETRY}000\nevent: later\ndata: {RETRY}\n\n".encode()
_END: Final = b"event: end\ndata: \n\n"  # the browser does not ask again
FETCHED: Final = "lgsp-live"  # the header of a page that a stream had fetched


class Who(NamedTuple):
    """Whose stream it is. `session`: a short name of the session."""

    account: str
    session: str


@dataclass(slots=True, eq=False)
class Reader:
    """One stream. `out`: its place was given to another."""

    who: Who
    watched: _Watched
    out: bool = False


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
        self._readers: dict[Reader, None] = {}  # in the order in which they came
        self.stopping = False  # the desk ends

    @property
    def readers(self) -> int:
        return len(self._readers)

    def stop(self) -> None:
        """Ends every stream. A browser connects again, to whichever desk comes next."""
        self.stopping = True
        for watched, _ in self._watched.values():
            watched.tell()

    def enter(self, live: Live, who: Who) -> Reader | None:
        """One more reader, who leaves by `leave`; None if there is no place for him now."""
        if not self._place(who):
            return None
        if (known := self._watched.get(live.key)) is None:
            own = _Watched()
            task = asyncio.create_task(self._poll(live, own))
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())  # readers were told
            known = self._watched[live.key] = own, task
        known[0].readers += 1
        reader = Reader(who, known[0])
        self._readers[reader] = None
        return reader

    def leave(self, live: Live, reader: Reader) -> None:
        self._readers.pop(reader, None)
        reader.watched.readers -= 1
        if reader.watched.readers == 0:
            self._forget(live, reader.watched)

    def _place(self, who: Who) -> bool:
        """Whether there is a place. Where all are taken, the newest stream of whoever has most makes room."""
        held = Counter(each.who.account for each in self._readers)
        of_session = sum(each.who == who for each in self._readers)
        if of_session >= OF_SESSION or held[who.account] >= OF_ACCOUNT:
            return False
        if len(self._readers) < MOST:
            return True
        account, most = held.most_common(1)[0] if held else ("", 0)
        if most <= held[who.account] + 1:
            return False
        reader = next(each for each in reversed(self._readers) if each.who.account == account)
        del self._readers[reader]
        reader.out = True
        reader.watched.tell()
        return True

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


async def events(hub: Hub, live: Live, seen: str, who: Who, holds: Callable[[], bool]) -> AsyncIterator[bytes]:
    """`seen`: the id of the last event that the browser had. `holds`: whether the session does; it runs in a thread."""
    until = time.monotonic() + SECONDS
    if (reader := hub.enter(live, who)) is None:
        yield _LATER
        return
    watched = reader.watched
    try:
        yield _LIVE
        while (left := until - time.monotonic()) > 0 and not hub.stopping:
            moved = watched.moved
            if reader.out:
                yield _LATER
                return
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
        hub.leave(live, reader)


def _look(live: Live) -> tuple[str, bool]:
    going = live.going is None or live.going()  # before the probe, whose answer is then the last one
    return hashlib.sha256(repr(live.probe()).encode()).hexdigest()[:16], going

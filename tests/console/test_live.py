"""Live updates: streams that tell of changes, share one poll of a page, and end with their session and their reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from contracts.base.ids import new_id
from gateway.console.accounts import sessions
from gateway.console.pages import home, queue, systems
from gateway.console.roles import Role
from gateway.console.site import live
from gateway.console.site.live import Hub, Who
from gateway.console.site.page import Live
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.people import HOST, Desk, Person

CHANGED, END = "event: changed", "event: end"
LAN = Who("lan", "1")


class State:
    """What a page shows. `looks`: how often it was read."""

    def __init__(self) -> None:
        self.value, self.looks, self.goes, self.signed_in = 0, 0, True, True

    def look(self) -> object:
        self.looks += 1
        return self.value

    def live(self, pause: float = 0.01) -> Live:
        return Live(("it",), self.look, pause, lambda: self.goes)


class Reader:
    """The events of a stream, as a browser gets them. `seen`: the id of the last."""

    def __init__(self, hub: Hub, state: State, seen: str = "", who: Who = LAN) -> None:
        self.seen = seen
        self._events = live.events(hub, state.live(), seen, who, lambda: state.signed_in)

    async def next(self, *kinds: str) -> str:
        """The next event of these kinds; comments and the rest are passed over."""
        async with asyncio.timeout(60):
            async for each in self._events:
                fields = dict(line.split(": ", 1) for line in each.decode().splitlines() if ": " in line)
                self.seen = fields.get("id", self.seen)
                if (kind := f"event: {fields.get('event')}") in kinds:
                    return kind
        return "over"

    async def close(self) -> None:
        await self._events.aclose()  # type: ignore[attr-defined]


async def until(fits: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not fits():
            await asyncio.sleep(0.005)


async def test_readers_of_one_page_share_one_poll_that_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, state = Hub(), State()
    readers = [Reader(hub, state) for _ in range(5)]
    for each in readers:
        assert await each.next(CHANGED) == CHANGED
    assert len({each.seen for each in readers}) == 1 == len(hub._watched) and hub.readers == 5
    # In the time of some looks each reader alone would have made as many.
    before = state.looks
    state.value = 1
    assert [await each.next(CHANGED) for each in readers] == [CHANGED] * 5
    assert state.looks - before < 5
    again = Reader(hub, state, readers[0].seen)  # as a browser connects again: it is told nothing that it knows
    waits = asyncio.create_task(again.next(CHANGED))
    await until(lambda: state.looks > before + 8)
    assert not waits.done()
    state.value = 2
    assert await waits == CHANGED
    for each in (*readers, again):
        await each.close()
    assert hub.readers == 0 and not hub._watched
    await asyncio.sleep(0.05)
    looks = state.looks
    await asyncio.sleep(0.1)
    assert state.looks == looks


async def test_a_stream_ends_with_its_page_its_session_and_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, state = Hub(), State()
    monkeypatch.setattr(live, "BEAT", 0.02)
    ends, signs_out = Reader(hub, state), Reader(hub, state)
    for each in (ends, signs_out):
        await each.next(CHANGED)
    state.signed_in = False
    assert await signs_out.next(CHANGED, END) == END and await signs_out.next(CHANGED, END) == "over"
    state.signed_in, state.goes = True, False
    assert await ends.next(CHANGED, END) == END and await ends.next(CHANGED, END) == "over"
    assert hub.readers == 0 and not hub._watched
    state.goes = True
    monkeypatch.setattr(live, "SECONDS", 0.05)
    late = Reader(hub, state)
    assert [await late.next(CHANGED, END), await late.next(CHANGED, END)] == [CHANGED, "over"]


async def test_a_look_that_fails_ends_the_streams() -> None:
    """The page, when it is loaded again, says what is wrong."""
    hub, state = Hub(), State()
    reader = Reader(hub, state)
    await reader.next(CHANGED)
    state.look = None  # type: ignore[assignment,method-assign]
    broken = Live(("other",), lambda: 1 / 0)
    stream = live.events(hub, broken, "", LAN, lambda: True)
    assert [each async for each in stream][-1] == live._END
    await reader.close()
    assert not hub._watched


# --- the pages --------------------------------------------------------------------------------------------------------
@asynccontextmanager
async def opened(desk: Desk, person: Person, path: str) -> AsyncIterator[Callable[[], Any]]:
    """A stream of the desk, until the block ends. Yields a function that waits for the next event `changed`."""
    sent, leaves = asyncio.Queue[str](), asyncio.Event()
    headers = {"host": HOST, "cookie": person.cookie, "accept": "text/event-stream"}
    scope = {
        "type": "http", "method": "GET", "scheme": "https", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "http_version": "1.1", "extensions": {}, "client": ("192.0.2.7", 1),
        "server": (HOST, 443), "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, path
        sent.put_nowait(message.get("body", b"").decode())

    async def changed() -> None:
        async with asyncio.timeout(60):
            while CHANGED not in await sent.get():
                pass

    task = asyncio.create_task(desk.app(scope, receive, send))
    try:
        yield changed
    finally:
        leaves.set()
        await task


@pytest.mark.parametrize("path", ["/console", "/console/queue", "/console/systems"])
async def test_a_page_is_told_of_a_transfer_in_doubt(people: Desk, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((home, "HOME"), (queue, "QUEUE"), (systems, "BOARD")):
        monkeypatch.setattr(module, f"{name}_PAUSE", 0.01)
    minh = await people.signed_in("minh", Role.OPERATOR)
    assert f'data-live="{path}/events"' in (await minh.get(path)).body.decode()
    async with opened(people, minh, f"{path}/events") as changed:
        await changed()  # the state that it begins with
        waits = asyncio.create_task(changed())
        await asyncio.sleep(0.1)
        assert not waits.done()
        with writing(people.world.engine) as connection:
            connection.execute(insert(tables.transfer).values(**in_doubt(people.now())))
        await waits


def in_doubt(now: float) -> dict[str, Any]:
    names = ("caller_system", "caller_agency", "contract", "bundle", "operation", "message_id", "grant_id", "provider")
    values = {"id": new_id(int(now * 1000)), "state": "in-doubt", "pattern": "query", "payload_digest": bytes(32)}
    return {**dict.fromkeys(names, "x"), **values, "idempotent": False, "received": now, "committed": now}


async def test_a_page_that_is_only_open_does_not_keep_its_session(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)

    def seen() -> float:
        with people.world.engine.connect() as connection:
            return float(connection.scalar(select(func.max(tables.console_session.c.seen))) or 0.0)

    began = seen()
    people.moved += sessions.TOUCH + 1
    assert (await minh.get("/console/queue", lgsp_live="1")).status == 200 and seen() == began
    async with opened(people, minh, "/console/queue/events") as changed:
        await changed()
    assert seen() == began
    assert (await minh.get("/console/queue")).status == 200 and seen() > began
    with writing(people.world.engine) as connection:
        connection.execute(update(tables.console_session).values(seen=people.now() - sessions.IDLE - 1))
    assert (await minh.get("/console/queue/events")).status == 303


async def test_a_desk_that_stops_ends_its_streams_and_the_browser_comes_again() -> None:
    hub, state = Hub(), State()
    first, second = Reader(hub, state), Reader(hub, state)
    assert await first.next(CHANGED) == await second.next(CHANGED) == CHANGED
    hub.stop()
    assert [await each.next(CHANGED, END) for each in (first, second)] == ["over", "over"]
    assert hub.readers == 0
    assert await Reader(hub, state).next(CHANGED, END) == "over"

"""Reading in threads: what a caller gets, and how long he holds his place."""

from __future__ import annotations

import asyncio
import threading

import pytest

from contracts.base.errors import Failure
from gateway.doors.api.reading import Readers

OWNER = ("agency", "H14.2")
PATIENCE = 60  # seconds


async def test_result_and_trouble_come_through() -> None:
    readers = Readers()
    assert await readers.run(OWNER, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await readers.run(OWNER, divmod, 7, 0)
    assert readers._of == {}


async def test_a_place_is_held_until_its_work_is_done_though_the_caller_left() -> None:
    readers, ends, begun = Readers(each=1, seconds=0.05), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> str:
        loop.call_soon_threadsafe(begun.set)
        ends.wait(PATIENCE)
        return "late"

    call = asyncio.create_task(readers.run(OWNER, work))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(Failure):
        await readers.run(OWNER, divmod, 7, 2)
    ends.set()
    async with asyncio.timeout(PATIENCE):
        while readers._of:
            await asyncio.sleep(0.01)
    assert await readers.run(OWNER, divmod, 7, 2) == (3, 1)


async def test_work_that_has_not_begun_ends_with_its_caller() -> None:
    readers, ends, ran = Readers(threads=1), threading.Event(), list[str]()
    first = asyncio.create_task(readers.run(OWNER, ends.wait, PATIENCE))
    second = asyncio.create_task(readers.run(OWNER, ran.append, "second"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    ends.set()
    assert await first and await readers.run(OWNER, divmod, 7, 2) == (3, 1)
    assert ran == [] and readers._of == {}

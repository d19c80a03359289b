"""Streams of feeds: opened without end, with cursors that are none or another's, after the right to read was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from gateway.doors.http.stream_limits import Streams
from gateway.feeds import cursor
from tests.doors.api.client import World, opened
from tests.doors.api.streams import streamed
from tests.doors.api.test_api_feed_streams import revoke
from tests.doors.api.test_api_feed_times import FEED, ONE, TWO, filled
from tests.registry.making import House
from tests.size import FULL

STREAM = f"{FEED}?form=events"
MANY, MOST = (1000, 64) if FULL else (60, 8)
OWN = "incident-alert/v1"


@pytest_asyncio.fixture
async def apis(tmp_path: Path, keys: House) -> AsyncIterator[World]:
    async with opened(tmp_path, keys) as made:
        yield made


@pytest.mark.attack("streams of feeds")
async def test_streams_without_end_take_the_places_of_their_agency_alone(apis: World) -> None:
    apis.services.streams = Streams(MOST, MANY)
    told = Counter[int]()
    async with AsyncExitStack() as stack:
        for _ in range(MANY):
            stream = await stack.enter_async_context(streamed(apis, "dieu-hanh", STREAM))
            told[stream.status] += 1
            assert stream.status == 200 or stream.headers["retry-after"] == "5"
        assert told == {200: MOST, 429: MANY - MOST} and len(apis.services.streams) == MOST
        assert (await apis.signed("dieu-hanh", FEED)).status == 200  # pages have other places
    assert len(apis.services.streams) == 0
    async with streamed(apis, "dieu-hanh", STREAM) as again:
        assert again.status == 200


@pytest.mark.attack("streams of feeds")
@pytest.mark.parametrize("lost", ["system", "certificate", "signing key", "grant"])
async def test_who_lost_the_right_reads_no_further(apis: World, lost: str) -> None:
    await filled(apis, ONE)
    async with streamed(apis, "dieu-hanh", STREAM) as stream:
        await stream.until(lambda each: each.ids == [ONE])
        revoke(apis, lost)
        await apis.hand_in(TWO, {"identifier": TWO, "note": "x"})
        apis.sequence()
        await stream.until(lambda each: each.ended)
    assert stream.ids == [ONE] and TWO.encode() not in stream.raw


CURSORS = {
    "of another feed": cursor.encode("field-report/v1", 1),
    "of another log": cursor.encode(OWN, 1, "another-log"),
    "of two feeds": cursor.encode_all({OWN: 1, "field-report/v1": 1}),
    "behind the newest": cursor.encode(OWN, 2),
    "far behind": cursor.encode(OWN, 9_223_372_036_854_775_807),
    "beyond any number": cursor.encode(OWN, 10**40),
    "negative": cursor.encode(OWN, -1),
    "huge": "A" * 60_000,
    "a line end": "MSBh\r\nx-other: 1",
    "an event": "x\n\ndata: {}\n\n",
    "no ASCII": "ế",
}


@pytest.mark.attack("streams of feeds")
@pytest.mark.parametrize("text", CURSORS.values(), ids=CURSORS)
async def test_a_cursor_that_is_none_is_refused_and_shown_nowhere(apis: World, text: str) -> None:
    await filled(apis, ONE)
    async with streamed(apis, "dieu-hanh", f"{STREAM}&after={quote(text, safe='')}") as asked:
        await asked.until(lambda each: each.ended)
    async with streamed(apis, "dieu-hanh", STREAM, {"last-event-id": text}) as named:
        await named.until(lambda each: each.ended)
    for stream in (asked, named):
        assert stream.status in (400, 410), stream.raw
        assert stream.headers["content-type"] == "application/problem+json" and "x-other" not in stream.headers
    assert len(apis.services.streams) == 0


@pytest.mark.attack("streams of feeds")
async def test_the_cursor_of_another_agency_opens_nothing(apis: World) -> None:
    await filled(apis, ONE)
    async with streamed(apis, "dieu-hanh", STREAM) as own:
        await own.until(lambda each: each.ids)
    async with streamed(apis, "thuc-phan", f"{STREAM}&after={own.cursor}") as stream:
        await stream.until(lambda each: each.ended)
    assert stream.status == 403 and apis.logged("refusal")[-1]["failure"] == stream.json["code"]

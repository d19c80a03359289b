"""Feeds as server-sent events: what comes, what proves it, how a stream ends and goes on."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from sqlalchemy import update

from contracts.wire import server_events
from gateway.doors.http import streaming
from gateway.feeds import cursor, stream_lease
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from security.stream_seals import NotSealed, Running, Sealed
from tests.doors.api.client import World
from tests.doors.api.streams import streamed
from tests.doors.api.test_api_feed_times import FEED, ONE, THREE, TWO, filled, ids
from tests.registry.making import approve_all

STREAM = f"{FEED}?form=events"


async def test_events_come_as_they_are_sequenced(world: World) -> None:
    await filled(world, ONE)
    async with streamed(world, "dieu-hanh", STREAM) as stream:
        assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
        assert "signature" in stream.headers and "content-digest" not in stream.headers
        await stream.until(lambda each: each.ids == [ONE])
        assert len(world.logged("feed-read")) == 1
        await filled(world, TWO, THREE)
        await stream.until(lambda each: len(each.ids) == 3)
    assert stream.ids == [ONE, TWO, THREE] and stream.raw.startswith(b"retry: 3000\n\n")
    page = (await world.signed("dieu-hanh", FEED)).json
    assert [json.loads(each.data) for each in stream.events] == page["events"]
    assert stream.cursor == page["next"] and stream.seals[-1] == ("", page["next"])
    assert len(world.services.streams) == 0
    assert world.logged("feed-read") == []  # one entry for the session, as with pages; it is sequenced by now


async def test_a_stream_goes_on_from_the_last_event(world: World) -> None:
    await filled(world, ONE, TWO)
    async with streamed(world, "dieu-hanh", f"{STREAM}&limit=1") as stream:
        await stream.until(lambda each: len(each.ids) == 2)
    first = stream.events[0].id or ""
    async with streamed(world, "dieu-hanh", FEED, {"accept": "text/event-stream", "last-event-id": first}) as again:
        await again.until(lambda each: each.ids)
        assert again.ids == [TWO] and again.seals[0].start == first
    async with streamed(world, "dieu-hanh", f"{STREAM}&after={stream.cursor}", {"last-event-id": first}) as both:
        await both.until(lambda each: each.ids)
        assert both.ids == [TWO]  # a browser sends the address that it began with


async def test_a_lease_ends_with_where_to_go_on(world: World) -> None:
    await filled(world, ONE)
    world.services.settings = replace(world.services.settings, stream_seconds=0.05)
    async with streamed(world, "dieu-hanh", STREAM) as stream:
        await stream.until(lambda each: each.ended)
    assert stream.end == {"reason": "lease", "next": stream.cursor}
    assert ids((await world.signed("dieu-hanh", f"{FEED}?after={stream.cursor}")).json["events"]) == []


async def test_a_door_that_stops_ends_its_streams(world: World) -> None:
    """And sends nothing again that it has sent."""
    await filled(world, ONE)
    async with streamed(world, "dieu-hanh", STREAM) as stream:
        await stream.until(lambda each: each.ids)
        await asyncio.sleep(0.3)  # it waits for what comes
        world.app.draining = True
        await stream.until(lambda each: each.ended)
    assert stream.end is not None and stream.end["reason"] == "stopping" and stream.ids == [ONE]


async def test_a_range_that_is_over_ends(world: World) -> None:
    await filled(world, ONE)
    async with streamed(world, "dieu-hanh", f"{STREAM}&until=2001-01-01T00:00:00Z") as stream:
        await stream.until(lambda each: each.ended)
    assert stream.end is not None and stream.end["reason"] == "complete" and stream.ids == []


async def test_a_quiet_stream_has_a_heartbeat(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_lease, "HEARTBEAT", 0.05)
    async with streamed(world, "dieu-hanh", STREAM) as stream:
        await stream.until(lambda each: each.raw.count(server_events.BEAT) > 2)
        await filled(world, ONE)
        await stream.until(lambda each: each.ids == [ONE])  # the seal covers the heartbeats


@pytest.mark.parametrize("lost", ["system", "certificate", "signing key", "grant"])
async def test_a_stream_ends_when_its_right_is_lost(world: World, lost: str) -> None:
    await filled(world, ONE)
    async with streamed(world, "dieu-hanh", STREAM) as stream:
        await stream.until(lambda each: each.ids == [ONE])
        revoke(world, lost)
        await stream.until(lambda each: each.ended)
    assert stream.end is not None and stream.end["reason"] == "refused"
    assert stream.end["problem"]["status"] in (401, 403)
    assert world.logged("refusal")[-1]["failure"] == stream.end["problem"]["code"]
    await filled(world, TWO)
    assert stream.ids == [ONE]


def revoke(world: World, lost: str) -> None:
    with writing(world.engine) as connection:
        if lost == "system":
            store.set_state(connection, "system", "dieu-hanh", False)
        elif lost == "grant":
            table = tables.access_grant
            connection.execute(update(table).where(table.c.id == "G-0004").values(state="revoked"))
        else:
            use = "tls" if lost == "certificate" else "sign"
            keys = world.services.registry.snapshot.keys.values()
            (key,) = [each for each in keys if each.system == "dieu-hanh" and each.use == use]
            store.revoke_key(connection, key.key_id, time.time())
        approve_all(connection)
        world.services.registry.refresh(connection)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("&coding=gzip", "api.invalid"),
        ("&after=x", "feed.bad-cursor"),
        (f"&after={cursor.encode('incident-alert/v1', 99)}", "feed.bad-cursor"),
        (f"&after={cursor.encode('incident-alert/v1', 1, 'another-log')}", "feed.other-log"),
        (f"&after={cursor.encode('field-report/v1', 1)}", "feed.bad-cursor"),
        ("&after=a%0d%0ab", "api.invalid"),
        ("&since=x", "api.invalid"),
    ],
)
async def test_a_stream_that_cannot_be_is_an_answer_of_its_own(world: World, query: str, code: str) -> None:
    await filled(world, ONE)
    async with streamed(world, "dieu-hanh", STREAM + query) as stream:
        await stream.until(lambda each: each.ended)
    assert stream.json["code"] == code and stream.status in (400, 410)
    assert len(world.services.streams) == 0


@pytest.mark.parametrize("id", ["x", "A" * 9000, cursor.encode("incident-alert/v1", 10**12), "é"])
async def test_a_last_event_id_that_is_none(world: World, id: str) -> None:
    async with streamed(world, "dieu-hanh", STREAM, {"last-event-id": id}) as stream:
        await stream.until(lambda each: each.ended)
    assert stream.status == 400 and stream.json["code"] in ("api.invalid", "feed.bad-cursor")


async def test_a_cursor_of_another_log_says_where_to_resync(world: World) -> None:
    await filled(world, ONE)
    other = cursor.encode("incident-alert/v1", 1, "another-log")
    for target in (f"{FEED}?after={other}", f"{FEED}?after={other}&wait=1"):
        answer = await world.signed("dieu-hanh", target)
        assert answer.status == 410 and answer.json["code"] == "feed.other-log"
        resync = answer.json["resync"]
        assert resync["states"] == [f"{FEED}/state"]
        assert ids((await world.signed("dieu-hanh", f"{FEED}?after={resync['after']}")).json["events"]) == [ONE]
    older = cursor.encode("incident-alert/v1", 0)  # of an earlier release
    assert ids((await world.signed("dieu-hanh", f"{FEED}?after={older}")).json["events"]) == [ONE]


async def test_a_stream_needs_a_grant_and_is_sent_once(world: World) -> None:
    async with streamed(world, "thuc-phan", STREAM) as stream:
        await stream.until(lambda each: each.ended)
    assert stream.status == 403
    async with streamed(world, "dieu-hanh", "/feeds/no-such/v1?form=events") as none:
        await none.until(lambda each: each.ended)
    assert none.json["code"] == "feed.unknown"


async def test_too_many_streams_are_refused(world: World) -> None:
    world.services.streams._agency = 1  # type: ignore[misc]
    async with streamed(world, "dieu-hanh", STREAM) as first:
        await first.until(lambda each: each.raw)
        async with streamed(world, "dieu-hanh", STREAM) as second:
            await second.until(lambda each: each.ended)
        assert second.status == 429 and second.json["code"] == "limit.streams" and second.headers["retry-after"] == "5"
        world.services.streams._agency = 9  # type: ignore[misc]
        world.services.streams._door = 1  # type: ignore[misc]
        async with streamed(world, "dieu-hanh", STREAM) as third:
            await third.until(lambda each: each.ended)
        assert third.status == 503 and third.json["code"] == "limit.door-streams"
    async with streamed(world, "dieu-hanh", STREAM) as fourth:
        assert fourth.status == 200


async def test_who_never_reads_loses_the_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming.send_stream, "__kwdefaults__", {"stalled": 0.2})
    await filled(world, ONE)
    async with streamed(world, "dieu-hanh", STREAM) as stream:
        stream.takes.clear()
        await filled(world, TWO, THREE)
        await asyncio.wait_for(stream.gone.wait(), 120)  # the connection was ended
        assert len(world.services.streams) == 0 or await left(world)


async def left(world: World) -> bool:
    async with asyncio.timeout(30):
        while len(world.services.streams):
            await asyncio.sleep(0.01)
    return True


async def test_a_changed_byte_is_not_sealed(world: World) -> None:

    key = world.gateway.sign
    sent = Running(":request:")
    sent.take(b"data: 1\n\n")
    seal = sent.seal(Sealed("", "c"), key)
    find = {key.key_id: key.verify_key()}.get
    for request, data in ((":request:", b"data: 2\n\n"), (":other:", b"data: 1\n\n"), (":request:", b"")):
        other = Running(request)
        other.take(data)
        with pytest.raises(NotSealed):
            other.check(seal, find, time.time())


def test_no_text_can_forge_an_event() -> None:
    text = server_events.written(b'{"a":\n"id: 1"}\r\nevent: end', id="c")
    (event,) = server_events.Reader().take(text)
    assert (event.id, event.type) == ("c", "") and event.data == b'{"a":\n"id: 1"}\nevent: end'
    for bad in ("a\nb", "a\rb", "a\0b"):
        with pytest.raises(ValueError):
            server_events.written(b"", id=bad)


async def test_reading_cuts_at_any_byte() -> None:
    text = b"retry: 1\n\n:\n\n" + server_events.written(b"x", id="1") + server_events.written(b"y", type="end")
    whole = [each[1:] for each in server_events.Reader().take(text)]
    for size in (1, 2, 3, 7):
        reader = server_events.Reader()
        pieces = [event for at in range(0, len(text), size) for event in reader.take(text[at : at + size])]
        assert [each[1:] for each in pieces] == whole and b"".join(each.raw for each in pieces) == text

"""The centre's people read feeds: by a token in pages, and by a browser's session as a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from contracts.wire.server_events import Reader
from gateway.console.accounts import store
from gateway.console.roles import Role
from gateway.console.work import feeds
from gateway.feeds import cursor, stream_lease
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.people import HOST, Desk, Person
from tests.console.test_operations import call, token
from tests.doors.api.streams import Streamed
from tests.doors.api.test_api_feed_times import ONE, THREE, TWO, filled, ids
from tests.doors.api.test_api_reading import regrant
from tests.registry.making import approve_all

FEED = "/feeds/incident-alert/v1"


@pytest.fixture
def office(people: Desk) -> Desk:
    """Its vault is the one of the doors."""
    settings = people.world.services.settings
    settings.vault_keys.symlink_to(settings.data / "vault")
    return people


@asynccontextmanager
async def followed(person: Person, target: str, **headers: str) -> AsyncIterator[Streamed]:
    """An open stream, as a browser reads it."""
    stream, reader, parts = Streamed(), Reader(), urlsplit(target)

    async def receive() -> dict[str, Any]:
        if stream.status:
            await stream.gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            stream.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            stream.status = message["status"]
        else:
            stream.raw += message.get("body", b"")
            stream.events += [each for each in reader.take(message.get("body", b"")) if each.data or each.type]
            stream.ended = not message.get("more_body", False)
        stream.changed.set()

    named = {"host": HOST, "accept-language": "en", "cookie": person.cookie}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "client": ("192.0.2.7", 4711),
        "server": (HOST, 443),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "extensions": {},
    }
    serving = asyncio.create_task(person.desk.app(scope, receive, send))
    try:
        await stream.until(lambda each: each.status or serving.done())
        yield stream
    finally:
        stream.gone.set()
        await asyncio.wait_for(serving, 50)


async def test_a_token_reads_pages_with_the_masks_of_the_agency(office: Desk) -> None:
    regrant(office.world, fields=["*", "!note"])
    await filled(office.world, ONE, TWO)
    office.add("tam", Role.CENTRE)
    mine = token(office, "tam")
    first = (await call(office, mine, "GET", f"/api{FEED}?limit=1")).json
    second = (await call(office, mine, "GET", f"/api{FEED}?after={first['next']}")).json
    assert ids(first["events"] + second["events"]) == [ONE, TWO] and (first["more"], second["more"]) == (True, False)
    assert all(each["data"].get("note") in (None, {"absent": "not-permitted"}) for each in second["events"])
    (entry,) = office.world.logged("feed-read")
    assert entry["actor"].startswith("H14.0/tam: console, token") and entry["facts"]["grant"] == "G-0004"
    lines = await call(office, mine, "GET", f"/api{FEED}?form=lines&type=recalled")
    assert lines.headers["content-type"] == "application/x-ndjson" and len(lines.body.splitlines()) == 1
    gone = await call(office, mine, "GET", f"/api{FEED}?after={cursor.encode('incident-alert/v1', 1, 'another')}")
    assert gone.status == 410 and gone.json["resync"]["states"] == [f"{FEED}/state"]


async def test_who_may_not(office: Desk) -> None:
    await filled(office.world, ONE)
    refused = {"minh": (Role.OPERATOR, "H14.0"), "lan": (Role.AGENCY, "H14.0"), "khac": (Role.CENTRE, "H14.9")}
    for id, (role, agency) in refused.items():
        office.add(id, role, agency=agency)
        assert (await call(office, token(office, id), "GET", f"/api{FEED}")).status == 403, id
    assert (await call(office, "", "GET", f"/api{FEED}")).status == 401
    tam = await office.signed_in("tam", Role.CENTRE)
    assert (await tam.get(f"/api{FEED}")).status == 401  # a session is no token
    assert (await Person(office, "nobody").get(f"/console{FEED}")).status == 401
    assert (await tam.get(f"/console{FEED}", sec_fetch_site="cross-site")).status not in (200, 500)
    assert (await tam.get("/console/feeds/dossier-status/v1")).status == 403  # encrypted, or without a grant
    regrant(office.world, quota={"calls": 2, "per": "month"})
    assert (await tam.get(f"/console{FEED}")).status == 429  # that counts the calls of systems
    assert office.world.logged("feed-read") == []


async def test_a_browser_follows(office: Desk) -> None:
    await filled(office.world, ONE)
    tam = await office.signed_in("tam", Role.CENTRE)
    async with followed(tam, f"/console{FEED}?form=events", sec_fetch_site="same-origin") as stream:
        assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
        await stream.until(lambda each: each.ids == [ONE])
        await filled(office.world, TWO)
        await stream.until(lambda each: each.ids == [ONE, TWO])
    async with followed(tam, f"/console{FEED}?form=events", last_event_id=stream.events[0].id or "") as again:
        await again.until(lambda each: each.ids == [TWO])
    page = json.loads((await tam.get(f"/console{FEED}")).body)
    assert page["events"] == [json.loads(each.data) for each in stream.events]


@pytest.mark.parametrize("lost", ["session", "account", "grant"])
async def test_a_stream_ends_with_what_allowed_it(office: Desk, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_lease, "HEARTBEAT", 0.1)
    tam = await office.signed_in("tam", Role.CENTRE)
    async with followed(tam, f"/console{FEED}?form=events") as stream:
        await stream.until(lambda each: each.raw)
        if lost == "session":
            await tam.post("/console/sign-out")
        elif lost == "account":
            with office.changing() as change:
                store.set_active(change, "tam", False)
        else:
            with writing(office.world.engine) as connection:
                table = tables.access_grant
                connection.execute(update(table).where(table.c.id == "G-0004").values(state="revoked"))
                approve_all(connection)
                office.world.services.registry.refresh(connection)
        await stream.until(lambda each: each.ended)
    assert stream.end is not None and stream.end["reason"] == "refused"
    assert stream.end["problem"]["status"] in (401, 403)


async def test_a_lease_and_a_cap(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "EACH", 1)
    office.services.settings = replace(office.services.settings, stream_seconds=0.5)
    await filled(office.world, THREE)
    tam = await office.signed_in("tam", Role.CENTRE)
    async with followed(tam, f"/console{FEED}?form=events") as stream:
        await stream.until(lambda each: each.raw)
        assert (await tam.get(f"/console{FEED}?form=events")).status == 429
        await stream.until(lambda each: each.ended)
    assert stream.end is not None and stream.end["reason"] == "lease" and stream.ids == [THREE]


async def test_a_desk_that_stops_ends_its_streams(office: Desk) -> None:
    """As doors do: the reader is told, and goes on from its place at the next desk."""
    await filled(office.world, ONE)
    tam = await office.signed_in("tam", Role.CENTRE)
    async with followed(tam, f"/console{FEED}?form=events", sec_fetch_site="same-origin") as stream:
        await stream.until(lambda each: len(each.ids) == 1)
        office.app.drain()
        await stream.until(lambda each: each.ended)
        assert stream.events[-1].type == "end" and stream.ids == [ONE]
        end = json.loads(stream.events[-1].data)
        assert end["reason"] == "stopping" and end["next"] == stream.events[-1].id

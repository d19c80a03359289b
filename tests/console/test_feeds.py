"""The centre's people read feeds: by a token in pages, and by a browser's session as a stream."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from openpyxl import load_workbook
from sqlalchemy import update

from contracts.base.errors import Failure
from contracts.wire.server_events import Reader
from gateway.console.accounts import store
from gateway.console.roles import Role
from gateway.console.work import feed_exports, feed_view, feeds
from gateway.console.work.feeds import Asking
from gateway.doors.api.feed_pages import Part
from gateway.feeds import cursor, stream_lease
from gateway.feeds.places import Times
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.people import HOST, Desk, Person
from tests.console.test_operations import call, token
from tests.doors.api.client import ask
from tests.doors.api.streams import Streamed
from tests.doors.api.test_api_feed_times import ONE, THREE, TWO, filled, ids
from tests.doors.api.test_api_reading import regrant
from tests.registry.making import approve_all

FEED = "/feeds/incident-alert/v1"
OTHER = "01935b6e-0000-7000-8000-000000000099"
WHY = "For the report of the month"


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


async def test_the_page_shows_the_newest_events_and_where_a_stream_goes_on(office: Desk) -> None:
    tam = await office.signed_in("tam", Role.CENTRE)
    empty = (await tam.get("/console/feed/incident-alert/v1")).body.decode()
    assert "No event yet." in empty and "<script src" in empty
    transfers = [f"01935b6e-0000-7000-8000-{number:012d}" for number in range(1, feed_view.ROWS + 4)]
    await filled(office.world, *transfers)
    page = (await tam.get("/console/feed/incident-alert/v1")).body.decode()
    shown = re.findall(r'<tr data-offset="(\d+)"', page)
    assert shown == [str(number) for number in range(feed_view.ROWS + 3, 3, -1)]
    assert "style=" not in page and "onclick" not in page
    (after,) = re.findall(r'data-after="([^"]+)"', page)
    await filled(office.world, OTHER)
    async with followed(tam, f"/console{FEED}?form=events&after={after}", sec_fetch_site="same-origin") as stream:
        await stream.until(lambda each: each.ids == [OTHER])
    earlier = (await tam.get("/console/feed/incident-alert/v1?upto=3")).body.decode()
    assert re.findall(r'<tr data-offset="(\d+)"', earlier) == ["3", "2", "1"] and "data-feed" not in earlier
    assert all(each["actor"].startswith("H14.0/tam: console") for each in office.world.logged("feed-read"))
    feeds_page = (await tam.get("/console/feeds")).body.decode()
    assert 'href="/console/feed/incident-alert/v1"' in feeds_page and "access." in feeds_page
    assert (await tam.get("/console/feed/none/v1")).status == 404
    assert (await tam.get("/console/feed/incident-alert/v1?upto=x")).status == 400


@pytest.mark.parametrize("form", feed_exports.FORMS)
async def test_a_range_is_exported_with_a_reason(office: Desk, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_exports, "ROWS", 2)
    regrant(office.world, fields=["*", "!note"])
    await filled(office.world, ONE, TWO, THREE)
    tam = await office.signed_in("tam", Role.CENTRE)
    short = await tam.post("/console/feed/incident-alert/v1/export", form=form, reason="no")
    assert short.status == 400 and b"console.reason" in short.body and b"data-after" in short.body, "the form again"
    assert office.world.logged("export") == []
    file = await tam.taken("/console/feed/incident-alert/v1/export", form=form, reason=WHY)
    assert file.status == 200 and file.headers["content-disposition"].endswith(f'"incident-alert-v1.{form}"')
    assert file.headers["cache-control"] == "no-store"
    (entry,) = office.world.logged("export")
    assert entry["actor"].startswith("H14.0/tam: console") and entry["facts"]["reason"] == WHY
    assert (entry["facts"]["from"], entry["facts"]["to"], entry["facts"]["grant"]) == (1, 3, "G-0004")
    rows = read_table(form, file.body)
    assert [row["id"] for row in rows] == [ONE, TWO, THREE]
    assert {row["data.note"] or "" for row in rows} <= {"", "(absent: not-permitted)"}, "masked as a page is"
    later = await tam.taken(
        "/console/feed/incident-alert/v1/export", **{"form": form, "from": "2099-01-01", "reason": WHY}
    )
    assert later.status == 200 and read_table(form, later.body) == []
    wrong = await tam.post("/console/feed/incident-alert/v1/export", **{"form": "csv", "from": "x", "reason": WHY})
    assert wrong.status == 400 and b"console.form" in wrong.body


async def test_an_export_of_some_agencies_and_columns(office: Desk) -> None:
    regrant(office.world, fields=["*", "!note"])
    await filled(office.world, ONE, TWO)
    tam = await office.signed_in("tam", Role.CENTRE)
    here = "/console/feed/incident-alert/v1/export"
    chosen = {"column-data.note": "yes", "column-id": "yes", "agency-H14.2": "yes"}
    file = await tam.taken(here, form="csv", reason=WHY, **chosen)
    rows = read_table("csv", file.body)
    assert [list(row) for row in rows] == [["id", "data.note"]] * 2 and [row["id"] for row in rows] == [ONE, TWO]
    assert {row["data.note"] for row in rows} <= {"", "(absent: not-permitted)"}
    none = await tam.taken(here, form="csv", reason=WHY, **{"agency-H14.3": "yes"})
    assert read_table("csv", none.body) == []
    first, second = (each["facts"] for each in office.world.logged("export"))
    assert (first["agencies"], first["columns"]) == (["H14.2"], ["id", "data.note"])
    assert second["agencies"] == ["H14.3"] and "columns" not in second
    wrong = await tam.post(here, form="csv", reason=WHY, **{"column-data.nothing": "yes"})
    assert wrong.status == 400 and b"console.form" in wrong.body and len(office.world.logged("export")) == 2


async def test_an_export_ends_with_what_allowed_it(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_exports, "ROWS", 1)
    await filled(office.world, ONE, TWO, THREE)
    tam = await office.signed_in("tam", Role.CENTRE)
    desk, session = office.desk(), tam.cookie.partition("=")[2]
    asking = Asking("incident-alert/v1", Part(None, 1, Times()), lambda: desk.viewer(session), ("source", "x"))
    reply = await asyncio.to_thread(feed_exports.export, desk.feeds, asking, "csv", WHY)
    assert reply.parts is not None and len(desk.feeds.streams) == 1
    assert ONE.encode() in (await reply.parts.next_part() or b"")
    await tam.post("/console/sign-out")
    with pytest.raises(Failure, match="login"):
        await reply.parts.next_part()
    await reply.parts.aclose()
    assert len(desk.feeds.streams) == 0 and len(office.world.logged("export")) == 1


async def test_an_export_by_a_token_says_so_and_a_quota_is_for_systems(office: Desk) -> None:
    await filled(office.world, ONE)
    office.add("tam", Role.CENTRE)
    mine, wanted = token(office, "tam"), {"form": "csv", "reason": WHY, "until": "2026-01-01T00:00:00Z"}
    headers = {"host": HOST, "authorization": f"Bearer {mine}", "content-type": "application/json"}
    answer = await ask(office.app, "POST", f"/api{FEED}/export", headers, json.dumps(wanted).encode(), stays=True)
    assert answer.status == 200 and len(read_table("csv", answer.body)) == 0
    (entry,) = office.world.logged("export")
    assert entry["actor"].startswith("H14.0/tam: console, token")
    regrant(office.world, quota={"calls": 2, "per": "month"})
    assert (await call(office, mine, "POST", f"/api{FEED}/export", wanted)).status == 429
    assert len(office.world.logged("export")) == 1


def read_table(form: str, content: bytes) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    if form == "xlsx":
        head, *rows = load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
        return [dict(zip(head, row, strict=True)) for row in rows]
    table = pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(content))
    return list(table.to_pylist())

"""A range of a feed as a table: logged before it leaves, masked as pages are, stopped when its reader leaves."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert, select

from gateway.client.feed_digests import Digesting
from gateway.doors.api import feed_exports
from gateway.exchange import feed_tables
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.changes import granting
from gateway.transfer.key_seals import HISTORY
from tests.doors.api.client import Answer, World
from tests.registry.making import approve_all

FEED = "/feeds/incident-alert/v1"


async def handed_in(world: World, count: int, **more: Any) -> None:
    for number in range(count):
        await world.hand_in(f"t{number}", {"identifier": f"CB-{number}", "note": "=private", **more})
    world.sequence()


def rows(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


async def taken(world: World, target: str, system: str = "dieu-hanh", pieces: int = 10**9) -> Answer:
    """The answer of a reader who leaves after so many pieces of the body."""
    headers = await world.signed_headers(system, "GET", target)
    gone, sent, parts = asyncio.Event(), list[dict[str, Any]](), urlsplit(target)
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) > pieces:
            gone.set()
            await asyncio.sleep(0)

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
        "server": ("gateway.example", 8443),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"tls": {"client_cert_der": world.identities[system].tls_der}},
    }
    await asyncio.wait_for(world.app(scope, receive, send), 50)
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], named, b"".join(each.get("body", b"") for each in sent[1:]))


async def test_a_range_is_a_table_and_its_rows_are_proved_like_pages(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(feed_exports, "ROWS", 2)
    await handed_in(world, 5)
    answer = await taken(world, f"{FEED}/export?form=csv")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/csv")
    found = rows(answer.body)
    assert [row["data.identifier"] for row in found] == [f"CB-{number}" for number in range(5)]
    page = (await world.signed("dieu-hanh", FEED)).json
    exported, paged = Digesting(), Digesting()
    for row, event in zip(found, page["events"], strict=True):
        exported.add(row)
        paged.add(event)
    assert exported._runs == paged._runs
    first = (await world.signed("dieu-hanh", f"{FEED}?limit=3")).json["next"]
    assert len(rows((await taken(world, f"{FEED}/export?form=csv&after={first}")).body)) == 2
    none = await taken(world, f"{FEED}/export?form=csv&since=2099-01-01T00:00:00Z")
    assert none.status == 200 and rows(none.body) == []
    notes = [each["facts"] for each in world.logged("export")]
    assert {"contract": "incident-alert/v1", "form": "csv", "from": 1, "to": 5}.items() <= notes[0].items()
    assert (await taken(world, f"{FEED}/export?form=pdf")).status == 400


@pytest.mark.attack("access: by a feed")
async def test_an_export_shows_what_a_page_shows(world: World) -> None:
    await handed_in(world, 1)
    with writing(world.engine) as connection:
        held = granting.content_of(connection, "G-0004")
        narrowed = replace(held, fields=("*", "!note"), edition=held.edition + 1)
        granting.propose(connection, granting.Proposal(narrowed), 0.0)
        approve_all(connection)
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)
    answer = await taken(world, f"{FEED}/export?form=csv")
    page = (await world.signed("dieu-hanh", FEED)).json["events"][0]
    assert b"private" not in answer.body and "note" not in page["data"]
    assert rows(answer.body)[0]["data.note"] == "" and rows(answer.body)[0]["data.identifier"] == "CB-0"
    assert (await world.signed("do-thi", f"{FEED}/export?form=csv")).status == 403


@pytest.mark.attack("access: by a feed")
async def test_an_export_that_nobody_takes_is_stopped(world: World, monkeypatch: Any) -> None:
    """A large range begins at once, and no more of it is read than its reader took."""
    monkeypatch.setattr(feed_exports, "ROWS", 1)
    await handed_in(world, 30)
    made: list[int] = []
    written = feed_exports._written

    def counted(*arguments: Any) -> bytes:
        made.append(1)
        return written(*arguments)

    monkeypatch.setattr(feed_exports, "_written", counted)
    target = f"{FEED}/export?form=csv"
    answer = await taken(world, target, pieces=2)
    assert answer.body.startswith(b"\xef\xbb\xbfsequence,id,")
    assert 1 <= len(made) < 30
    assert len(world.services.streams) == 0


async def test_forms_that_cannot_be_are_refused_before_anything_is_logged(world: World, monkeypatch: Any) -> None:
    await handed_in(world, 2)
    monkeypatch.setattr(feed_exports, "has_parquet", lambda: False)
    answer = await taken(world, f"{FEED}/export?form=parquet")
    assert (answer.status, answer.json["code"]) == (415, "feed.no-form") and "lgsp[parquet]" in answer.json["next"]
    monkeypatch.setattr(feed_exports, "XLSX_ROWS", 1)
    assert (await taken(world, f"{FEED}/export?form=xlsx")).status == 400
    assert world.logged("export") == [] and len(world.services.streams) == 0
    monkeypatch.undo()
    assert (await taken(world, f"{FEED}/export?form=xlsx")).body[:2] == b"PK"
    if feed_tables.has_parquet():
        assert (await taken(world, f"{FEED}/export?form=parquet")).body[:4] == b"PAR1"
    with world.engine.connect() as connection:
        assert connection.scalars(select(tables.feed_event.c.offset)).all() == [1, 2]


async def test_the_state_at_a_time_goes_on_with_its_cursor(world: World) -> None:
    await handed_in(world, 1)
    state = f"{FEED}/state"
    past = await world.signed("dieu-hanh", f"{state}?at=2020-01-01T00:00:00Z")
    assert past.status == 200 and past.json["events"] == [] and past.json["continue"]
    follow = await world.signed("dieu-hanh", f"{FEED}?after={past.json['continue']}")
    assert len(follow.json["events"]) == 1
    assert (await world.signed("dieu-hanh", f"{state}?after={past.json['next']}")).json["events"] == []
    assert (await world.signed("dieu-hanh", f"{state}?at=yesterday")).status == 400
    with world.engine.begin() as connection:
        connection.execute(insert(tables.instance).values(key=HISTORY, value="1e9"))
    gone = await world.signed("dieu-hanh", f"{state}?at=2001-01-01T00:00:00Z")
    assert (gone.status, gone.json["code"]) == (410, "feed.no-history")

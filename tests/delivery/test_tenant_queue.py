"""Messages of a tenant that moved its clock are given up by that clock, and bear both times; nobody else's are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import insert, update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.tenant_clock import REAL
from tests.delivery.posting import Post, answering

TENANT, DAY = "NCC.0000000A", 86_400


def seconds(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["clock"]).timestamp() - datetime.fromisoformat(entry["at"]).timestamp()


def move(post: Post, ahead: int) -> None:
    with writing(post.engine) as connection:
        clock = REAL.moved(post.clock[0], ahead).text()
        connection.execute(update(tables.agency).where(tables.agency.c.code == TENANT).values(clock=clock))
        raise_revision(connection)
        post.registry.refresh(connection)


async def test_what_waits_for_days_by_her_clock_is_given_up(post: Post) -> None:
    with writing(post.engine) as connection:
        names = {"name_vi": "x", "name_en": "x", "level": "outside", "roles": "[]", "contact": "[]", "state": "active"}
        connection.execute(insert(tables.agency).values(code=TENANT, **names))
    post.provider.script = answering(post.provider, 503)
    hers, others = await post.put_aside(caller_agency=TENANT), await post.put_aside()
    post.clock[0] += 2
    move(post, 4 * DAY)
    post.clock[0] += 1
    before = post.row(hers)["committed"]
    assert await post.run() == 2
    assert [post.row(each)["state"] for each in (hers, others)] == ["dead", "queued"]
    assert post.row(hers)["failure"] == "delivery.given-up" and post.row(hers)["committed"] == before
    assert post.row(hers)["finished"] == post.clock[0]  # rows, and all that is figured from them, have real time
    for phase in ("outcome", "try-failed"):
        assert round(seconds(post.entry(hers, phase))) == 4 * DAY
    assert "clock" not in post.entry(others, "try-failed")
    later = await post.put_aside(caller_agency=TENANT)  # handed in by the moved clock: it is as young as any
    assert await post.run() == 1
    assert post.row(later)["state"] == "queued"

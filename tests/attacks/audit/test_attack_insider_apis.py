"""Readers over our own interfaces, of a database that an insider changed: the centre gets nobody else's body, and
nobody a transfer of others."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.doors.api import conftest as apis
from tests.doors.api.client import World

EXCHANGED = pytest.mark.attack("feeds and repeats: rows changed with the database alone")
ONE, TWO = (f"01935b6e-0000-7000-8000-00000000000{number}" for number in (1, 2))


world = apis.world  # a fixture of theirs


@EXCHANGED
async def test_a_feed_whose_references_were_exchanged(world: World) -> None:
    for transfer in (ONE, TWO):
        await world.hand_in(transfer, {"identifier": transfer})
    world.sequence()
    table = tables.feed_event
    with writing(world.engine) as connection:
        connection.execute(update(table).where(table.c.transfer == ONE).values(body_ref=f"{TWO}/canonical"))
    answer = await world.signed("dieu-hanh", "/feeds/incident-alert/v1")
    changed, sound = answer.json["events"]
    assert (changed["id"], changed["tombstone"], changed["tombstonereason"]) == (
        ONE,
        True,
        "tampered",
    ) and "data" not in changed
    assert sound["data"] == {"identifier": TWO}
    assert world.logged("feed-read")[0]["facts"]["tampered"] == [1]


@EXCHANGED
@pytest.mark.parametrize(("column", "reader"), [("provider", "thuc-phan"), ("caller_system", "thuc-phan")])
async def test_a_party_that_the_intent_does_not_name(world: World, column: str, reader: str) -> None:
    await world.hand_in(ONE, {"identifier": ONE}, provider="do-thi")
    assert (await world.signed("canh-bao", f"/transfers/{ONE}")).status == 200
    with writing(world.engine) as connection:
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == ONE).values({column: reader}))
    for path in (f"/transfers/{ONE}", f"/audit/proof/{ONE}"):
        answer = await world.signed(reader, path)
        assert answer.status == 500 and answer.json["code"] == "transfer.tampered", (path, answer.json)

"""The files of a transfer, as its parties are told: which, and whether the receiver has asked for all of each."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import insert, update

from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference, body_reference
from gateway.audit.search.index import Indexer
from gateway.doors.api import transfer_files
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.vault.integrity import intent_of
from tests.doors.api.client import World
from tests.doors.api.test_api_bodies import DATA, fetch, upload

RECEIVER = "thuc-phan"


async def dispatched(world: World, *references: BodyReference, state: str = "answered") -> str:
    """A transfer of canh-bao, at `RECEIVER`, that names these files."""
    transfer = new_id()
    message = {"identifier": "CB-1", "note": [str(each) for each in references]}
    await world.hand_in(transfer, message, state=state, provider=RECEIVER)
    with writing(world.engine) as connection:
        for each in references:
            connection.execute(insert(tables.opaque_use).values(body=each.body, transfer=transfer))
    world.sequence()
    return transfer


def indexed(world: World) -> None:
    world.sequence()
    while Indexer(world.engine, lock_of(world.engine)).step(world.lease):
        pass


async def uploaded(world: World, data: bytes = DATA) -> BodyReference:
    reference = body_reference((await upload(world, data)).json["reference"])
    assert reference is not None
    return reference


async def told(world: World, transfer: str, system: str) -> Any:
    answer = await world.signed(system, f"/transfers/{transfer}")
    assert answer.status == 200, answer.body
    return answer.json.get("files", [])


async def test_both_parties_are_told_the_files_and_when_they_were_fetched(world: World) -> None:
    one, other = await uploaded(world), await uploaded(world, b"small")
    transfer = await dispatched(world, one, other)
    for system in ("canh-bao", RECEIVER):
        files = {each["reference"]: each for each in await told(world, transfer, system)}
        assert files.keys() == {str(one), str(other)}
        big = files[str(one)]
        assert (big["size"], big["sha256"]) == (len(DATA), hashlib.sha256(DATA).hexdigest())
        assert big["mediaType"] == "video/mp4" and "fetched" not in big
    answer = await fetch(world, transfer, one.body, RECEIVER, f"bytes=0-{len(DATA) - 100}")
    assert answer.status == 206, answer.body
    indexed(world)
    assert not any("fetched" in each for each in await told(world, transfer, "canh-bao"))  # a part only
    await fetch(world, transfer, one.body, "canh-bao")  # the sender's own fetch is none of the receiver
    assert (await fetch(world, transfer, one.body, RECEIVER, f"bytes={len(DATA) - 200}-")).status == 206
    indexed(world)
    fetched = {each["reference"] for each in await told(world, transfer, "canh-bao") if "fetched" in each}
    assert fetched == {str(one)}


@pytest.mark.attack("access: by a file")
async def test_a_receiver_is_told_no_file_before_the_message_is_with_it(world: World) -> None:
    reference = await uploaded(world)
    transfer = await dispatched(world, reference, state="queued")
    assert await told(world, transfer, RECEIVER) == []
    assert len(await told(world, transfer, "canh-bao")) == 1
    for system in ("do-thi", "dieu-hanh"):
        assert (await world.signed(system, f"/transfers/{transfer}")).status == 404


@pytest.mark.attack("access: by a file")
async def test_a_row_that_names_another_agency_s_file_tells_nothing_of_it(world: World) -> None:
    reference = await uploaded(world)
    transfer = await dispatched(world, reference)
    status = {"transfer": transfer, "state": "answered", "sender": "H14.9/other", "receiver": RECEIVER}
    assert transfer_files.told_files(world.engine, world.vault, status, RECEIVER) == []
    with writing(world.engine) as connection:
        connection.execute(
            update(tables.transfer).where(tables.transfer.c.id == transfer).values(caller_agency="H14.3")
        )
        row = connection.execute(tables.transfer.select().where(tables.transfer.c.id == transfer)).one()
        with pytest.raises(Exception, match="transfer.tampered"):
            intent_of(connection, row)
    assert json.loads((await world.signed(RECEIVER, f"/transfers/{transfer}")).body)["code"] == "transfer.tampered"

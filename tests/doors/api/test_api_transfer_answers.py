"""`/transfers/{id}/answer`: for the sender alone, logged, once for each signature, and only while it may see it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from sqlalchemy import update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.stages import Addressed, Answered
from tests.doors.api.client import World, ask
from tests.exchange.house import PlainDoor, received_at, sample

ALERT = "incident-alert/v1"


async def accepted(world: World) -> Answered:
    """An alert of canh-bao, carried by the exchange as a door does."""
    snapshot = world.services.registry.snapshot
    contract = snapshot.contracts[ALERT]
    operation = contract.contract.operations["submitAlert"]
    addressed = Addressed(received_at(world.services.clock(), snapshot), cast(Any, None), contract, operation)
    door = PlainDoor("m-1", sample(contract, operation.request), "canh-bao")
    ended = await world.services.exchange.carry(addressed, door)
    assert isinstance(ended, Answered), ended
    return ended


@pytest.mark.attack("transfers: those of others")
async def test_the_answer_is_given_to_its_sender_alone_and_logged(world: World) -> None:
    ended = await accepted(world)
    transfer = ended.receipt.transfer
    answer = await world.signed("canh-bao", f"/transfers/{transfer}/answer")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/xml")  # its format is one of XML
    assert f"<transfer>{transfer}</transfer><messageId>m-1</messageId>".encode() in answer.body
    assert answer.headers["lgsp-transfer"] == transfer and "outcome=" in answer.headers["lgsp-receipt"]
    (read,) = world.logged("repeat")
    assert read["of"] == transfer and read["caller"]["system"] == "canh-bao"
    nobody = await world.signed("dieu-hanh", "/transfers/01935b6e-0000-7000-8000-000000000009/answer")
    for other in ("dieu-hanh", "thuc-phan", "do-thi"):
        told = await world.signed(other, f"/transfers/{transfer}/answer")
        assert (told.status, told.json["code"]) == (nobody.status, nobody.json["code"]) == (404, "transfer.unknown")
    assert (await world.public("GET", f"/transfers/{transfer}/answer")).status == 401
    assert len(world.logged("repeat")) == 1


@pytest.mark.attack("transfers: an answer read again by its signature")
async def test_a_replayed_reading_gives_nothing(world: World) -> None:
    target = f"/transfers/{(await accepted(world)).receipt.transfer}/answer"
    headers = await world.signed_headers("canh-bao", "GET", target)
    certificate = world.identities["canh-bao"].tls_der
    first = await ask(world.app, "GET", target, headers, certificate=certificate)
    again = await ask(world.app, "GET", target, headers, certificate=certificate)
    assert first.status == 200 and (again.status, again.json["code"]) == (409, "message.replayed")
    assert len(world.logged("repeat")) == 1


@pytest.mark.attack("transfers: those of others")
async def test_a_row_given_to_another_system_gives_it_no_answer(world: World) -> None:
    """Who controls the database writes another sender into the row. The log names the true one."""
    transfer = (await accepted(world)).receipt.transfer
    with writing(world.engine) as connection:
        row = update(tables.transfer).where(tables.transfer.c.id == transfer)
        connection.execute(row.values(caller_system="do-thi", caller_agency="H14.3"))
    told = await world.signed("do-thi", f"/transfers/{transfer}/answer")
    assert told.status == 500 and told.json["code"] == "transfer.tampered"
    assert (await world.signed("canh-bao", f"/transfers/{transfer}/answer")).status == 404


async def test_other_addresses_are_refused(world: World) -> None:
    transfer = (await accepted(world)).receipt.transfer
    for wrong in ("x", transfer.upper(), f"{transfer}/x"):
        assert (await world.signed("canh-bao", f"/transfers/{wrong}/answer")).status in (400, 404)
    assert (await world.signed("canh-bao", f"/transfers/{transfer}/answer?x=1")).json["code"] == "api.invalid"

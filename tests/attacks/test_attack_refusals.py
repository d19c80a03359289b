"""What the log keeps of a refusal is for its sender alone, holds nothing that was sent, and stays small."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contracts.base.errors import Failure, Finding
from contracts.base.ids import new_id
from contracts.errors import MESSAGE_INVALID
from gateway.transfer.stages import Addressed, Authenticated, Channel, Face, Received, Requested
from security.errors import SIGNATURE_WRONG
from tests.doors.api.client import World, opened
from tests.registry.making import House

ONE, TWO = (f"01935b6e-0000-7000-8000-00000000010{number}" for number in (1, 2))
ALERT = "incident-alert/v1"
NAME, PHONE = "Nguyễn Văn Kín", "0912345678"


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path / "world", House.make(tmp_path, time.time())) as made:
        yield made


def received(world: World, transfer: str, body: bytes, certificate: bytes | None) -> Received:
    return Received(
        transfer, time.time(), Face.REST, "POST", "/x", "https://localhost/x", "", {}, body, certificate,
        "192.0.2.1", world.services.registry.snapshot,
    )  # fmt: skip


def requested(world: World, system: str, transfer: str, body: bytes) -> Requested:
    """A proven request, as a door hands it over before it reads the body."""
    snapshot = world.services.registry.snapshot
    contract = snapshot.contracts[ALERT]
    operation = contract.contract.operations["submitAlert"]
    channel = Channel(snapshot.systems[system], None)
    addressed = Addressed(received(world, transfer, body, None), channel, contract, operation)
    return Requested(Authenticated(addressed, None, None, b"d" * 32, None), "m-1", operation, operation.request, body)


async def refuse(world: World, system: str, transfer: str, body: bytes) -> Failure:
    """The door's reading of the body, and the log's entry of its refusal."""
    reached = requested(world, system, transfer, body)
    try:
        reached.contract.codec("canonical").read_json(reached.request, body)
    except Failure as failure:
        await world.services.exchange.refusals.refuse(reached, failure)
        return failure
    raise AssertionError("the body is valid")


def hostile(number: int = 200) -> bytes:
    fields: dict[str, Any] = {f"{NAME} {PHONE} {each}": {NAME: PHONE} for each in range(number)}
    return json.dumps(fields | {"identifier": [PHONE], "sender": {NAME: NAME}, "info": [{"event": PHONE}]}).encode()


@pytest.mark.attack("refusals: read by others")
async def test_a_refusal_is_shown_to_its_proven_sender_only(world: World) -> None:
    failure = await refuse(world, "canh-bao", ONE, b'{"identifier": 5}')
    own = await world.signed("canh-bao", f"/transfers/{ONE}")
    assert own.status == 200, own.json
    told = own.json
    assert (told["state"], told["final"], told["failure"], told["status"]) == ("refused", True, failure.code, 422)
    assert told["sender"] == "H14.2/canh-bao" and told["contract"] == ALERT and told["operation"] == "submitAlert"
    assert set(told["messages"]) == {"vi", "en"} and all(told["messages"]["vi"][each] for each in ("title", "next"))
    assert "H14." in told["ask"]["vi"] and told["ask"]["en"]
    assert "the message Alert of incident-alert/v1" in told["messages"]["en"]["detail"]
    rules = {(each["canonical"], each["rule"]) for each in told["findings"]}
    assert ("identifier", "type") in rules and told["receipt"]["refusal"]
    for other in ("dieu-hanh", "thuc-phan", "do-thi"):
        of_others = await world.signed(other, f"/transfers/{ONE}")
        of_nobody = await world.signed(other, f"/transfers/{TWO}")
        assert of_others.status == of_nobody.status == 404
        hidden = [json.dumps(each.json).replace(ONE, "").replace(TWO, "") for each in (of_others, of_nobody)]
        apart = [json.loads(each) | {"transfer": ""} for each in hidden]
        assert apart[0] == apart[1]
    world.sequence()
    assert (await world.signed("canh-bao", f"/transfers/{ONE}")).json == told


@pytest.mark.attack("refusals: read by others")
async def test_a_refusal_of_an_unproven_caller_is_shown_to_nobody(world: World) -> None:
    findings = [Finding("identifier", "identifier", "number", "type", "text")]
    ids = [new_id() for _ in range(30)]
    for transfer in ids:  # more than are logged one by one
        wrong = SIGNATURE_WRONG(findings=findings, key="k")
        await world.services.exchange.refusals.refuse(received(world, transfer, b"{}", None), wrong)
    await world.services.exchange.refusals.close()
    logged = world.logged("refusal")
    assert len(logged) == 21 and sum(each.get("count", 1) for each in logged) == 30
    assert not any("findings" in each for each in logged)
    for entry in (logged[0], logged[-1]):
        for system in ("canh-bao", "dieu-hanh"):
            answer = await world.signed(system, f"/transfers/{entry['transfer']}")
            assert answer.status == 404 and "flood" in answer.json["next"]


@pytest.mark.attack("refusals: personal data in findings")
async def test_no_word_of_the_message_is_kept(world: World) -> None:
    await refuse(world, "canh-bao", ONE, hostile())
    (entry,) = world.logged("refusal")
    shown = await world.signed("canh-bao", f"/transfers/{ONE}")
    for text in (json.dumps(entry, ensure_ascii=False), json.dumps(shown.json, ensure_ascii=False)):
        assert not any(word in text for word in (*NAME.split()[::2], PHONE)), text


@pytest.mark.attack("refusals: findings without end")
async def test_findings_are_bounded_and_counted(world: World) -> None:
    failure = await refuse(world, "canh-bao", ONE, hostile(3_000))
    (entry,) = world.logged("refusal")
    assert len(json.dumps(entry, ensure_ascii=False).encode()) < 4_000
    assert 0 < len(entry["findings"]) <= 10 and len(entry["findings"]) + entry["more"] == len(failure.findings)
    shown = (await world.signed("canh-bao", f"/transfers/{ONE}")).json
    assert shown["moreFindings"] == entry["more"] and shown["findings"] == entry["findings"]
    endless = [Finding("info" * 9_000, "identifier" * 9_000, "number", "type", "x" * 90_000)] * 5_000
    wrong = MESSAGE_INVALID(findings=endless, message="Alert", contract=ALERT, format="canonical", count=5_000)
    await world.services.exchange.refusals.refuse(requested(world, "canh-bao", TWO, b"{}"), wrong)
    last = world.logged("refusal")[-1]
    assert len(json.dumps(last).encode()) < 4_000 and len(last["findings"]) + last["more"] == 5_000


@pytest.mark.attack("refusals: findings changed afterwards")
async def test_changed_findings_are_not_shown_and_are_found(world: World) -> None:
    from sqlalchemy import update

    from gateway.journal.database import writing
    from gateway.journal.schema import tables

    await refuse(world, "canh-bao", ONE, b'{"identifier": 5}')
    table = tables.log_pending
    (entry,) = world.logged("refusal")
    raw = json.dumps(entry | {"findings": []}, separators=(",", ":"), sort_keys=True).encode()
    with writing(world.engine) as connection:
        connection.execute(update(table).where(table.c.transfer == ONE).values(entry=raw))
    assert (await world.signed("canh-bao", f"/transfers/{ONE}")).status == 404

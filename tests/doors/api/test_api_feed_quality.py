"""The feed of quality events by the API: the centre reads it as every feed, nobody else does, nobody hands one in."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from gateway.client.answers import Answer
from gateway.client.feed_digests import Digesting, Digests
from gateway.feeds.quality import FOLDER, Quality
from gateway.feeds.sealing import Sealing
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.document import parse
from gateway.registry.own_feed import QUALITY
from gateway.transfer import lease as leases
from security.grants.grants import Grant
from security.transparency.checkpoint import NoteKey
from security.transparency.entry import Caller, Refusal, freeze
from tests.doors.api.client import World
from tests.doors.api.streams import streamed
from tests.doors.api.test_api_feed_exports import rows, taken
from tests.registry.making import ENDPOINTS, PROVINCE, approve_all, contracts

FEED = f"/feeds/{QUALITY}"
OWN = compile_bundle(Bundle.from_folder(FOLDER))


def grant(id: str, **holder: str | None) -> Grant:
    named: dict[str, Any] = {"agency": None, "role": None, **holder}
    basis = {"purpose": "x", "legal_basis": "y", "valid_from": 0.0, "valid_until": time.time() + 86_400}
    return Grant(id=id, contract=QUALITY, operations=("*",), fields=("*",), **named, **basis)  # type: ignore[arg-type]


def published(world: World) -> None:
    now = time.time()
    with writing(world.engine) as connection:
        store.publish_bundle(connection, Bundle.from_folder(FOLDER), OWN)
        for each in (grant("Q-1", role="centre"), grant("Q-2", agency="H14.2")):
            granting.propose(connection, granting.Proposal(each), now)
        approve_all(connection, now)
        world.services.registry.refresh(connection)


def refuse(world: World, count: int) -> list[str]:
    ids, now = [f"refused-{number}" for number in range(count)], time.time()
    logged = []
    for id in ids:
        finding = {"here": "sent", "canonical": "sent", "rule": "required"}
        caller = Caller("H14.2", "canh-bao")
        refusal = Refusal(
            id, now, "rest", "message.invalid", 422, caller, None, "incident-alert/v1", findings=[finding]
        )
        logged.append(LogRow(*freeze(refusal)))
    with writing(world.engine) as connection:
        append(connection, logged)
    return ids


def follow(world: World) -> None:
    world.sequence()
    quality = Quality(world.engine, lock_of(world.engine), world.vault, time.time)
    contract = world.services.registry.snapshot.contract(QUALITY)
    while quality.step(contract, lambda connection: leases.check(connection, world.lease)):
        pass
    world.sequence()


@pytest.fixture
def told(world: World) -> tuple[World, list[str]]:
    published(world)
    world.note(1)
    follow(world)
    ids = refuse(world, 3)
    follow(world)
    return world, ids


async def test_the_centre_reads_it_as_every_feed(told: tuple[World, list[str]]) -> None:
    world, ids = told
    page = (await world.signed("dieu-hanh", FEED)).json
    assert [each["data"]["transfer"] for each in page["events"]] == ids and not page["more"]
    assert {each["source"] for each in page["events"]} == {"urn:lgsp:gateway"}
    async with streamed(world, "dieu-hanh", f"{FEED}?form=events") as stream:
        await stream.until(lambda each: len(each.ids) == 3)
    assert [json.loads(each.data) for each in stream.events] == page["events"]
    state = await world.signed("dieu-hanh", f"{FEED}/state")
    assert (state.status, state.json["code"]) == (404, "feed.no-state")
    exported = rows((await taken(world, f"{FEED}/export?form=csv")).body)
    assert [row["data.transfer"] for row in exported] == ids
    listed = (await world.signed("dieu-hanh", "/feeds")).json["feeds"]
    assert [each["sources"] for each in listed if each["contract"] == QUALITY] == [[]]


async def test_its_hours_are_sealed_with_digests(told: tuple[World, list[str]]) -> None:
    world, _ = told
    folder: Path = world.services.settings.data / "log"
    folder.mkdir(exist_ok=True)
    (folder / "log.vkey").write_text(str(world.sequencer._key.vkey))
    with world.engine.begin() as connection:
        connection.execute(update(tables.feed_event).values(sequenced=time.time() // 3600 * 3600 - 60))
    sealing = Sealing(world.engine, lock_of(world.engine), time.time)
    while sealing.step(world.lease):
        world.sequence()
    world.sequence()
    raw = (await world.signed("dieu-hanh", f"{FEED}/digests")).body
    digests = Digests.read(Answer(200, {}, raw, raw, True), QUALITY, NoteKey.from_text(str(world.sequencer._key.vkey)))
    read = Digesting()
    for event in (await world.signed("dieu-hanh", FEED)).json["events"]:
        read.add(event)
    (digest,) = digests.digests
    assert digest.proved and (digest.first, digest.last) == (1, 3) and read.compare(digests.digests).whole == 1


async def test_nobody_else_reads_it_and_nobody_hands_one_in(told: tuple[World, list[str]]) -> None:
    world, _ = told
    refused = await world.signed("canh-bao", FEED)
    assert (refused.status, refused.json["code"]) == (403, "access.no-grant")
    snapshot = world.services.registry.snapshot
    assert not any(snapshot.decide(each, QUALITY, "recordEvent", time.time()).allowed for each in snapshot.agencies)


def test_a_grant_to_hand_one_in_is_refused() -> None:
    text = PROVINCE.replace(
        "contract: incident-alert/v1\n    operations: [feed]", f"contract: {QUALITY}\n    operations: [recordEvent]", 1
    )
    with pytest.raises(Failure) as caught:
        parse(text, {**contracts(), QUALITY: OWN}, ENDPOINTS)
    assert any(each.expected == "one of feed, *" for each in caught.value.findings)

"""A message that was taken in under one version of its contract is shown while another one is in force."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from contracts.wire.jsontext import read_json
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.publish import Accepted, publish, roll_back
from gateway.registry.registry import Registry
from gateway.transfer.stages import Answered
from security.grants.grants import Grant
from tests.attacks.access.test_attack_receiving_queue import change, propose
from tests.delivery.posting import Post, answering, raw
from tests.doors.api.client import opened
from tests.exchange.house import Call, Provider, house, sample
from tests.registry.editions import Edit, answer_field, edition, unplaced
from tests.registry.making import NOW, House, approve_all

ATTACK = pytest.mark.attack("access: a version is taken back, or marks what waits")
HIDES = ("*", "!@personal")
SECRET = "012345678901"
LATER = 1e10  # when grants of these tests are over


def unmarked(files: dict[str, str]) -> None:
    files["schema.json"] = re.sub(r',\s*"personal": "(basic|sensitive)"', "", files["schema.json"])
    files["schema.json"] = re.sub(r'"personal": "(basic|sensitive)",\s*', "", files["schema.json"])


def marked(message: str, name: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        schema = json.loads(files["schema.json"])
        schema["$defs"][message]["properties"][name]["personal"] = "sensitive"
        files["schema.json"] = json.dumps(schema, ensure_ascii=False, indent=2)

    return edit


def versions(contract: str, message: str, added: Edit) -> tuple[Bundle, Bundle]:
    """Nothing of the first one is personal; the second one has a number of identity more, which is."""
    first = edition("1.80.0", unmarked, contract=contract)
    return first, edition("1.81.0", unmarked, added, marked(message, "cccd"), contract=contract)


def put(engine: Engine, bundle: Bundle) -> None:
    with writing(engine) as connection:
        publish(connection, bundle, compile_bundle(bundle), Accepted((), LATER))
        store.raise_revision(connection)


def signed(engine: Engine, name: str, now: float) -> None:
    """The grant shows everything but what is personal, by two signatures."""
    with writing(engine) as connection:
        held = granting.content_of(connection, name)
        row = Grant.from_json(held.content() | {"edition": held.edition + 1, "fields": [*HIDES]})
        granting.propose(connection, granting.Proposal(row), now)
        approve_all(connection, now)


def taken_back(engine: Engine, contract: str) -> None:
    with writing(engine) as connection:
        roll_back(connection, contract, Accepted((), NOW))
        store.raise_revision(connection)


@ATTACK
async def test_a_feed_shows_no_field_that_only_a_withdrawn_version_knew_as_personal(
    tmp_path: Path, keys: House
) -> None:
    async with opened(tmp_path / "api", keys) as world:
        first, second = versions("incident-alert", "Alert", unplaced("Alert", "cccd"))
        put(world.engine, first)
        signed(world.engine, "G-0004", world.services.clock())
        put(world.engine, second)
        transfer = "01935b6e-0000-7000-8000-000000000001"
        await world.hand_in(transfer, {"identifier": transfer, "note": "n", "cccd": SECRET})
        world.sequence()
        for withdrawn in (False, True):
            if withdrawn:
                taken_back(world.engine, "incident-alert/v1")
            with world.engine.connect() as connection:
                world.services.registry.refresh(connection)
            page = await world.signed("dieu-hanh", "/feeds/incident-alert/v1")
            assert page.status == 200 and page.json["events"][0]["data"]["note"] == "n"
            assert SECRET.encode() not in page.body


@ATTACK
def test_a_repeat_shows_no_field_that_only_a_withdrawn_version_knew_as_personal(sqlite: Engine, tmp_path: Path) -> None:
    with house(sqlite, tmp_path) as gateway:
        first, second = versions("indicator", "IndicatorValue", answer_field("cccd"))
        put(sqlite, first)
        signed(sqlite, "G-0006", NOW)
        put(sqlite, second)
        gateway.snapshot = Registry(sqlite).snapshot
        whole = {**sample(gateway.snapshot.contracts["indicator/v1"], "IndicatorValue"), "cccd": SECRET}
        gateway.forwarder = Provider(whole)

        def asked() -> dict[str, Any]:
            told = asyncio.run(gateway.carry(Call("indicator/v1", "getValue", "m-1", None, "y-te")))
            assert isinstance(told, Answered) and told.answer is not None
            return told.answer

        assert SECRET not in str(asked())
        taken_back(sqlite, "indicator/v1")
        gateway.snapshot = Registry(sqlite).snapshot
        assert SECRET not in str(asked())


@ATTACK
async def test_what_a_version_marks_as_personal_is_not_sent_of_what_waits(post: Post) -> None:
    """The message was put aside under the version before, which did not mark its address."""
    transfer, whole = await post.put_aside(), read_json(raw("ServiceRequest"))
    assert whole["address_string"]
    propose(post, fields=HIDES)
    later = edition("1.80.0", marked("ServiceRequest", "address_string"), contract="field-report")
    change(post, lambda connection: publish(connection, later, compile_bundle(later), Accepted((), LATER)))
    post.provider.script = answering(post.provider)
    await post.run()
    (seen,) = post.provider.seen
    assert post.row(transfer)["state"] == "answered"
    assert whole["address_string"] not in seen.body.decode() and whole["description"] in read_json(seen.body).values()

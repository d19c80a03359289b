"""The feed of dispatched messages at the door: who may read it, and which fields of both messages are shown."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.doors.api.feeds import of_data
from gateway.transfer.stages import Answered
from tests.doors.api.client import World, opened
from tests.exchange.house import Call, Gateway, sample
from tests.registry.making import PROVINCE, House, contracts

FEED = "/feeds/field-report/v1"
HIDDEN = {"absent": "not-permitted"}
REPORT = {
    "service_code": "chieu-sang",
    "area": "01273",
    "description": "Đèn tắt",
    "first_name": "Lan",
    "phone": "0912 000 001",
}


async def dispatched(world: World) -> str:
    registry = world.services.registry.snapshot
    gateway = Gateway(world.engine, world.journal, world.vault, registry, now=time.time())
    call = Call("field-report/v1", "createRequest", "m-1", REPORT, "phan-anh")
    answered = await gateway.carry(call)
    assert isinstance(answered, Answered), answered
    world.sequence()
    return answered.receipt.transfer


def fields(shown: str) -> str:
    """The province, whose centre sees these fields."""
    before, grant, rest = PROVINCE.partition("  - id: G-0016\n")
    assert grant and '["*", "!@personal"]' in rest
    return before + grant + rest.replace('["*", "!@personal"]', shown, 1)


@pytest.mark.parametrize(
    ("shown", "phone", "first_name"),
    [
        ('["*"]', {"phone": "0912 000 001"}, {"first_name": "Lan"}),
        ('["*", "!@personal"]', {"phone": HIDDEN}, {}),
        ('["*", "!phone"]', {"phone": HIDDEN}, {"first_name": "Lan"}),
    ],
)
async def test_both_messages_are_shown_as_the_grant_says(
    tmp_path: Path, keys: House, shown: str, phone: dict[str, Any], first_name: dict[str, Any]
) -> None:
    async with opened(tmp_path, keys, fields(shown)) as world:
        transfer = await dispatched(world)
        page = await world.signed("dieu-hanh", FEED)
        assert page.status == 200, page.json
        (event,) = page.json["events"]
        assert (event["id"], event["type"].rpartition(":")[2]) == (transfer, "handled")
        expected = {name: REPORT[name] for name in ("service_code", "area", "description")}
        assert event["data"]["request"] == expected | phone | first_name
        answer = sample(contracts()["field-report/v1"], "ServiceRequestReceived")
        assert event["data"]["answer"] == json.loads(json.dumps(answer, default=float))
        assert world.logged("feed-read")[0]["facts"]["owners"] == ["H14.5"]


def test_each_message_has_a_mask_of_its_own() -> None:
    mask = of_data([None, lambda data: data | {"note": HIDDEN}])
    assert mask is not None
    assert mask({"request": {"note": 1}, "answer": {"note": 2}, "more": {"note": 3}}) == {
        "request": {"note": 1},
        "answer": {"note": HIDDEN},
        "more": {},
    }
    assert mask({"request": {"note": 1}}) == {"request": {"note": 1}} and of_data([None, None]) is None


async def test_only_who_was_granted_it_reads_it(tmp_path: Path, keys: House) -> None:
    async with opened(tmp_path, keys) as world:
        await dispatched(world)
        for system in ("thuc-phan", "do-thi", "canh-bao"):  # the second handles such reports
            answer = await world.signed(system, FEED)
            assert answer.status == 403 and answer.json["code"].startswith("access.no-"), answer.json

"""The feed of dispatched messages at the door: who may read it, and which fields of both messages are shown."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from adapters.errors import PROVIDER_REFUSED, Acted
from contracts.base.errors import Failure
from gateway.audit.search import search
from gateway.audit.search.index import Indexer
from gateway.feeds.masks import of_data
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.provider_agencies import OLD_AGENCIES
from gateway.transfer.stages import Answered
from security.transparency.merkle import leaf_hash
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


async def dispatched(world: World, failure: Failure | None = None) -> str:
    registry = world.services.registry.snapshot
    gateway = Gateway(world.engine, world.journal, world.vault, registry, now=time.time())
    call = Call("field-report/v1", "createRequest", "m-1", REPORT, "phan-anh")
    answered = await gateway.carry(call, failure=failure)
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
        assert event["subject"] == answer["service_request_id"]
        whole = "!" not in shown
        assert ("lgspmasked" not in event) == whole and (whole or event["lgspmasked"] == "data")
        seen = [name for name, value in event["data"]["request"].items() if value != HIDDEN]
        assert event["lgspcompleteness"].partition("/")[0] == str(len(seen))
        assert world.logged("feed-read")[0]["facts"]["owners"] == ["H14.3", "H14.5"]


@pytest.mark.parametrize(
    ("how", "owners"),
    [
        ("named", {"H14.3", "H14.5"}),
        ("moved since", {"H14.3", "H14.5"}),
        ("of an older release", {"H14.1", "H14.5"}),
        ("refused", {"H14.5"}),  # nothing came from the provider
    ],
)
async def test_a_reading_is_found_by_the_agency_whose_answer_was_read(
    tmp_path: Path, keys: House, how: str, owners: set[str]
) -> None:
    """`audit search --agency`: the agency of the provider when it was asked, not the one that has the system now."""
    refusal = PROVIDER_REFUSED(acted=Acted.NO, system="do-thi", status=422, final=True)
    async with opened(tmp_path, keys) as world:
        await dispatched(world, refusal if how == "refused" else None)
        if how in CHANGES:
            with writing(world.engine) as connection:
                CHANGES[how](connection)
        assert (await world.signed("dieu-hanh", FEED)).json["events"]
        world.sequence()
        while Indexer(world.engine, None, limit=500).step(None):
            pass
        for agency in ("H14.1", "H14.2", "H14.3", "H14.5"):
            query = search.Query(agency=agency, kind="feed-read", role="owner")
            for indexed in (True, False):
                with search.reading(world.engine) as connection:
                    hits = search.search(connection, query, limit=9, indexed=indexed).hits
                assert len(hits) == (agency in owners), agency


def _unnamed(connection: Connection) -> None:
    """Its intent does not name the provider's agency: the one at the update counts."""
    log = tables.log_entry.c
    intent = connection.execute(select(log.idx, log.entry).where(log.phase == "intent")).one()
    entry = {name: value for name, value in json.loads(bytes(intent.entry)).items() if name != "provider_agency"}
    raw = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()
    connection.execute(update(tables.log_entry).where(log.idx == intent.idx).values(entry=raw, leaf=leaf_hash(raw)))
    connection.execute(insert(tables.instance).values(key=OLD_AGENCIES, value='{"do-thi": "H14.1"}'))


CHANGES: dict[str, Callable[[Connection], object]] = {
    "moved since": lambda inside: inside.execute(
        update(tables.system).where(tables.system.c.id == "do-thi").values(agency="H14.1")
    ),
    "of an older release": _unnamed,
}


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

"""`GET /transfers`: a system's own transfers and refusals, newest first, in pages that miss and repeat nothing."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text, update

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.doors.api import transfer_list
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.attacks.test_attack_refusals import refuse
from tests.doors.api.client import World

ALERT = "incident-alert/v1"


async def pages(world: World, system: str, query: str = "") -> list[list[dict[str, Any]]]:
    found, after = [], ""
    for _page in range(100):
        answer = await world.signed(system, f"/transfers?limit=3{query}{after}")
        assert answer.status == 200, answer.json
        found.append(answer.json["transfers"])
        if "next" not in answer.json:
            return found
        after = f"&after={answer.json['next']}"
    raise AssertionError("the list has no end")


async def ids(world: World, system: str, query: str = "") -> list[str]:
    return [each["transfer"] for page in await pages(world, system, query) for each in page]


async def filled(world: World, number: int = 10) -> tuple[list[str], list[str]]:
    """Transfers of canh-bao, every second one to thuc-phan; a refusal after each third. Newest first."""
    at, transfers, refusals = int(time.time() * 1000) - 60_000, list[str](), list[str]()
    for each in range(number):
        transfers.append(new_id(at + 10 * each))
        provider = "thuc-phan" if each % 2 else None
        await world.hand_in(transfers[-1], {}, state="answered" if each % 2 else "accepted", provider=provider)
        if each % 3 == 0:
            refusals.append(new_id(at + 10 * each + 5))
            await refuse(world, "canh-bao", refusals[-1], b'{"identifier": 5}')
    world.sequence()
    return transfers[::-1], refusals[::-1]


async def test_pages_hold_each_transfer_and_refusal_once_newest_first(world: World) -> None:
    transfers, refusals = await filled(world)
    assert await ids(world, "canh-bao") == sorted(transfers + refusals, reverse=True)
    assert await ids(world, "canh-bao", "&state=refused") == refusals
    assert await ids(world, "canh-bao", "&role=receiver") == []
    received = [each for number, each in enumerate(reversed(transfers)) if number % 2][::-1]
    assert await ids(world, "thuc-phan") == received == await ids(world, "thuc-phan", "&role=receiver")
    (first, *_), *_ = await pages(world, "thuc-phan")
    assert (first["role"], first["sender"], first["receiver"]) == ("receiver", "H14.2/canh-bao", "thuc-phan")
    assert await ids(world, "canh-bao", "&state=answered") == received
    assert await ids(world, "canh-bao", "&contract=incident-alert/v2") == []
    assert await ids(world, "canh-bao", "&failure=message.invalid") == refusals


async def test_times_bound_the_list(world: World) -> None:
    transfers, refusals = await filled(world)
    whole = sorted(transfers + refusals)
    edge = int(whole[6].replace("-", "")[:12], 16) / 1000
    since = await ids(world, "canh-bao", "&since=" + quote(rfc3339(edge)))
    until = await ids(world, "canh-bao", "&until=" + quote(rfc3339(edge)))
    assert since == whole[:5:-1] and until == whole[5::-1]
    for wrong in ("since=yesterday", "until=2026-11-24T07:00:00", "since=" + "9" * 41):
        assert (await world.signed("canh-bao", f"/transfers?{wrong}")).json["code"] == "api.invalid"


async def test_a_page_looks_at_a_bounded_number_of_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_list, "LOOKS", 4)
    transfers, refusals = await filled(world, 20)
    answered = [each for number, each in enumerate(reversed(transfers)) if number % 2][::-1]
    found = await pages(world, "canh-bao", "&state=answered")
    assert [each["transfer"] for page in found for each in page] == answered
    assert len(found) >= 5 and all(len(page) <= 3 for page in found)
    whole = await ids(world, "canh-bao", "&contract=" + ALERT)
    assert sorted(whole, reverse=True) == sorted(transfers + refusals, reverse=True)


async def test_a_walk_uses_the_index_of_its_system(world: World) -> None:
    table = tables.transfer.c
    for column, name in ((table.caller_system, "transfer_caller"), (table.provider, "transfer_provider")):
        plan = f"EXPLAIN QUERY PLAN SELECT id FROM transfer WHERE {column.name} = 'x' AND id < 'f' ORDER BY id DESC"
        with world.engine.connect() as connection:
            said = " ".join(str(row) for row in connection.execute(text(plan)))
        assert name in said and "TEMP B-TREE" not in said


@pytest.mark.attack("transfers: those of others")
async def test_the_list_of_another_system_holds_nothing_of_mine(world: World) -> None:
    await filled(world)
    assert await ids(world, "do-thi") == [] == await ids(world, "dieu-hanh", "&state=refused")
    assert (await world.public("GET", "/transfers")).status == 401


@pytest.mark.attack("transfers: those of others")
async def test_a_cursor_is_of_its_system_and_conditions_alone(world: World) -> None:
    await filled(world)
    mine = (await world.signed("canh-bao", "/transfers?limit=2")).json["next"]
    wrong = [
        ("thuc-phan", f"?limit=2&after={mine}"),
        ("canh-bao", f"?state=accepted&after={mine}"),
        ("canh-bao", f"?since=2020-01-01T00:00:00Z&after={mine}"),
        ("canh-bao", f"?after={mine[:20]}"),
        ("canh-bao", f"?after={mine}A"),
        ("canh-bao", "?after=AAAA"),
    ]
    for system, query in wrong:
        answer = await world.signed(system, "/transfers" + query)
        assert (answer.status, answer.json["code"]) == (400, "transfer.bad-cursor"), query
    assert (await world.signed("canh-bao", f"/transfers?limit=3&after={mine}")).status == 200


@pytest.mark.attack("transfers: those of others")
async def test_a_row_given_to_another_system_shows_it_nothing(world: World) -> None:
    """Who controls the database can write a party into a row. The log names another."""
    transfers, _ = await filled(world, 4)
    table = tables.transfer
    with writing(world.engine) as connection:
        connection.execute(update(table).where(table.c.id == transfers[0]).values(caller_system="do-thi"))
        connection.execute(update(table).where(table.c.id == transfers[1]).values(operation="cancelAlert"))
    assert await ids(world, "do-thi") == []
    shown = {each["transfer"]: each for page in await pages(world, "canh-bao") for each in page}
    assert transfers[0] not in shown
    assert shown[transfers[1]] == {"transfer": transfers[1], "failure": "transfer.tampered"}
